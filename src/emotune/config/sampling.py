"""Sampling of training utterances: by class, by corpus, or not at all."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from emotune.registry import unknown_name_message
from emotune.section import Section


class CurriculumSection(Section):
    """Utterances that annotators agreed on first: of the lowest entropies of votes a share that rises to all.

    Reference:
        The entropy curriculum (Interspeech 2026; read second-hand): shares .5, .6, .8, .9, 1 from epochs 0, 1, 3, 7, 11
        (counted from 0); the reversed order was worse. That epochs keep their length is ours.
    """

    shares: list[Annotated[float, Field(gt=0, le=1)]] = Field(default=[0.5, 0.6, 0.8, 0.9, 1.0], min_length=2)
    """of the training utterances, rising to 1"""
    epochs: list[Annotated[int, Field(ge=0)]] = Field(default=[0, 1, 3, 7, 11], min_length=2)
    """the epoch, counted from 0, from which each share counts"""

    @model_validator(mode="after")
    def _rising(self) -> CurriculumSection:
        if len(self.shares) != len(self.epochs):
            raise ValueError(f"{len(self.shares)} shares need as many epochs, got {len(self.epochs)}")
        if self.epochs[0] != 0 or self.shares[-1] != 1.0:
            raise ValueError(
                f"the first epoch must be 0 and the last share 1, got {self.epochs[0]} and {self.shares[-1]:g}"
            )
        for name, values in (("shares", self.shares), ("epochs", self.epochs)):
            if any(later <= earlier for earlier, later in pairwise(values)):
                raise ValueError(f"{name} must rise, got {values}")
        return self


class SamplingSection(Section):
    """Draws of the training utterances of an epoch, which are as many as there are.

    Without ``by`` every utterance comes once. With it, each group's share is its size to the ``power``: those of a
    small group come several times, each time augmented anew, and of a large group a random part comes. Without
    ``repeats`` no utterance comes twice: an epoch is as short as the scarcest group makes it.
    ``sampling: natural`` and ``sampling: balanced`` are short for {by: null} and {by: class}.
    """

    by: Literal["class", "corpus", "corpus_and_class", "language"] | None = None
    """the groups; corpus is the column of `emotune corpus join`; null = every utterance once"""
    power: float = Field(default=0.0, ge=0, le=1)
    """0 = groups equally often, 1 = as often as they are large"""
    from_epoch: int = Field(default=0, ge=0)
    """every utterance once before this epoch, counted from 0: a second stage, as MEDUSA's from epoch 4 on"""
    repeats: bool = True
    """false = undersampling: no utterance comes twice in an epoch, which is shorter for it"""

    @model_validator(mode="after")
    def _power_of_groups(self) -> SamplingSection:
        for name in ("power", "from_epoch", "repeats"):
            if self.by is None and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} needs by: class, corpus, corpus_and_class or language")
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
