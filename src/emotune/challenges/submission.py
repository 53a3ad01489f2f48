"""Submissions to the Odyssey 2024 challenge: its two CSV files, checked against the expected recordings."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from emotune.errors import ConfigError, TableError
from emotune.io.folders import files_below
from emotune.io.tables import atomic_path, check_output, metadata_path, read_rows
from emotune.registry import unknown_name_message
from emotune.schema.labels import Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions, table_at

TASKS = ("categories", "attributes")
LETTERS = {
    "anger": "A",
    "sadness": "S",
    "happiness": "H",
    "surprise": "U",
    "fear": "F",
    "disgust": "D",
    "contempt": "C",
    "neutral": "N",
}
"""Class -> the challenge's letter, in its order."""

ATTRIBUTES = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
SCALE = Scale(1.0, 7.0)

_NAME = "FileName"
_RECORDING = ".wav"
_SHOWN = 5


def expected_names(path: Path, split: str | None = None) -> list[str]:
    """The file names that a submission must hold, in their order.

    Args:
        path: a manifest (utterance ids + ``.wav``), a CSV with a column ``FileName``, a ``.txt`` with one name a line,
            or a folder of recordings. Names may lack ``.wav``.
        split: the part of a manifest that is expected; all of it when None.

    Raises:
        TableError: for anything else, one that names nothing, or one that names a recording twice.
        ConfigError: for a split of something that is no manifest.
        CorpusError: for a split that the manifest has not.
    """
    if not path.exists():
        raise TableError(f"{path} does not exist. Expected a manifest, a CSV with {_NAME}, a .txt or a folder.")
    is_manifest = not path.is_dir() and path.suffix.lower() != ".txt" and metadata_path(path).exists()
    if split is not None and not is_manifest:
        raise ConfigError(f"--split {split}: {path} is no manifest, so it has no splits.")
    if path.is_dir():
        names = sorted(found.name for found in files_below(path) if found.suffix == _RECORDING)
    elif path.suffix.lower() == ".txt":
        names = _lines(path)
    elif is_manifest:
        manifest = Manifest.read(path)
        part = manifest if split is None else manifest.split(split)
        names = [file_name(utterance.utterance_id) for utterance in part]
    else:
        rows = read_rows(path)
        if rows and _NAME not in rows[0]:
            raise TableError(f"{path} has no column {_NAME}; it has {', '.join(rows[0])}.")
        names = [_named(str(row.get(_NAME) or "")) for row in rows]
    if not any(names):
        raise TableError(f"{path} names no recordings. Expected a manifest, a CSV with {_NAME}, a .txt or a folder.")
    twice = _repeated(names)
    if twice:
        raise TableError(f"{path} names {_some(twice, 'more than once')}. Mend it: each recording must be there once.")
    return names


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if name and count > 1]


def _some(names: Sequence[str], what: str) -> str:
    """Number of the items, and the first of them."""
    return f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}"


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as a list of file names: {error}.") from error
    return [_named(line) for line in lines if line.strip()]


def _named(written: str) -> str:
    """A file name from a list, which may be a path, or lack its suffix; empty where nothing is named."""
    name = PurePosixPath(written.strip()).name
    return file_name(name) if name else ""


def file_name(utterance_id: str) -> str:
    """The recording's name: the utterance id and ``.wav``.

    >>> file_name("MSP-PODCAST_test3_0001")
    'MSP-PODCAST_test3_0001.wav'
    """
    return utterance_id if utterance_id.lower().endswith(_RECORDING) else utterance_id + _RECORDING


def task_of(predictions: Predictions, task: str | None) -> str:
    """The task that is asked for, or the only one that a table can serve.

    Raises:
        ConfigError: for an unknown task, or when a table could serve both.
    """
    if task is not None:
        if task not in TASKS:
            raise ConfigError("--task: " + unknown_name_message("task", task, TASKS))
        return task
    space = predictions.label_space
    if space.classes and set(ATTRIBUTES) <= space.dimensions.keys():
        raise ConfigError(f"The table has classes and attributes: say which with --task {' or --task '.join(TASKS)}.")
    return "categories" if space.classes else "attributes"


def submit_table(
    table: Path, expected: Path, output: Path, *, split: str | None = None, task: str | None = None
) -> tuple[int, str, tuple[str, ...]]:
    """Writes a submission of a prediction table.

    Args:
        table: a prediction table, or a folder that holds one.
        expected: as ``expected_names`` has it.
        output: the CSV to write.
        split: of the manifest with ``expected``; all of it when None.
        task: categories or attributes; what the table holds when None.

    Returns:
        How many recordings, the task, and what should be known, as ``write_submission`` has it.

    Raises:
        ConfigError: for another task.
        TableError: as ``write_submission`` does.
    """
    check_output(output, inputs=[table_at(table), expected])
    predictions = Predictions.read(table_at(table))
    names = expected_names(expected, split)
    chosen = task_of(predictions, task)
    return len(names), chosen, write_submission(output, predictions, names, task=chosen)


def write_submission(path: Path, predictions: Predictions, expected: Sequence[str], *, task: str) -> tuple[str, ...]:
    """Writes a submission in the order of the expected names, or nothing where anything is wrong.

    Args:
        path: of the CSV.
        predictions: one row for each expected recording and no other.
        expected: file names.
        task: categories or attributes.

    Returns:
        What should be known: values brought from another scale, values clipped, answers that were abstained from.

    Raises:
        TableError: for missing, unexpected, doubled or failed rows, listing some, or classes, dimensions or a name of
            the file that the challenge does not take.
    """
    if path.suffix.lower() != ".csv":
        raise TableError(f"{path}: a submission's name must end in .csv, not '{path.suffix}'.")
    _check_space(predictions, task)
    rows = _checked_rows(predictions, expected)
    cells, notes = (_categories if task == "categories" else _attributes)(
        predictions, [rows[name] for name in expected]
    )
    heads = [_NAME, "EmoClass"] if task == "categories" else [_NAME, *ATTRIBUTES.values()]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows([name, *values] for name, values in zip(expected, cells, strict=True))
    return notes


def _check_space(predictions: Predictions, task: str) -> None:
    space = predictions.label_space
    if task == "categories":
        if not space.classes:
            raise TableError("The table has no classes, which --task categories needs.")
        said = {row.most_probable for row in predictions}
        strange = [name for name in space.classes if name in said - LETTERS.keys()]
        if strange:
            raise TableError(
                f"The challenge has no letter for {', '.join(strange)}; it knows {', '.join(LETTERS)}. Train on these"
                " classes (data.drop, data.map), or exclude others with `emotune adjust --prior` and a share of 0."
            )
        return
    missing = [name for name in ATTRIBUTES if name not in space.dimensions]
    if missing:
        raise TableError(f"The table lacks {', '.join(missing)}, which --task attributes needs.")


def _checked_rows(predictions: Predictions, expected: Sequence[str]) -> dict[str, Prediction]:
    """Rows by file name, which are exactly those that are expected."""
    rows: dict[str, Prediction] = {}
    twice = []
    for row in predictions:
        name = file_name(row.utterance_id)
        if name in rows:
            twice.append(name)
        rows[name] = row
    faults = {
        "expected twice": _repeated(expected),
        "missing": [name for name in expected if name not in rows],
        "unexpected": sorted(rows.keys() - set(expected)),
        "there twice": twice,
        "failed": [name for name, row in rows.items() if row.error],
    }
    found = [_some(names, what) for what, names in faults.items() if names]
    if found:
        raise TableError(
            f"Nothing is written: the table does not fit the {len(expected)} expected recordings. {'; '.join(found)}."
            " Predict exactly the expected recordings, or give their list with --expected; of a manifest, --split names"
            " the part."
        )
    return rows


def _categories(predictions: Predictions, rows: Sequence[Prediction]) -> tuple[list[list[str]], tuple[str, ...]]:
    unsure = sum(row.uncertain for row in rows)
    notes = (f"{unsure} answers that the model abstained from are given all the same.",) if unsure else ()
    return [[LETTERS[row.most_probable or ""]] for row in rows], notes


def _attributes(predictions: Predictions, rows: Sequence[Prediction]) -> tuple[list[list[str]], tuple[str, ...]]:
    scales = {name: predictions.label_space.dimensions[name] for name in ATTRIBUTES}
    others = [name for name, scale in scales.items() if scale != SCALE]
    notes = [
        f"{name} is brought from its scale [{scales[name].low:g}, {scales[name].high:g}] to [1, 7]." for name in others
    ]
    values = [
        [f"{SCALE.from_unit(scale.to_unit(row.dimensions[name])):.6f}" for name, scale in scales.items()]
        for row in rows
    ]
    return values, tuple(notes)
