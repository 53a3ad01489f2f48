"""The options of those poolings that have a section in a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from emotune.section import Section


class CovarianceOptions(Section):
    """Second-order pooling of features that are projected to ``size`` first."""

    size: int = Field(default=32, ge=2, le=256)
    """features that are projected to; the pooled vector has size (size + 1) / 2"""


class ProjectedMeanOptions(Section):
    """Mean behind a small network that sees each frame alone."""

    sizes: list[Annotated[int, Field(ge=1)]] = Field(default=[256, 256, 256], min_length=1)
    """outputs of its layers"""


class RefinedMeanOptions(Section):
    """Mean of frames to which a small network has added what it learnt."""

    hidden_size: int = Field(default=256, ge=1)
    """of the network's hidden layer"""
