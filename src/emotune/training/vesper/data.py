"""Clips with the spans of frames that are hidden from the encoder, drawn anew in each epoch."""

from __future__ import annotations

import dataclasses
import math

from emotune.audio.preprocessing import Preprocessing
from emotune.data.audio_cache import AudioCache
from emotune.data.augmentations.pipeline import Augmentation, generator_of
from emotune.data.dataset import EmotionDataset, Example
from emotune.schema.manifest import Manifest
from emotune.schema.truth import Numbers
from emotune.training.vesper.spans import MOST_LARGE, MOST_SMALL, IntArray, large_spans, loudness, small_spans

SMALL_STARTS, LARGE_STARTS = "small_starts", "large_starts"
"""Targets: first frames of a clip's hidden spans, NaN where it has fewer than others."""


class HiddenSpans(EmotionDataset):
    """Examples without labels, whose truth are the spans; these come from (seed, epoch, utterance_id) alone.

    Args:
        manifest, preprocessing, augmentation, cache, seed: as for ``EmotionDataset``.
        hop: samples from one frame of the encoder to the next.
    """

    def __init__(
        self,
        manifest: Manifest,
        preprocessing: Preprocessing,
        *,
        hop: int,
        augmentation: Augmentation | None = None,
        cache: AudioCache | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(manifest, {}, preprocessing, augmentation=augmentation, cache=cache, seed=seed)
        self.hop = hop

    def __getitem__(self, key: tuple[int, int]) -> Example:
        epoch, index = key
        example = super().__getitem__(key)
        generator = generator_of(self.seed, epoch, f"spans of {self.manifest.utterances[index].utterance_id}")
        levels = loudness(example.waveform, hop=self.hop)
        small = small_spans(levels, generator)
        large = large_spans(len(levels), small, generator)
        truth = {SMALL_STARTS: _filled(small, MOST_SMALL), LARGE_STARTS: _filled(large, MOST_LARGE)}
        return dataclasses.replace(example, truth=truth)


def _filled(starts: IntArray, size: int) -> Numbers:
    """Starts followed by NaN up to a size."""
    return (*map(float, starts), *(math.nan for _ in range(size - len(starts))))
