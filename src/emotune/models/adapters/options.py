"""The options of each adapter in a recipe."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import Literal

from pydantic import Field

from emotune.section import Section


class LoRAOptions(Section):
    """Low-rank changes beside the linear layers named in ``targets``."""

    rank: int = Field(default=8, ge=1)
    """of each change"""
    alpha: float = Field(default=16.0, gt=0)
    """scale: a change counts alpha / rank"""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """before each change"""
    targets: list[str] = Field(default=["q_proj", "v_proj"], min_length=1)
    """last parts of the names of linear layers"""


class BottleneckOptions(Section):
    """Small networks behind the named sublayers."""

    size: int = Field(default=64, ge=1)
    """width of each network"""
    after: list[Literal["attention", "feed_forward"]] = Field(default=["feed_forward"], min_length=1)
    """the sublayers that get one"""


class PeftOptions(Section):
    """A method of the library PEFT on the linear layers named in ``targets``."""

    method: Literal["dora", "rslora", "ia3"] = "dora"
    """of the library"""
    rank: int = Field(default=8, ge=1)
    """of each change; not of ia3"""
    alpha: float = Field(default=16.0, gt=0)
    """scale of each change; not of ia3"""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """before each change; not of ia3"""
    targets: list[str] = Field(default=["q_proj", "v_proj"], min_length=1)
    """last parts of the names of linear layers"""


class TaskVectorOptions(Section):
    """Models that were trained from the encoder, merged into it layer by layer with learnt coefficients."""

    models: list[str] = Field(min_length=1)
    """run or model folders, encoders, or hf:owner/name; a protocol's folder stands for the run of each fold"""
    initial: float | None = Field(default=None, ge=0, le=1)
    """where each coefficient starts: 0 is the encoder, 1 the model; null = 1 / number of models"""
