"""Adaptation of a model to a collection: a shift for each speaker or recording, and one for the corpus."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.errors import ConfigError, ModelError
from emotune.inference.adaptation.groups import WAYS, group_of, groups_of
from emotune.inference.adaptation.rule import Shift, corpus_shift_of, offsets_of, shift_of
from emotune.inference.items import Item
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.prior import with_offsets

COLUMN = "adapted_by"
"""column of predictions that says which shifts moved a row"""


@dataclass(frozen=True)
class Adaptation:
    """Shifts of the classes' log-probabilities that were found without labels.

    Args:
        by: auto, speaker or recording: the clips that belong together.
        classes: of the model, in the order of a shift's means.
        groups: shift of each speaker or recording, see ``group_of``.
        corpus: of all clips together; None where there was one group.
    """

    by: str
    classes: tuple[str, ...]
    groups: Mapping[str, Shift]
    corpus: Shift | None

    @property
    def moved(self) -> int:
        """Number of groups with a shift of their own."""
        return sum(shift.strength > 0 for shift in self.groups.values())

    def in_words(self) -> str:
        """A sentence on what moves: ``adapted: 12 of 24 speakers or recordings by themselves, ...``."""
        if not self.moved and (self.corpus is None or self.corpus.strength == 0):
            why = "each group has one clip, or clips that seem to be in one mood"
            return f"nothing is moved: the answers are the plain ones, since {why}"
        own = f"adapted: {self.moved} of {len(self.groups)} groups by shifts of their own"
        if self.corpus is None:
            return f"{own}; the others keep the plain answer"
        if self.corpus.strength == 0:
            return f"{own}; no shift of all {self.corpus.clips} clips together is trusted"
        return (
            f"{own}; where those are not trusted, {self.corpus.strength:.2f} of that of all {self.corpus.clips} clips"
        )

    def answer(self, row: Prediction, item: Item, *, answered_from: float = 0.0) -> Prediction:
        """The row moved by the shifts of its item's group; the row's own numbers, to the bit, where nothing moves it.

        Args:
            row: plain answer of the model.
            item: that it answers.
            answered_from: confidence under which the model abstains.
        """
        if not row.probabilities:
            return row
        group = group_of(item, self.by)
        own = None if group is None else self.groups.get(group)
        said = dataclasses.replace(row, extra={**row.extra, COLUMN: self._words(group, own)})
        offsets = offsets_of(own, self.corpus)
        if offsets is None:
            return said
        values = with_offsets([[row.probabilities[name] for name in self.classes]], offsets)[0].tolist()
        probabilities = dict(zip(self.classes, values, strict=True))
        return dataclasses.replace(said, probabilities=probabilities, uncertain=max(values) < answered_from)

    def _words(self, group: str | None, own: Shift | None) -> str:
        """Statistics that move a row: ``speaker 03 (0.80 of 34 clips), corpus (0.12 of 300 clips)``, or ``nothing``."""
        share = 0.0 if own is None else own.strength
        rest = 0.0 if self.corpus is None else (1 - share) * self.corpus.strength
        parts = ((group, share, own), ("corpus", rest, self.corpus))
        used = [f"{name} ({part:.2f} of {shift.clips} clips)" for name, part, shift in parts if shift and part > 0]
        return ", ".join(used) or "nothing"

    def answers(self, rows: Predictions, items: Sequence[Item], *, answered_from: float = 0.0) -> Predictions:
        """Predictions moved as ``answer`` moves each; they are no longer the plain model's, and lose its fingerprint.

        Args:
            rows: plain predictions, one an item.
            items: in the same order.
            answered_from: see ``answer``.
        """
        moved = (self.answer(row, item, answered_from=answered_from) for row, item in zip(rows, items, strict=True))
        return dataclasses.replace(rows, rows=tuple(moved), model_fingerprint=None, adaptation=self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain fields, as stored with an adapted model and beside a table."""
        return {
            "by": self.by,
            "classes": list(self.classes),
            "corpus": None if self.corpus is None else _plain(self.corpus),
            "groups": {name: _plain(shift) for name, shift in self.groups.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Adaptation:
        """Reads the output of ``to_json``.

        Raises:
            ModelError: for anything else.
        """
        try:
            by, classes = data["by"], tuple(map(str, data["classes"]))
            groups = {str(name): _shift(about, len(classes)) for name, about in data["groups"].items()}
            corpus = None if data["corpus"] is None else _shift(data["corpus"], len(classes))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"an adaptation must hold by, classes, corpus and groups ({error}).") from error
        if by not in WAYS:
            raise ModelError(f"'{by}' is no way to adapt; known: {', '.join(WAYS)}.")
        return cls(by, classes, groups, corpus)


def _plain(shift: Shift) -> dict[str, Any]:
    return {"clips": shift.clips, "mean": list(shift.mean), "strength": shift.strength}


def _shift(about: Mapping[str, Any], classes: int) -> Shift:
    shift = Shift(int(about["clips"]), tuple(map(float, about["mean"])), float(about["strength"]))
    if len(shift.mean) != classes or not all(map(math.isfinite, shift.mean)):
        raise ValueError(f"a mean must be {classes} finite numbers")
    if shift.clips < 1 or not 0 <= shift.strength <= 1:
        raise ValueError("clips must be at least 1, and a strength from 0 to 1")
    return shift


def adaptation_to(rows: Predictions, items: Sequence[Item], *, by: str = "auto") -> Adaptation:
    """Finds the shifts for a collection from the model's plain answers; failed rows count for nothing.

    Args:
        rows: plain predictions, one an item.
        items: in the same order.
        by: ``speaker``, ``recording``, or ``auto``: by speaker where that is known, else by recording.

    Raises:
        ConfigError: for a model without classes, an unknown way, or by speaker where one is not known.
    """
    classes = classes_of(rows.label_space)
    found: dict[str, list[list[float]]] = {}
    for row, group in zip(rows, groups_of(items, by), strict=True):
        if row.probabilities:
            found.setdefault(group, []).append([row.probabilities[name] for name in classes])
    groups = {name: shift_of(answers) for name, answers in sorted(found.items())}
    corpus = None
    if len(groups) > 1:
        corpus = corpus_shift_of(np.concatenate([found[name] for name in groups]), list(groups.values()))
    return Adaptation(by, classes, groups, corpus)


def classes_of(space: LabelSpace) -> tuple[str, ...]:
    """Classes of a model that can be adapted.

    Raises:
        ConfigError: where there are none.
    """
    if not space.classes:
        raise ConfigError("The model has no classes, and it is classes that are adapted: leave the adapting out.")
    return space.classes
