"""Augmentation of a clip in training; its randomness comes from (seed, epoch, utterance_id) alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray


def generator_of(seed: int, epoch: int, utterance_id: str) -> np.random.Generator:
    """The random generator of one utterance in one epoch: the same in whatever order and process it is drawn."""
    digest = hashlib.sha256(f"{seed} {epoch} {utterance_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


@dataclass(frozen=True)
class Augmentation:
    """Random crop, white noise and gain, in this order; each is left out where it is None.

    Args:
        crop_s: longest piece in seconds; a longer clip gives a random piece of this length, a shorter one stays whole.
        noise_snr_db: (lowest, highest) signal-to-noise ratio of added white noise.
        gain_db: largest change of level, up or down.
    """

    crop_s: float | None = None
    noise_snr_db: tuple[float, float] | None = None
    gain_db: float | None = None

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        """A changed copy, shape (samples,) -> (at most crop_s seconds,)."""
        if self.crop_s is not None:
            samples = crop(samples, round(self.crop_s * SAMPLING_RATE_HZ), generator)
        if self.noise_snr_db is not None:
            samples = add_noise(samples, generator.uniform(*self.noise_snr_db), generator)
        if self.gain_db is not None:
            samples = samples * np.float32(10 ** (generator.uniform(-self.gain_db, self.gain_db) / 20))
        return samples


def crop(samples: FloatArray, length: int, generator: np.random.Generator) -> FloatArray:
    """A random piece of ``length`` samples; the clip itself where it is not longer."""
    if len(samples) <= length:
        return samples
    start = int(generator.integers(0, len(samples) - length + 1))
    return samples[start : start + length]


def add_noise(samples: FloatArray, snr_db: float, generator: np.random.Generator) -> FloatArray:
    """Add white Gaussian noise at exactly ``snr_db`` under the clip's mean power; a clip of zeros stays as it is."""
    noise = generator.standard_normal(len(samples))
    power, noise_power = np.mean(samples.astype(np.float64) ** 2), np.mean(noise**2)
    scale = np.sqrt(power / max(noise_power, 1e-12) / 10 ** (snr_db / 10))
    return (samples + scale * noise).astype(np.float32)
