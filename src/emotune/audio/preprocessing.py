"""Preprocessing of a decoded clip: trimming, length limits, normalisation. Travels with the model."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray, too_long, trim_silence
from emotune.errors import AudioError, ModelError

Item = TypeVar("Item")
_MOST_SILENCE_S = 600.0  # around a clip, where it is trimmed
_LATER = ("too_long", "too_short", "mean", "std", "variance_floor")  # models saved before there were any lack these
NORMALIZATIONS = ("none", "clip", "fixed")


@dataclass(frozen=True)
class Preprocessing:
    """The same steps in training and prediction, stored as ``preprocessor_config.json``.

    Args:
        normalize: ``clip`` = zero mean and unit variance over the clip, (x - its mean) / sqrt(its variance + floor),
            with the biased variance; ``fixed`` = (x - mean) / std with the same two numbers for all clips; ``none`` =
            samples as they are. Each backbone says which one it was trained with.
        trim_silence_db: cut silence at both ends that lies this far under the loudest frame; None = keep it.
        max_duration_s: the longest clip: its cost grows with the square of its length.
        min_samples: the shortest clip: a shorter one would not give one frame.
        sampling_rate_hz: what the model hears.
        too_long: a longer clip is an ``error``, or ``cut`` at its end.
        too_short: a shorter clip is an ``error``, or gets silence at its end: ``pad``.
        mean: of ``fixed``.
        std: of ``fixed``.
        variance_floor: of ``clip``.
    """

    normalize: str = "none"
    trim_silence_db: float | None = None
    max_duration_s: float = 30.0
    min_samples: int = 400
    sampling_rate_hz: int = SAMPLING_RATE_HZ
    too_long: str = "error"
    too_short: str = "error"
    mean: float = 0.0
    std: float = 1.0
    variance_floor: float = 1e-7

    def __post_init__(self) -> None:
        if self.normalize not in NORMALIZATIONS:
            raise ModelError(f"normalize must be one of {', '.join(NORMALIZATIONS)}, got {self.normalize!r}.")
        for name, cure in (("too_long", "cut"), ("too_short", "pad")):
            if getattr(self, name) not in ("error", cure):
                raise ModelError(f"{name} must be error or {cure}, got {getattr(self, name)!r}.")
        if not _is_number(self.mean) or not math.isfinite(self.mean):
            raise ModelError(f"mean must be a finite number, got {self.mean!r}.")
        for name in ("trim_silence_db", "max_duration_s", "min_samples", "sampling_rate_hz", "std", "variance_floor"):
            value: object = getattr(self, name)
            most = math.inf if name == "max_duration_s" else sys.float_info.max
            if not (_is_number(value) and 0 < value <= most) and not (name == "trim_silence_db" and value is None):
                raise ModelError(f"{name} must be a number above 0, got {value!r}.")

    @property
    def longest_decoded_s(self) -> float:
        """Longest recording, in seconds, that is decoded at all: silence around it may still be cut away."""
        if self.too_long == "cut":
            return math.inf
        return self.max_duration_s + (0.0 if self.trim_silence_db is None else _MOST_SILENCE_S)

    @property
    def most_samples(self) -> float:
        """Samples of the longest clip."""
        return self.max_duration_s * self.sampling_rate_hz

    def normalising_as(self, other: Preprocessing) -> Preprocessing:
        """The same steps with the normalisation of another."""
        names = ("normalize", "mean", "std", "variance_floor")
        return dataclasses.replace(self, **{name: getattr(other, name) for name in names})

    def trimmed(self, samples: FloatArray) -> FloatArray:
        """Cuts silence, shape (samples,) -> (samples,)."""
        if self.trim_silence_db is None:
            return samples
        return trim_silence(samples, threshold_db=self.trim_silence_db, sampling_rate_hz=self.sampling_rate_hz)

    def trim(self, samples: FloatArray) -> FloatArray:
        """Cuts silence and settles the length, shape (samples,) -> (samples,).

        Raises:
            AudioError: for a clip that is too short or too long for the model.
        """
        samples = self.trimmed(samples)
        if self.too_long == "cut" and len(samples) > self.most_samples:
            samples = samples[: int(self.most_samples)]
        if self.too_short == "pad" and len(samples) < self.min_samples:
            samples = np.pad(samples, (0, self.min_samples - len(samples)))
        duration_s = len(samples) / self.sampling_rate_hz
        if len(samples) < self.min_samples:
            least = self.min_samples / self.sampling_rate_hz
            raise AudioError(f"the clip is {duration_s:.4f} s long; the model needs at least {least:.4f} s.")
        if duration_s > self.max_duration_s:
            raise AudioError(too_long(f"{duration_s:.1f} s long", self.max_duration_s))
        return samples

    def fits(self, samples: FloatArray) -> bool:
        """Tells whether a clip, shape (samples,), has a length that the model takes."""
        return self.min_samples <= len(samples) <= self.most_samples

    def finish(self, samples: FloatArray) -> FloatArray:
        """Normalises a trimmed (and, in training, cropped and augmented) clip, shape (samples,) -> (samples,)."""
        if self.normalize == "fixed":
            samples = (samples - self.mean) / self.std
        if self.normalize == "clip":
            scale = np.sqrt(samples.var() + self.variance_floor)
            samples = samples - samples.mean()
            samples /= scale  # in place: a long clip is not held three times
        return samples.astype(np.float32, copy=False)

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Applies every step of prediction to a clip, shape (samples,) -> (samples,)."""
        return self.finish(self.trim(samples))

    def to_json(self) -> dict[str, Any]:
        """Plain fields, as stored with a model."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Reads the output of ``to_json``.

        Raises:
            ModelError: if a field is missing or unusable.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        missing = sorted(names - set(data) - set(_LATER))
        if missing:
            raise ModelError(f"preprocessor_config.json lacks {', '.join(missing)}; save the model again.")
        try:
            return cls(**{name: data[name] for name in names & set(data)})
        except ModelError as error:
            raise ModelError(f"preprocessor_config.json cannot be used: {error} Save the model again.") from error


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def batches_under(items: Iterable[Item], *, samples_of: Callable[[Item], int], limit: float) -> Iterator[list[Item]]:
    """Consecutive items in batches whose padded size stays within ``limit`` samples; a longer item goes alone.

    >>> list(batches_under([3, 3, 4, 9], samples_of=int, limit=8))
    [[3, 3], [4], [9]]
    """
    batch: list[Item] = []
    longest = 0
    for item in items:
        longest = max(longest, samples_of(item))
        if batch and longest * (len(batch) + 1) > limit:
            yield batch
            batch, longest = [], samples_of(item)
        batch.append(item)
    if batch:
        yield batch
