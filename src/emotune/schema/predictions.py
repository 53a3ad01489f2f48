"""Prediction table: one row an utterance, all that scoring and comparison know of a model; it holds no truth."""

from __future__ import annotations

import dataclasses
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotune.errors import TableError, quoted
from emotune.io.cells import number_or_none, text_or_none
from emotune.io.tables import Row, metadata_path, own_columns, read_json, read_rows, write_rows
from emotune.schema.calibration import UNCERTAIN
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import label_space_of
from emotune.schema.native_tables import native_table
from emotune.schema.notebook_view import view_of_one, view_of_table
from emotune.schema.run_folder import RunFolder

SCHEMA = "emotune-predictions/1"
TABLE = "predictions.csv"
"""The name of a table in a folder of results."""


@dataclass(frozen=True)
class Prediction:
    """Prediction for one utterance, or the error that prevented it.

    Args:
        utterance_id: the manifest's id, or the file's name for loose files.
        probabilities: class -> probability, summing to one; empty for a model without classes or a failed clip.
        dimensions: dimension -> value on its scale.
        conditions_used: which conditions the model was given (label, predicted, unknown); empty without any.
        error: why there is no prediction; None when there is one.
        uncertain: the model abstains: its confidence is under the threshold that was asked for.
        extra: the user's own columns, carried along.
        warning: why nothing can be heard in the clip, see ``audio.decoding.audibility``; the answer is as without it.
    """

    utterance_id: str
    probabilities: Mapping[str, float] = field(default_factory=dict[str, float])
    dimensions: Mapping[str, float] = field(default_factory=dict[str, float])
    conditions_used: str | None = None
    error: str | None = None
    uncertain: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    warning: str | None = None

    @property
    def emotion(self) -> str | None:
        """The most probable class, ``uncertain`` where the model abstains, None where there are no probabilities."""
        if self.uncertain:
            return UNCERTAIN
        return self.most_probable

    @property
    def most_probable(self) -> str | None:
        """The most probable class, whether the model abstains or not; None where there are no probabilities."""
        return max(self.probabilities, key=self.probabilities.__getitem__) if self.probabilities else None

    @property
    def confidence(self) -> float | None:
        """The largest probability; None where there are none."""
        return max(self.probabilities.values(), default=None)

    def _repr_html_(self) -> str:
        return view_of_one(self)


@dataclass(frozen=True)
class Predictions:
    """Predictions of one model, with the label space they are in and where they come from.

    ``emotion`` in a written table is the most probable class or ``uncertain``; reading derives the class anew.
    ``precision`` tells how far they lie from exact ones where the model did not compute exactly, see
    ``inference.agreement``. ``adaptation`` holds the statistics of the collection that moved the answers, see
    ``inference.adaptation``. Below a confidence of ``uncertain_below`` the model abstained; None where it is not known.
    """

    rows: tuple[Prediction, ...]
    label_space: LabelSpace
    model_fingerprint: str | None = None
    manifest_fingerprint: str | None = None
    adaptation: Mapping[str, Any] | None = None
    precision: Mapping[str, Any] | None = None
    uncertain_below: float | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.rows)

    def by_id(self) -> dict[str, Prediction]:
        """Predictions by utterance_id."""
        return {row.utterance_id: row for row in self.rows}

    @property
    def failed(self) -> tuple[Prediction, ...]:
        """Rows with an error."""
        return tuple(row for row in self.rows if row.error)

    def with_rows_of(self, other: Predictions) -> Predictions:
        """The same table with the rows of another in place of its own of the same ids."""
        others = other.by_id()
        return dataclasses.replace(self, rows=tuple(others.get(row.utterance_id, row) for row in self.rows))

    @property
    def warnings(self) -> dict[str, str]:
        """utterance_id -> warning, of the rows that have one."""
        return {row.utterance_id: row.warning for row in self.rows if row.warning}

    def columns(self) -> list[str]:
        """The columns of the table: the id, the user's own, then the prediction."""
        extra = list(dict.fromkeys(name for row in self.rows for name in self._own_columns(row)))
        return ["utterance_id", *extra, *_predicted_columns(self.label_space)]

    def _own_columns(self, row: Prediction) -> dict[str, Any]:
        return own_columns(row.extra, {"utterance_id", *_predicted_columns(self.label_space)})

    def to_rows(self) -> list[Row]:
        """One dictionary a prediction, by column."""
        rows: list[Row] = []
        for row in self.rows:
            cells: Row = {"utterance_id": row.utterance_id, **self._own_columns(row)}
            if self.label_space.classes:
                cells["emotion"] = row.emotion
            cells.update({f"p.{name}": row.probabilities.get(name) for name in self.label_space.classes})
            if self.label_space.classes:
                cells["confidence"] = row.confidence
            cells.update({name: row.dimensions.get(name) for name in self.label_space.dimensions})
            rows.append(cells | {"conditions_used": row.conditions_used, "warning": row.warning, "error": row.error})
        return rows

    def write(self, path: str | os.PathLike[str], *, spreadsheet_safe: bool = False) -> None:
        """Writes table and metadata atomically; the suffix chooses the format. See ``emotune.io.tables.write_rows``."""
        metadata = {
            "schema": SCHEMA,
            **self.label_space.to_json(),
            "model_fingerprint": self.model_fingerprint,
            "manifest_fingerprint": self.manifest_fingerprint,
            **({} if self.adaptation is None else {"adaptation": self.adaptation}),
            **({} if self.precision is None else {"precision": self.precision}),
            **({} if self.uncertain_below is None else {"uncertain_below": self.uncertain_below}),
        }
        write_rows(
            Path(path),
            self.columns(),
            self.to_rows(),
            metadata,
            numbers=self._numbers(),
            spreadsheet_safe=spreadsheet_safe,
        )

    def _numbers(self) -> list[str]:
        """The columns that are numbers even where all of them are missing."""
        return _number_columns(self.label_space)

    def to_pandas(self) -> Any:
        """The table as a ``pandas.DataFrame``: ``columns`` in their order, NaN where a value is missing.

        Raises:
            ConfigError: where pandas is not installed.
        """
        return native_table(self.columns(), self.to_rows(), self._numbers(), "pandas")

    def to_polars(self) -> Any:
        """The table as a ``polars.DataFrame``, null where a value is missing.

        Raises:
            ConfigError: where Polars is not installed.
        """
        return native_table(self.columns(), self.to_rows(), self._numbers(), "polars")

    def to_arrow(self) -> Any:
        """The table as a ``pyarrow.Table``, null where a value is missing.

        Raises:
            ConfigError: where pyarrow is not installed.
        """
        return native_table(self.columns(), self.to_rows(), self._numbers(), "pyarrow")

    def _repr_html_(self) -> str:
        return view_of_table(self)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Predictions:
        """Reads a prediction table that emotune wrote.

        Raises:
            TableError: for a file that is not one, naming file, row and field.
        """
        path = Path(path)
        rows = read_rows(path)
        if not metadata_path(path).exists():
            raise TableError(
                f"{metadata_path(path)} does not exist: emotune writes it beside each table of predictions: copy it."
                f' For a table of another system write {{"schema": "{SCHEMA}", "classes": [...], "dimensions": {{}}}}.'
            )
        metadata = read_json(metadata_path(path), "The metadata file of a prediction table,")
        if metadata.get("schema") != SCHEMA:
            raise TableError(
                f"{metadata_path(path)}: schema is {quoted(metadata.get('schema'))}, this version reads {SCHEMA!r}."
            )
        label_space = label_space_of(metadata, path)
        predictions = [_from_row(row, f"{path}, row {n}", label_space) for n, row in enumerate(rows, start=1)]
        repeated = [key for key, count in Counter(p.utterance_id for p in predictions).items() if count > 1]
        if repeated:
            raise TableError(f"{path}: utterance_id must be unique, '{repeated[0]}' appears more than once.")
        about = ("model_fingerprint", "manifest_fingerprint", "adaptation", "precision", "uncertain_below")
        named = (metadata.get(name) for name in about)
        return cls(tuple(predictions), label_space, *named)


def _predicted_columns(space: LabelSpace) -> list[str]:
    emotion = ["emotion"] if space.classes else []
    return [*emotion, *_number_columns(space), "conditions_used", "warning", "error"]


def _number_columns(space: LabelSpace) -> list[str]:
    confidence = ["confidence"] if space.classes else []
    return [*(f"p.{name}" for name in space.classes), *confidence, *space.dimensions]


def _from_row(row: Row, where: str, label_space: LabelSpace) -> Prediction:
    utterance_id = text_or_none(row.get("utterance_id"), f"{where}, utterance_id")
    if utterance_id is None:
        raise TableError(f"{where}: utterance_id is missing.")
    error = text_or_none(row.get("error"), f"{where}, error")
    probabilities = _numbers(row, where, {f"p.{name}": name for name in label_space.classes}, bool(error))
    dimensions = _numbers(row, where, {name: name for name in label_space.dimensions}, bool(error))
    for name, value in probabilities.items():
        if not -1e-6 <= value <= 1 + 1e-6:
            raise TableError(f"{where}, p.{name}: {value} is no probability, expected a number from 0 to 1.")
    for name, value in dimensions.items():
        scale = label_space.dimensions[name]
        if not scale.low <= value <= scale.high:
            raise TableError(f"{where}: {name} is {value}, outside its scale [{scale.low}, {scale.high}].")
    if probabilities and not math.isclose(sum(probabilities.values()), 1.0, abs_tol=1e-3):
        raise TableError(f"{where}: the probabilities sum to {sum(probabilities.values()):.4f}, expected 1.")
    known = {"utterance_id", *_predicted_columns(label_space)}
    extra = {name: value for name, value in row.items() if name not in known}
    abstains = "emotion" in known and UNCERTAIN not in label_space.classes and row.get("emotion") == UNCERTAIN
    return Prediction(
        utterance_id,
        probabilities,
        dimensions,
        text_or_none(row.get("conditions_used"), f"{where}, conditions_used"),
        error,
        abstains,
        extra,
        text_or_none(row.get("warning"), f"{where}, warning"),
    )


def _numbers(row: Row, where: str, columns: Mapping[str, str], may_be_empty: bool) -> dict[str, float]:
    values: dict[str, float] = {}
    for column, name in columns.items():
        number = number_or_none(row.get(column), f"{where}, {column}")
        if number is not None:
            values[name] = number
        elif not may_be_empty:
            raise TableError(f"{where}, {column}: a value is missing, and the row names no error.")
    return values


def predictions_of(run: RunFolder, split: str) -> Predictions:
    """Predictions of a run for one split.

    Raises:
        TableError: when it has no such predictions, naming those that it has.
    """
    path = run.predictions(split)
    if not run.path.exists():
        raise TableError(f"{run.path} does not exist. Give a run folder.")
    if not path.exists():
        raise TableError(
            f"{run.path} has no {split}/{path.name}; it has predictions of: {_results_in(run.path)}. Make them"
            f" with `emotune evaluate {run.path} --split {split}`, or, without labels, with `emotune predict {run.path}"
            f" MANIFEST --split {split} -o {path}`; or name another --split."
        )
    return Predictions.read(path)


def table_at(path: Path) -> Path:
    """Predictions from a table, or from the table in a folder such as that of ``emotune fuse``.

    Raises:
        TableError: when there is nothing, or no table in the folder.
    """
    if not path.exists():
        raise TableError(f"{path} does not exist. Give a table of predictions, or a folder that holds one.")
    if not path.is_dir():
        return path
    if not (path / TABLE).exists():
        raise TableError(f"{path} holds no {TABLE}. Folders in it that hold one: {_results_in(path)}.")
    return path / TABLE


def _results_in(folder: Path) -> str:
    return ", ".join(sorted(table.parent.name for table in folder.glob(f"*/{TABLE}"))) or "none"


def align(predictions: Predictions, utterance_ids: Sequence[str]) -> list[Prediction]:
    """The predictions in the order of ``utterance_ids``.

    Raises:
        TableError: when an id has no prediction.
    """
    by_id = predictions.by_id()
    missing = [name for name in utterance_ids if name not in by_id]
    if missing:
        raise TableError(
            f"{len(missing)} of {len(utterance_ids)} utterances have no prediction, such as '{missing[0]}'."
            " Predict the same manifest that is to be scored."
        )
    return [by_id[name] for name in utterance_ids]
