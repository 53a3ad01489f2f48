"""Inaudible clips: a model answers them like any other, and its answer means nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FAINT_PEAK = 0.001  # 60 dB under full scale
CANCELLED = 10 ** (-30 / 20)  # of the loudest channel's peak is left of the sum of all channels
_EDGE_S = 0.02  # a resampled constant swings at its ends
_SHORT_S = 0.1  # all of a shorter clip counts

Kind = Literal["silent", "constant", "faint", "cancelled"]
KINDS: tuple[Kind, ...] = ("silent", "constant", "faint", "cancelled")


@dataclass(frozen=True)
class Unheard:
    """Reason why nothing can be heard in a clip: a word for machines, and more words for people."""

    kind: Kind
    words: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.words}"


def unheard(heard: NDArray[np.floating], *, sampling_rate_hz: int, channels: int, peak: float) -> Unheard | None:
    """Finds the reason why nothing can be heard in a clip, None where something can.

    Args:
        heard: the clip as a model hears it, the mean of its channels or one of them, shape (samples,).
        sampling_rate_hz: of these samples.
        channels: how many they are the mean of.
        peak: the largest magnitude in any of these channels.

    >>> time = np.arange(16000) / 16000
    >>> print(unheard(np.zeros(16000), sampling_rate_hz=16000, channels=1, peak=0.0))
    silent: every sample is 0
    >>> print(unheard(np.full(16000, 0.25), sampling_rate_hz=16000, channels=1, peak=0.25))
    constant: every sample is about 0.25
    >>> print(unheard(np.sin(440 * time), sampling_rate_hz=16000, channels=1, peak=1.0))
    None
    """
    if peak == 0:
        return Unheard("silent", "every sample is 0")
    edge = round(_EDGE_S * sampling_rate_hz)
    inner = heard[edge:-edge] if len(heard) > _SHORT_S * sampling_rate_hz else heard
    low, high = float(inner.min()), float(inner.max())
    if channels > 1 and peak >= FAINT_PEAK and max(high, -low) * channels < CANCELLED * peak:
        return Unheard("cancelled", f"its {channels} channels cancel each other in their mean; choose one of them")
    if (high - low) / 2 >= FAINT_PEAK:
        return None
    middle = (high + low) / 2
    if abs(middle) >= FAINT_PEAK:
        return Unheard("constant", f"every sample is about {middle:.2g}")
    return Unheard("faint", "it stays 60 dB under full scale")
