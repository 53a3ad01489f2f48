"""Noise at a chosen level under the speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emotune.audio import FloatArray
from emotune.data.augmentations.crop import filled_to
from emotune.data.augmentations.sound_folder import SoundFolder
from emotune.data.augmentations.step import Step

COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
"""How fast the power falls with frequency: as 1 / f^exponent."""


class Noise(Step):
    """Noise at a random signal-to-noise ratio, by the mean powers of clip and noise; a clip of zeros stays as it is.

    Args:
        snr_db: lowest and highest ratio.
        colour: white (the default), pink or brown.
        folder: recordings of noise instead; a random piece of a random one.
    """

    def __init__(self, snr_db: Sequence[float], *, colour: str | None = None, folder: Path | None = None) -> None:
        self.snr_db = snr_db
        self.exponent = COLOURS[colour or "white"]
        self.recordings = None if folder is None else SoundFolder(folder, what="augmentation.noise.folder")

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        lowest, highest = self.snr_db
        snr_db = generator.uniform(lowest, highest)
        if self.recordings is None:
            noise = coloured_noise(len(samples), self.exponent, generator)
        else:
            noise = filled_to(self.recordings.draw(generator), len(samples), generator)
        return add_at_snr(samples, noise, snr_db)


def coloured_noise(length: int, exponent: float, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise, shape (length,), whose power falls as 1 / f^exponent; 0 is white."""
    noise = generator.standard_normal(length)
    if not exponent:
        return noise
    spectrum = np.fft.rfft(noise)
    frequency = np.arange(len(spectrum), dtype=float)
    spectrum[0] = 0
    spectrum[1:] /= frequency[1:] ** (exponent / 2)
    return np.fft.irfft(spectrum, n=length)


def add_at_snr(samples: FloatArray, noise: np.ndarray, snr_db: float) -> FloatArray:
    """Adds noise of the same shape (samples,) at exactly ``snr_db`` under the clip's mean power."""
    power, noise_power = np.mean(samples.astype(np.float64) ** 2), np.mean(noise.astype(np.float64) ** 2)
    scale = np.sqrt(power / max(noise_power, 1e-12) / 10 ** (snr_db / 10))
    return (samples + scale * noise).astype(np.float32)
