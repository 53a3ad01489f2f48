"""The options of those steps of augmentation that have a section in a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from emotune.data.augmentations.channel import CODECS
from emotune.data.augmentations.noise import COLOURS
from emotune.section import OneOf, Section, UserPath


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"expected [lowest, highest], got {list(bounds)}")
    return bounds


Level = Annotated[float, Field(ge=-60, le=120)]
Decibels = Annotated[tuple[Level, Level], AfterValidator(_ordered)]
RoomSeconds = Annotated[float, Field(gt=0, le=10)]
Probability = Annotated[float, Field(ge=0, le=1)]


class StepOptions(Section):
    """The probability of a step; options of other packages begin with this."""

    probability: Probability | None = None
    """of this step; null = that of all"""


class MixOptions(Section):
    """Mixing with another clip, labels with labels; a small ``alpha`` leaves one of the two in front."""

    alpha: float = Field(default=0.4, gt=0, le=100)
    """of the Beta distribution of the two shares; a small one leaves one clip in front"""
    probability: Probability = 0.5
    """of this step"""


class StateMixOptions(MixOptions):
    """Mixing of what the encoder gives for the clips of a batch, labels with labels: manifold mixup."""

    at: Literal["states", "features"] = "states"
    """states: frames of all layers; features: pooled vectors"""


class ReverberationOptions(StepOptions):
    """A simulated room (0.2 to 0.8 s, 0 to 10 dB where not given), or a recorded impulse response from ``folder``."""

    rt60_s: Annotated[tuple[RoomSeconds, RoomSeconds], AfterValidator(_ordered)] | None = None
    """seconds in which a simulated room's sound falls by 60 dB"""
    direct_db: Decibels | None = None
    """level of the direct sound over the room's"""
    folder: UserPath | None = None
    """recorded impulse responses instead"""

    @model_validator(mode="after")
    def _one_source(self) -> ReverberationOptions:
        if self.folder is not None and (self.rt60_s or self.direct_db):
            raise ValueError("rt60_s and direct_db are of simulated rooms: leave them out, or leave out folder")
        return self


class NoiseOptions(StepOptions):
    """Noise (white where no ``colour`` is given), or recordings of it from ``folder``, at a random ratio to speech."""

    snr_db: Decibels = (10.0, 30.0)
    """level of speech over noise"""
    colour: Annotated[str, OneOf("colour", COLOURS)] | None = None
    """of the noise; null = white"""
    folder: UserPath | None = None
    """recordings of noise instead"""

    @model_validator(mode="after")
    def _one_source(self) -> NoiseOptions:
        if self.folder is not None and self.colour is not None:
            raise ValueError("colour is of our own noise: leave it out, or leave out folder")
        return self


class TelephoneOptions(StepOptions):
    """The telephone's band alone."""


class CompressionOptions(StepOptions):
    """A random one of the named codecs."""

    codecs: list[Annotated[str, OneOf("codec", CODECS)]] = Field(default=sorted(CODECS), min_length=1)
    """of which a random one is taken"""
