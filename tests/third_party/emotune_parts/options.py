"""The options of the parts; nothing here needs torch."""

from types import MappingProxyType

from pydantic import Field

from emotune.data.augmentations.options import StepOptions
from emotune.losses.options import LossOptions
from emotune.section import Section


class HingeOptions(LossOptions):
    """Margin between the true class and the others."""

    margin: float = Field(default=1.0, gt=0)
    """between the score of the true class and the best other one"""


class LargestOptions(Section):
    """The mean of the largest values over time."""

    share: float = Field(default=0.5, gt=0, le=1)
    """of all frames, that count"""


class MiddleOptions(Section):
    """One state, between the first and the last."""

    place: float = Field(default=0.5, ge=0, le=1)
    """0 = the first state, 1 = the last"""


class NormsOptions(Section):
    """The norms of the layers train."""

    biases: bool = True
    """of the norms, beside their scales"""


class FlipOptions(StepOptions):
    """The clip upside down."""

    times: float = Field(default=1.0, gt=0)
    """as loud as before"""


LADDER = MappingProxyType({"size": 16, "rungs": 2})
"""Keys of the encoder's config.json with their defaults."""
