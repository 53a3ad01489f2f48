"""Options of each view in a recipe."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from emotune.models.aggregations import POOLINGS
from emotune.models.backbones import BACKBONES
from emotune.section import OneOf, Section


class DescriptorsView(Section):
    """Paralinguistic descriptors, standardised over the training clips, through two layers."""

    features: int = Field(default=256, ge=1)
    """width of both layers"""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """between them"""


class MelView(Section):
    """A log-mel spectrogram through a small convolutional network."""

    features: int = Field(default=256, ge=1)
    """channels of the last convolution"""
    bins: int = Field(default=80, ge=8)
    """of the spectrogram"""


class EncoderView(Section):
    """States of another encoder, mixed and pooled; the encoder stays as it is."""

    family: Annotated[str, OneOf(BACKBONES.kind, BACKBONES)]
    """the encoder's family"""
    checkpoint: str | None = None
    """Hub name or local folder; or config: {...} for random weights"""
    config: dict[str, Any] | None = None
    """keys of the published config.json, for random weights in place of checkpoint"""
    layers: int | None = Field(default=None, ge=1)
    """keep the first k"""
    pooling: Annotated[str, OneOf(POOLINGS.kind, POOLINGS)] = "mean_std"
    """how frames become one vector"""

    @model_validator(mode="after")
    def _one_source(self) -> EncoderView:
        if (self.checkpoint is None) == (self.config is None):
            raise ValueError("give either checkpoint (Hub name or folder) or config (random weights)")
        return self
