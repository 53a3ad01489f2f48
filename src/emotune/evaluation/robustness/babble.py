"""Babble: what other people of the same corpus say, several at once, as in a full room."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.data.augmentations.crop import filled_to
from emotune.errors import AudioError, CorpusError
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

TALKERS = 6
FEWEST_OTHERS = 2
"""Other speakers that there must be: what one person says six times over is no babble."""


class Voices:
    """The utterances of a manifest, decoded to mono at 16 kHz, as clips to degrade and as talkers for their babble.

    Args:
        manifest: what is scored; the talkers come from it too.
        most_seconds: decoded at a time; 20 minutes are 77 MB.
    """

    def __init__(self, manifest: Manifest, *, most_seconds: float = 1200.0) -> None:
        self.manifest = manifest
        self._most_seconds = most_seconds
        self._decoded: OrderedDict[str, FloatArray] = OrderedDict()
        self._seconds = 0.0
        self._by_speaker: dict[tuple[str | None, str], list[Utterance]] = {}
        for utterance in manifest:
            if utterance.speaker is not None:
                self._by_speaker.setdefault((utterance.corpus, utterance.speaker), []).append(utterance)

    def samples_of(self, utterance: Utterance) -> FloatArray:
        """An utterance, shape (samples,).

        Raises:
            AudioError: when it cannot be decoded, or is not the recording that the manifest describes.
        """
        known = self._decoded.get(utterance.utterance_id)
        if known is not None:
            self._decoded.move_to_end(utterance.utterance_id)
            return known
        samples = self.manifest.clip_of(utterance).samples
        self._decoded[utterance.utterance_id] = samples
        self._seconds += len(samples) / SAMPLING_RATE_HZ
        while self._seconds > self._most_seconds:
            self._seconds -= len(self._decoded.popitem(last=False)[1]) / SAMPLING_RATE_HZ
        return samples

    def check_babble(self) -> None:
        """Refuses a manifest with too few speakers for babble.

        Raises:
            CorpusError: for fewer speakers than babble needs.
        """
        unknown = sum(utterance.speaker is None for utterance in self.manifest)
        if unknown:
            raise CorpusError(
                f"babble is made of other speakers, and {unknown} of {len(self.manifest)} utterances have no known"
                " speaker; name them in the manifest"
            )
        if len(self._by_speaker) <= FEWEST_OTHERS:
            raise CorpusError(
                f"babble needs at least {FEWEST_OTHERS} speakers beside the one who is heard, and these utterances have"
                f" {len(self._by_speaker)} in all; score a split with more"
            )

    def talkers_for(self, utterance: Utterance, generator: np.random.Generator) -> list[Utterance]:
        """Audible utterances of other speakers, at most ``TALKERS``, as many speakers as possible."""
        own = (utterance.corpus, utterance.speaker)
        others = [said for speaker, said in sorted(self._by_speaker.items(), key=_name_of) if speaker != own]
        others = [others[n] for n in generator.permutation(len(others))]
        orders = [[said[n] for n in generator.permutation(len(said))] for said in others]
        longest = max((len(order) for order in orders), default=0)
        turns = (order[turn] for turn in range(longest) for order in orders if turn < len(order))
        chosen: list[Utterance] = []
        for talker in turns:
            if len(chosen) == TALKERS:
                break
            if self._is_heard(talker):
                chosen.append(talker)
        return chosen

    def babble_for(self, utterance: Utterance, length: int, generator: np.random.Generator) -> FloatArray:
        """Babble of shape (length,): other speakers at once, equally loud, looped from a random offset.

        Raises:
            AudioError: when no recording of another speaker can be used.
        """
        talkers = [self.samples_of(talker) for talker in self.talkers_for(utterance, generator)]
        if not talkers:
            raise AudioError(f"{utterance.utterance_id}: no recording of another speaker can be used for babble.")
        babble = np.zeros(length)
        for samples in talkers:
            level = np.sqrt(np.mean(samples.astype(np.float64) ** 2))
            babble += filled_to(samples, length, generator) / level
        return babble.astype(np.float32)

    def _is_heard(self, utterance: Utterance) -> bool:
        try:
            return bool(np.any(self.samples_of(utterance)))
        except AudioError:
            return False


def _name_of(entry: tuple[tuple[str | None, str], list[Utterance]]) -> tuple[str, str]:
    (corpus, speaker), _ = entry
    return corpus or "", speaker
