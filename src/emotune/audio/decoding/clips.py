"""Clips as a model hears them: mono at its rate, put together while the recording is decoded."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from emotune.audio.decoding.audibility import Unheard, unheard
from emotune.audio.decoding.segments import Cut, Segment
from emotune.audio.decoding.sound import FloatArray, Sound
from emotune.errors import AudioError

HIGHEST_PEAK = 100.0  # 40 dB over full scale: no recording, but integers given as floats
FULL_SCALE = 0.999
"""Samples at or beyond this count as clipped."""
_MOST_RESERVED = 1 << 26  # samples: an hour at 16 kHz, which a header may promise without holding it


@dataclass(frozen=True)
class Clip:
    """A recording, or a segment or channel of it, as a model hears it; measured as it is stored.

    Args:
        samples: mono, shape (samples,).
        sampling_rate_hz: of ``samples``.
        duration_s, stored_rate_hz, channels: of the stored sound.
        peak: the largest magnitude in any channel; far above that of ``samples`` where channels cancel each other.
        clipped_share: of the stored samples that lie at full scale.
        content_sha256: as ``Recording.content_sha256``; None where it was not asked for.
    """

    samples: FloatArray
    sampling_rate_hz: int
    duration_s: float
    stored_rate_hz: int
    channels: int
    peak: float
    clipped_share: float
    content_sha256: str | None

    @property
    def unheard(self) -> Unheard | None:
        """Reason why nothing can be heard in it; None where something can."""
        rate = self.sampling_rate_hz
        return unheard(self.samples, sampling_rate_hz=rate, channels=self.channels, peak=self.peak)


def clips_of(
    sound: Sound, segments: Sequence[Segment], *, sampling_rate_hz: int, max_duration_s: float, with_content: bool
) -> Iterator[tuple[int, Clip | AudioError]]:
    """Yields each segment's position with its clip, or with the error, as they are decoded.

    Where decoding cannot begin anywhere, all are cut out of one pass.
    """
    waiting: list[tuple[int, _Listener]] = []
    for position, segment in enumerate(segments):
        try:
            cut = Cut(sound, segment, max_duration_s=max_duration_s)
        except AudioError as error:
            yield position, error
        else:
            waiting.append((position, _Listener(cut, sampling_rate_hz, with_content=with_content)))
    if not sound.seeks:
        yield from _heard_in_one_pass(sound, waiting)
        return
    while waiting:
        item = waiting.pop(0)
        yield from _heard_in_one_pass(sound, [item], start=item[1].cut.start)


def _heard_in_one_pass(
    sound: Sound, waiting: Sequence[tuple[int, _Listener]], *, start: int = 0
) -> Iterator[tuple[int, Clip | AudioError]]:
    coming = sorted(waiting, key=lambda item: item[1].cut.start, reverse=True)
    hearing: list[tuple[int, _Listener]] = []
    at = start
    try:
        for block in sound.blocks_from(start):
            end = at + len(block)
            while coming and coming[-1][1].cut.start < end:
                hearing.append(coming.pop())
            still: list[tuple[int, _Listener]] = []
            for position, listener in hearing:
                try:
                    listener.hear(block, at)
                except AudioError as error:
                    yield position, error
                    continue
                if listener.cut.is_complete(end):
                    yield position, listener.clip_or_error(end)
                else:
                    still.append((position, listener))
            hearing, at = still, end
            if not hearing and not coming:
                return
    except AudioError as error:  # of the recording: what is not complete yet shares it
        yield from ((position, error) for position, _ in [*hearing, *coming])
        return
    yield from ((position, listener.clip_or_error(at)) for position, listener in [*hearing, *reversed(coming)])


class _Listener:
    """Puts one clip together out of the blocks of its recording."""

    def __init__(self, cut: Cut, sampling_rate_hz: int, *, with_content: bool) -> None:
        self.cut = cut
        self._rate = sampling_rate_hz
        self._stored_rate = cut.sound.sampling_rate_hz
        self._channels = cut.sound.channels if cut.segment.channel == "mix" else 1
        self._frames = self._clipped = 0
        self._peak = 0.0
        self._digest = hashlib.sha256(content_head(self._stored_rate, self._channels)) if with_content else None
        self._resampler = (
            None
            if self._rate == self._stored_rate
            else soxr.ResampleStream(self._stored_rate, self._rate, 1, dtype="float32", quality="HQ")
        )
        self._kept: _Samples | None = None  # nothing is reserved before the first block

    def hear(self, block: FloatArray, at: int) -> None:
        """Takes the clip's share of a block that begins at frame ``at``."""
        block = self.cut.of_block(block, at)
        if not len(block):
            return
        self._frames += len(block)
        self.cut.check_length(self._frames, at_least=True)
        self._measure(block)
        mixed = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        self._keep(mixed if self._resampler is None else self._resampler.resample_chunk(np.ascontiguousarray(mixed)))

    def clip_or_error(self, total: int) -> Clip | AudioError:
        """Clip, once decoding has passed its end or, at frame ``total``, the recording's end."""
        try:
            self.cut.check_ends(total)
            check_samples(self._frames, self._peak, self.cut.sound.name)
        except AudioError as error:
            return error
        if self._resampler is not None:
            self._keep(self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
        assert self._kept is not None
        return Clip(
            samples=self._kept.taken(),
            sampling_rate_hz=self._rate,
            duration_s=self._frames / self._stored_rate,
            stored_rate_hz=self._stored_rate,
            channels=self._channels,
            peak=self._peak,
            clipped_share=self._clipped / (self._frames * self._channels),
            content_sha256=None if self._digest is None else self._digest.hexdigest(),
        )

    def _measure(self, block: FloatArray) -> None:
        peak = float(max(block.max(), -block.min()))
        if not math.isfinite(peak) or peak > HIGHEST_PEAK:
            check_samples(len(block), peak, self.cut.sound.name)
        if peak >= FULL_SCALE:
            self._clipped += int((np.abs(block) >= FULL_SCALE).sum())
        self._peak = max(self._peak, peak)
        if self._digest is not None:
            self._digest.update(np.ascontiguousarray(block, dtype="<f4").data)

    def _keep(self, samples: FloatArray) -> None:
        if self._kept is None:
            likely_s = min(self.cut.likely_frames / self._stored_rate, self.cut.max_duration_s)
            self._kept = _Samples(math.ceil(likely_s * self._rate) + 1)
        self._kept.add(samples)


class _Samples:
    """Samples that grow; memory that is reserved and not written costs nothing."""

    def __init__(self, likely: int) -> None:
        self._reserved = np.empty(min(likely, _MOST_RESERVED), dtype=np.float32)
        self._count = 0

    def add(self, samples: FloatArray) -> None:
        needed = self._count + len(samples)
        if needed > len(self._reserved):
            larger = np.empty(max(needed, len(self._reserved) * 2), dtype=np.float32)
            larger[: self._count] = self._reserved[: self._count]
            self._reserved = larger
        self._reserved[self._count : needed] = samples
        self._count = needed

    def taken(self) -> FloatArray:
        samples = self._reserved[: self._count]
        return samples if 2 * self._count > len(self._reserved) else samples.copy()  # a promise that was not kept


def content_head(sampling_rate_hz: int, channels: int) -> bytes:
    """Bytes before the samples in a fingerprint of their content."""
    return f"{sampling_rate_hz} {channels}\n".encode()


def check_samples(frames: int, peak: float, name: str) -> None:
    """Refuses what cannot be sound.

    Raises:
        AudioError: for no samples, or for values that no recording has.
    """
    if not frames:
        raise AudioError(f"{name} holds no samples.")
    if not math.isfinite(peak):
        raise AudioError(f"{name} holds NaN or infinite samples; export it again.")
    if peak > HIGHEST_PEAK:
        raise AudioError(
            f"{name} holds samples up to {peak:.4g}, expected floats in [-1, 1]: divide 16-bit samples by 32768, or"
            " give them as integers."
        )
