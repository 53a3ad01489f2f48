"""Sampling of training utterances: by class, by corpus, or not at all."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from emotune.registry import unknown_name_message
from emotune.section import Section


class SamplingSection(Section):
    """Draws of the training utterances of an epoch, which are as many as there are.

    Without ``by`` every utterance comes once. With it, each group's share is its size to the ``power``: those of a
    small group come several times, each time augmented anew, and of a large group a random part comes.
    ``sampling: natural`` and ``sampling: balanced`` are short for {by: null} and {by: class}.
    """

    by: Literal["class", "corpus", "corpus_and_class"] | None = None
    """the groups; corpus is the column of `emotune corpus join`; null = every utterance once"""
    power: float = Field(default=0.0, ge=0, le=1)
    """0 = groups equally often, 1 = as often as they are large"""

    @model_validator(mode="after")
    def _power_of_groups(self) -> SamplingSection:
        if self.by is None and self.power:
            raise ValueError("power needs by: class, corpus or corpus_and_class")
        return self


_SAMPLINGS = {"natural": SamplingSection(), "balanced": SamplingSection(by="class")}


def _sampling_of(value: object) -> object:
    """A word as the section that it is short for."""
    if not isinstance(value, str):
        return value
    if value not in _SAMPLINGS:
        raise ValueError(
            unknown_name_message("sampling", value, _SAMPLINGS) + " Or a section such as {by: corpus, power: 0.5}."
        )
    return _SAMPLINGS[value]


Sampling = Annotated[SamplingSection, BeforeValidator(_sampling_of)]
