"""Predictions of several systems for the same utterances as one array, beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emotune.errors import TableError
from emotune.metrics.division import FloatArray
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of several systems.

    Args:
        utterance_ids: in the order of the rows.
        space: of all systems: either their classes or their dimensions.
        values: probabilities or dimensions on their scale, shape (systems, utterances, outputs); NaN where failed.
    """

    utterance_ids: tuple[str, ...]
    space: LabelSpace
    values: FloatArray

    @cached_property
    def answered(self) -> NDArray[np.bool_]:
        """Mask of answers, shape (systems, utterances)."""
        return np.asarray(np.isfinite(self.values).all(axis=2))


def task_space(named: Mapping[str, Predictions], *, of_classes: bool) -> LabelSpace:
    """The classes, or the dimensions with their scales, that all systems predict.

    Raises:
        TableError: when a system has none, or others than the first one.
    """
    what = "classes" if of_classes else "dimensions"
    spaces = {
        name: LabelSpace(table.label_space.classes) if of_classes else LabelSpace((), table.label_space.dimensions)
        for name, table in named.items()
    }
    first, space = next(iter(spaces.items()))
    for name, other in spaces.items():
        if other == LabelSpace():
            cure = "--metric ccc" if of_classes else "--metric macro_f1"
            raise TableError(
                f"{name} predicts no {what}. Fuse systems that all do; {cure} fuses what else they predict."
            )
        if sorted(other.classes) != sorted(space.classes) or other.dimensions != space.dimensions:
            raise TableError(
                f"{first} and {name} predict different {what} ({_listed(space)}; {_listed(other)}). Fuse systems that"
                " were trained on the same ones."
            )
    return space


def stack_answers(named: Mapping[str, Predictions], space: LabelSpace, utterance_ids: Sequence[str]) -> Answers:
    """The systems' answers on some utterances.

    Raises:
        TableError: when a system has no row for one of them.
    """
    blocks = []
    outputs = [*space.classes, *space.dimensions]
    for name, table in named.items():
        rows = table.by_id()
        missing = [key for key in utterance_ids if key not in rows]
        if missing:
            raise TableError(
                f"{name} has no row for {len(missing)} of {len(utterance_ids)} utterances, such as {missing[0]}."
                " Predict the same utterances with every system."
            )
        blocks.append([[_value(rows[key], output, space) for output in outputs] for key in utterance_ids])
    return Answers(tuple(utterance_ids), space, np.array(blocks, dtype=float).reshape(len(named), -1, len(outputs)))


def truth_of(manifest: Manifest, space: LabelSpace) -> FloatArray:
    """Class indices as floats, shape (utterances,), or values of the dimensions, (utterances, dimensions); else NaN."""
    if space.classes:
        index = {name: float(number) for number, name in enumerate(space.classes)}
        return np.array([index.get(utterance.emotion or "", np.nan) for utterance in manifest])
    rows = [[utterance.dimensions.get(name, np.nan) for name in space.dimensions] for utterance in manifest]
    return np.array(rows, dtype=float).reshape(-1, len(space.dimensions))


def known(truth: FloatArray) -> NDArray[np.bool_]:
    """Mask of the utterances with a class, or at least one dimension, shape (utterances,)."""
    there = np.isfinite(truth)
    return there if truth.ndim == 1 else np.asarray(there.any(axis=1))


def _value(row: Prediction, output: str, space: LabelSpace) -> float:
    if row.error:
        return np.nan
    return (row.probabilities if space.classes else row.dimensions)[output]


def _listed(space: LabelSpace) -> str:
    scales = (f"{name} [{scale.low:g}, {scale.high:g}]" for name, scale in space.dimensions.items())
    return ", ".join([*space.classes, *scales]) or "none"
