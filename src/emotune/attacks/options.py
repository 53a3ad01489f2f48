"""Options of each attack; lengths are in the units of what is changed, or relative to the clip's own level."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from emotune.section import Section

Domain = Literal["waveform", "log_mel"]
"""Input that an attack changes: the samples, or the spectrogram that an encoder such as Whisper's makes of them."""


class AttackOptions(Section):
    """Options that every attack has; options of other packages begin with this."""

    domain: Domain = "waveform"
    """waveform, or log_mel: the spectrogram of an encoder that hears one"""

    @property
    def strength(self) -> str:
        """Reach of the attack, in words."""
        return "as little as it takes"


class BoundedOptions(AttackOptions):
    """Attack that changes no number by more than a bound: ``epsilon``, or by ``snr_db``."""

    epsilon: float | None = Field(default=None, ge=0)
    """largest change: of a sample, full scale being 1; of a log-mel bin, Whisper's 0.025 being 1 dB"""
    snr_db: float | None = Field(default=None, ge=-20, le=120)
    """waveform: the bound is the clip's root mean square, so many dB lower; the change is never louder than that"""

    @model_validator(mode="after")
    def _one_bound(self) -> BoundedOptions:
        if (self.epsilon is None) == (self.snr_db is None):
            raise ValueError("expected one of epsilon and snr_db, such as snr_db=30")
        if self.snr_db is not None and self.domain == "log_mel":
            raise ValueError("snr_db is about sound, and log_mel is a spectrogram: give epsilon, such as epsilon=0.025")
        return self

    @property
    def strength(self) -> str:
        return f"{self.snr_db:g} dB under the speech" if self.snr_db is not None else f"epsilon {self.epsilon:g}"


class StepOptions(BoundedOptions):
    """Bounded attack of several steps."""

    steps: int = Field(default=10, ge=1, le=10000)
    """gradients that are taken"""

    @property
    def strength(self) -> str:
        return f"{super().strength}, {self.steps} steps"


class DeepFoolOptions(AttackOptions):
    """Nearest boundary between classes, as if these were linear."""

    steps: int = Field(default=30, ge=1, le=10000)
    """linearisations at most"""
    overshoot: float = Field(default=0.02, ge=0, le=1)
    """share of the way beyond the boundary"""


class CarliniWagnerL2Options(AttackOptions):
    """Smallest sum of squares, by descent."""

    rounds: int = Field(default=4, ge=1, le=30)
    """weights of the classes against the size of the change that are tried, by bisection"""
    steps: int = Field(default=30, ge=1, le=10000)
    """steps of descent in each round"""
    rate: float = Field(default=0.003, gt=0, le=1)
    """length of a step, as a share of the clip's root mean square"""
    confidence: float = Field(default=0.0, ge=0)
    """how far the wrong class must lead, in logits"""


class CarliniWagnerLinfOptions(CarliniWagnerL2Options):
    """Smallest largest change, by descent under a bound that shrinks."""

    rounds: int = Field(default=8, ge=1, le=100)
    """bounds that are tried, each below the last that was kept"""
    shrink: float = Field(default=0.7, gt=0, lt=1)
    """each bound as a share of the last one"""


class JSMAOptions(AttackOptions):
    """Few numbers, each changed as far as it may, those first that matter most."""

    share: float = Field(default=0.05, gt=0, le=1)
    """of all numbers that may be changed"""
    together: float = Field(default=0.005, gt=0, le=1)
    """share that is changed between two looks at the gradient"""
    change: float = Field(default=1.0, gt=0)
    """of a number, in standard deviations of the clip"""

    @property
    def strength(self) -> str:
        return f"{self.share * 100:g} % of the numbers at most"


class SparseOptions(AttackOptions):
    """Few numbers, found by differential evolution from the scores alone."""

    count: int = Field(default=20, ge=1, le=100000)
    """numbers that are changed"""
    change: float = Field(default=4.0, gt=0)
    """of a number at most, in standard deviations of the clip"""
    population: int = Field(default=16, ge=4, le=1000)
    """candidates"""
    generations: int = Field(default=20, ge=1, le=10000)
    """times that the candidates are bred"""

    @property
    def strength(self) -> str:
        return f"{self.count} numbers"


class HopSkipJumpOptions(AttackOptions):
    """Nearest boundary, from the decisions alone."""

    iterations: int = Field(default=8, ge=1, le=1000)
    """times that the boundary is found and followed"""
    queries: int = Field(default=24, ge=2, le=10000)
    """decisions for the first estimate of the boundary's direction; iteration t asks for as many times sqrt(t)"""
