"""Augmentation of a clip in training; its randomness comes from (seed, epoch, utterance_id) alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import cast

import numpy as np
import soxr

from emotune.audio import SAMPLING_RATE_HZ, FloatArray


def generator_of(seed: int, epoch: int, utterance_id: str) -> np.random.Generator:
    """The random generator of one utterance in one epoch: the same in whatever order and process it is drawn."""
    digest = hashlib.sha256(f"{seed} {epoch} {utterance_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


@dataclass(frozen=True)
class Augmentation:
    """Random speed, crop, noise, gain, masked bands and masked spans, in this order; each is left out where it is None.

    Args:
        probability: of each step but the crop, drawn for each on its own, so that training hears clean speech too.
        speed: largest change of speed s: the clip is resampled by exp(u), u uniform in [-s, s], so pitch, formants and
            rate move together and one voice becomes many.
        crop_s: longest piece in seconds; a longer clip gives a random piece of this length, a shorter one stays whole.
        noise_snr_db: (lowest, highest) signal-to-noise ratio of added white noise.
        gain_db: largest change of level, up or down.
        band_masks: (how many, widest in mel): frequency bands that are filtered out, the waveform's equivalent of
            SpecAugment's frequency masks, so that they act before any encoder.
        time_masks: (how many, longest in seconds): spans that are set to zero.

    Reference: Park et al. (2019), SpecAugment, arXiv 1904.08779, for the two kinds of masks.
    """

    probability: float = 1.0
    speed: float | None = None
    crop_s: float | None = None
    noise_snr_db: tuple[float, float] | None = None
    gain_db: float | None = None
    band_masks: tuple[int, float] | None = None
    time_masks: tuple[int, float] | None = None

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        """A changed copy, shape (samples,) -> (at most crop_s seconds,)."""
        if self.speed is not None and self._draw(generator):
            samples = change_speed(samples, float(np.exp(generator.uniform(-self.speed, self.speed))))
        if self.crop_s is not None:
            samples = crop(samples, round(self.crop_s * SAMPLING_RATE_HZ), generator)
        if self.noise_snr_db is not None and self._draw(generator):
            samples = add_noise(samples, generator.uniform(*self.noise_snr_db), generator)
        if self.gain_db is not None and self._draw(generator):
            samples = samples * np.float32(10 ** (generator.uniform(-self.gain_db, self.gain_db) / 20))
        if self.band_masks is not None and self._draw(generator):
            samples = mask_bands(samples, *self.band_masks, generator)
        if self.time_masks is not None and self._draw(generator):
            samples = mask_spans(samples, *self.time_masks, generator)
        return samples

    def _draw(self, generator: np.random.Generator) -> bool:
        return bool(generator.random() < self.probability)


def change_speed(samples: FloatArray, factor: float) -> FloatArray:
    """Play ``factor`` times faster by resampling, shape (samples,) -> (about samples / factor,)."""
    return cast(FloatArray, soxr.resample(samples, SAMPLING_RATE_HZ * factor, SAMPLING_RATE_HZ, quality="MQ"))


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


def mask_bands(samples: FloatArray, count: int, widest_mel: float, generator: np.random.Generator) -> FloatArray:
    """Filter out ``count`` random bands of up to ``widest_mel`` mel (2595 log10(1 + f / 700)), shape kept."""
    spectrum = np.fft.rfft(samples)
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(len(samples), 1 / SAMPLING_RATE_HZ) / 700)
    for _ in range(count):
        width = generator.uniform(0, widest_mel)
        low = generator.uniform(0, max(mel[-1] - width, 0))
        spectrum[(mel >= low) & (mel < low + width)] = 0
    return np.fft.irfft(spectrum, n=len(samples)).astype(np.float32)


def mask_spans(samples: FloatArray, count: int, longest_s: float, generator: np.random.Generator) -> FloatArray:
    """Set ``count`` random spans of up to ``longest_s`` seconds to zero, shape kept; never more than half the clip."""
    masked = samples.copy()
    longest = min(longest_s * SAMPLING_RATE_HZ, len(samples) / (2 * count))
    for _ in range(count):
        length = int(generator.uniform(0, longest))
        start = int(generator.integers(0, len(samples) - length + 1))
        masked[start : start + length] = 0
    return masked
