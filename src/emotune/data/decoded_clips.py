"""Clips of a manifest, decoded as often as they are asked for, or once where there is a cache."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from emotune.audio import FloatArray
from emotune.data.audio_cache import AudioCache
from emotune.errors import AudioError
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance


class DecodedClips:
    """Samples of a manifest's utterances, as a model with this sampling rate hears them.

    Args:
        manifest: the utterances.
        cache: where decoded clips are kept; None = each is decoded anew.
        sampling_rate_hz: of the samples.
        max_duration_s: longer clips are an error.
    """

    def __init__(
        self, manifest: Manifest, cache: AudioCache | None, *, sampling_rate_hz: int, max_duration_s: float
    ) -> None:
        self.manifest = manifest
        self.cache = cache
        self.sampling_rate_hz = sampling_rate_hz
        self.max_duration_s = max_duration_s
        self._of_recording: dict[str, list[Utterance]] = {}
        for utterance in manifest:
            self._of_recording.setdefault(utterance.file, []).append(utterance)
        self._passed: set[str] = set()  # recordings whose utterances have all been sent to the cache

    def samples_of(self, utterance: Utterance) -> FloatArray:
        """An utterance decoded, shape (samples,).

        Raises:
            AudioError: when it cannot be used.
        """
        content = utterance.content_sha256
        if self.cache is None or content is None:
            return self._decoded([utterance])
        return self.cache.get(content, partial(self._decoded_with_others, utterance, self.cache))

    def _decoded_with_others(self, utterance: Utterance, cache: AudioCache) -> FloatArray:
        """An utterance decoded; the others of its recording that the cache lacks go there in the same pass.

        Only once: a cache too small to keep them would have all of them decoded for each.
        """
        if utterance.file in self._passed:
            return self._decoded([utterance])
        self._passed.add(utterance.file)
        others = [
            other
            for other in self._of_recording[utterance.file]
            if other is not utterance and other.content_sha256 is not None and not cache.holds(other.content_sha256)
        ]
        return self._decoded([utterance, *others], cache)

    def _decoded(self, utterances: Sequence[Utterance], cache: AudioCache | None = None) -> FloatArray:
        """The first of some utterances of one recording, shape (samples,); the others are kept in the cache.

        Raises:
            AudioError: where the first cannot be used; the others say so when their turn comes.
        """
        clips = self.manifest.clips_of(
            utterances, sampling_rate_hz=self.sampling_rate_hz, max_duration_s=self.max_duration_s
        )
        first = next(clips)
        if isinstance(first, AudioError):
            raise first
        for other, clip in zip(utterances[1:], clips, strict=True):
            if cache is not None and other.content_sha256 is not None and not isinstance(clip, AudioError):
                cache.keep(other.content_sha256, clip.samples)
        return first.samples
