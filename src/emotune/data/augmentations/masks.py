"""Masks over frequency and time, on the waveform, so that they act before any encoder.

Reference: Park et al. (2019), SpecAugment, arXiv 1904.08779, for the two kinds.
"""

from __future__ import annotations

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.data.augmentations.step import Step


class BandMasks(Step):
    """``count`` random bands of up to ``widest_mel`` mel (2595 log10(1 + f / 700)) are filtered out."""

    def __init__(self, count: int, widest_mel: float) -> None:
        self.count, self.widest_mel = count, widest_mel

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        spectrum = np.fft.rfft(samples)
        mel = 2595 * np.log10(1 + np.fft.rfftfreq(len(samples), 1 / SAMPLING_RATE_HZ) / 700)
        for _ in range(self.count):
            width = generator.uniform(0, self.widest_mel)
            low = generator.uniform(0, max(mel[-1] - width, 0))
            spectrum[(mel >= low) & (mel < low + width)] = 0
        return np.fft.irfft(spectrum, n=len(samples)).astype(np.float32)


class TimeMasks(Step):
    """``count`` random spans of up to ``longest_s`` seconds are set to zero; never more than half the clip."""

    def __init__(self, count: int, longest_s: float) -> None:
        self.count, self.longest_s = count, longest_s

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        masked = samples.copy()
        longest = min(self.longest_s * SAMPLING_RATE_HZ, len(samples) / (2 * self.count))
        for _ in range(self.count):
            length = int(generator.uniform(0, longest))
            start = int(generator.integers(0, len(samples) - length + 1))
            masked[start : start + length] = 0
        return masked
