"""A prediction table in parts: for inputs by the hundred thousand, and work that may be cut off at any moment.

The folder holds ``part-00000.parquet`` and so on, each a prediction table of its own, and ``index.json``, which says
which parts are done. A part is written whole and then entered into the index; what is not in the index is predicted
again. So no row is lost or doubled, whenever the work is killed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

from emotune.errors import ConfigError, TableError, quoted
from emotune.inference.items import Item
from emotune.inference.long_clips import LongClips
from emotune.inference.predictor import Predictor
from emotune.io.locks import alone_in
from emotune.io.tables import check_output, read_json, to_json, write_text
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions

SCHEMA = "emotune-prediction-parts/1"
INDEX = "index.json"


@dataclass(frozen=True)
class TablePart:
    """One entry of the index.

    Args:
        file: the table's name.
        rows: in it.
        failed: rows with an error.
        inputs_sha256: of the ids and sources that it was made of.
        warned: rows with a warning.
    """

    file: str
    rows: int
    failed: int
    inputs_sha256: str
    warned: int = 0


class PredictionParts:
    """The folder of a job; ``parts_in`` opens it to be written.

    Args:
        folder: new, or that of the same job before an interruption.
        part_rows: rows a part.
        suffix: .parquet, .csv or .jsonl.
        model_fingerprint: of the model that predicts.
        options: more that changes the answers, by name, such as the conditions asked for; kept in the index.
        retry_errors: make parts again that hold a row with an error.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.

    Raises:
        ConfigError: when the folder holds something else, or a job of another model, size or options.
        TableError: when it cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        part_rows: int,
        suffix: str,
        model_fingerprint: str | None,
        options: Mapping[str, Any] | None = None,
        retry_errors: bool = False,
        spreadsheet_safe: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self.part_rows = part_rows
        self.suffix = suffix
        self.retry_errors = retry_errors
        self.spreadsheet_safe = spreadsheet_safe
        self._job = {
            "schema": SCHEMA,
            "part_rows": part_rows,
            "format": suffix,
            "model_fingerprint": model_fingerprint,
            "spreadsheet_safe": spreadsheet_safe,
            **(options or {}),
        }
        self.parts: dict[int, TablePart] = {}
        self._label_space: LabelSpace | None = None
        if (folder / INDEX).exists():
            self._continue(read_json(folder / INDEX, "The index of the parts,"))
        elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ConfigError(f"{folder} holds other files; name a new folder for the parts of the predictions.")

    def _continue(self, index: Mapping[str, Any]) -> None:
        for name, wanted in self._job.items():
            if index.get(name) != wanted:
                raise ConfigError(
                    f"{self.folder / INDEX} belongs to another job: {name} is {quoted(index.get(name))},"
                    f" now {wanted!r}. Name another folder, or give the same model and options to continue."
                )
        self._label_space = LabelSpace.from_json(index)
        try:
            found = {int(number): TablePart(**entry) for number, entry in index["parts"].items()}
            self.parts = {number: part for number, part in found.items() if self._is_done(part)}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TableError(f"{self.folder / INDEX} is not whole ({error}); name another folder.") from error

    def _is_done(self, part: TablePart) -> bool:
        return (self.folder / part.file).exists() and not (self.retry_errors and part.failed)

    def check(self, items: Iterable[Item]) -> int:
        """Checks all inputs of the job before the work begins; returns their number.

        Raises:
            ConfigError: when a part that is done was made of other inputs.
        """
        total = number = 0
        for number, piece in self._pieces(items):
            total += len(piece)
            done = self.parts.get(number)
            if done is not None and done.inputs_sha256 != inputs_sha256(piece):
                raise ConfigError(
                    f"{self.folder / done.file} was made of other inputs: they have changed since the job began. Name"
                    " another folder."
                )
        if any(known > number for known in self.parts):
            raise ConfigError(f"{self.folder} has more parts than there are inputs now. Name another folder.")
        return total

    def missing(self, items: Iterable[Item]) -> Iterator[tuple[int, list[Item]]]:
        """The items in pieces of ``part_rows``, numbered, without those whose part is done."""
        for number, piece in self._pieces(items):
            if number not in self.parts:
                yield number, piece

    def remove_leftovers(self) -> None:
        """Removes tables missing from the index, half-written files, and inputs laid out for workers."""
        entered = {part.file for part in self.parts.values()}
        for path in self.folder.iterdir():
            is_table = path.name.startswith("part-") and path.name.endswith(self.suffix)
            if path.name.endswith(".part") or (is_table and path.name not in entered):
                path.unlink(missing_ok=True)
        shutil.rmtree(self.inputs_folder, ignore_errors=True)

    @property
    def inputs_folder(self) -> Path:
        """Folder for the inputs of parts while workers on other machines predict them."""
        return self.folder / ".inputs"

    def _pieces(self, items: Iterable[Item]) -> Iterator[tuple[int, list[Item]]]:
        remaining = iter(items)
        for number in count():
            piece = list(islice(remaining, self.part_rows))
            if not piece:
                return
            yield number, piece

    def write(self, number: int, items: Sequence[Item], predictions: Predictions) -> TablePart:
        """Writes a part's table; it counts once it is entered."""
        file = f"part-{number:05d}{self.suffix}"
        predictions.write(self.folder / file, spreadsheet_safe=self.spreadsheet_safe)
        failed, warned = len(predictions.failed), len(predictions.warnings)
        return TablePart(file, len(predictions), failed, inputs_sha256(items), warned)

    def begin(self) -> None:
        """Writes the index, so that an interrupted job is known for what it is before its first part is done."""
        self._write_index(complete=False)

    def enter(self, number: int, part: TablePart, label_space: LabelSpace) -> None:
        """Enters a part that is written into the index."""
        self.parts[number] = part
        self._label_space = label_space
        self._write_index(complete=False)

    def finish(self) -> None:
        """Says that all is done."""
        self._write_index(complete=True)

    def _write_index(self, *, complete: bool) -> None:
        space = self._label_space or LabelSpace(())
        index = {
            **self._job,
            **space.to_json(),
            "complete": complete,
            "rows": self.rows,
            "failed": self.failed,
            "warned": self.warned,
            "parts": {str(number): asdict(part) for number, part in sorted(self.parts.items())},
        }
        write_text(self.folder / INDEX, to_json(index) + "\n")

    def tables(self) -> Iterator[Predictions]:
        """Yields the prediction tables, one part in memory at a time."""
        for _, part in sorted(self.parts.items()):
            yield Predictions.read(self.folder / part.file)

    def errors(self, most: int) -> list[str]:
        """Some of the errors in the tables."""
        found: list[str] = []
        for part in self.parts.values():
            if part.failed and len(found) < most:
                found += [row.error or "" for row in Predictions.read(self.folder / part.file).failed]
        return found[:most]

    def warnings(self, most: int) -> dict[str, str]:
        """Some of the warnings in the tables, by utterance_id."""
        found: dict[str, str] = {}
        for part in self.parts.values():
            if part.warned and len(found) < most:
                found |= Predictions.read(self.folder / part.file).warnings
        return dict(islice(found.items(), most))

    @property
    def rows(self) -> int:
        """Number of predicted rows."""
        return sum(part.rows for part in self.parts.values())

    @property
    def failed(self) -> int:
        """Number of rows with an error."""
        return sum(part.failed for part in self.parts.values())

    @property
    def warned(self) -> int:
        """Number of rows with a warning."""
        return sum(part.warned for part in self.parts.values())


def predict_in_parts(
    predictor: Predictor,
    items: Iterable[Item],
    parts: PredictionParts,
    *,
    total: int,
    progress: Progress = silent,
    long: LongClips | None = None,
) -> None:
    """Predicts the missing parts one by one, in bounded memory.

    Args:
        predictor: predicts.
        items: all inputs of the job, those of finished parts too.
        parts: the folder, opened by ``parts_in``.
        total: how many items there are.
        long: counts those that are longer than the model knows.
    """

    def rows() -> Iterator[Prediction]:
        """Number of predicted rows."""
        for number, piece in parts.missing(items):
            found = dict(predictor.stream(piece, long=long))
            ordered = tuple(found[position] for position in range(len(piece)))
            predictions = predictor.table(ordered)
            parts.enter(number, parts.write(number, piece, predictions), predictor.label_space)
            yield from ordered

    parts.begin()
    for _ in progress(rows(), total=total - parts.rows, title="predicting"):
        pass
    parts.finish()


@contextmanager
def parts_in(
    folder: Path,
    *,
    part_rows: int,
    suffix: str,
    model_fingerprint: str | None,
    options: Mapping[str, Any] | None = None,
    retry_errors: bool = False,
    spreadsheet_safe: bool = False,
) -> Generator[PredictionParts]:
    """The folder of a job, kept free of other processes; what an interrupted job left half done is removed.

    Args and errors as of ``PredictionParts``; also ConfigError when another process works in the folder.
    """
    check_output(folder / f"part{suffix}", spreadsheet_safe=spreadsheet_safe)
    with alone_in(folder, others="writing predictions to"):
        parts = PredictionParts(
            folder,
            part_rows=part_rows,
            suffix=suffix,
            model_fingerprint=model_fingerprint,
            options=options,
            retry_errors=retry_errors,
            spreadsheet_safe=spreadsheet_safe,
        )
        parts.remove_leftovers()
        yield parts


def inputs_sha256(items: Sequence[Item]) -> str:
    """A fingerprint of ids, sources, segments and channels, wherever the work is started from."""
    digest = hashlib.sha256()
    for item in items:
        source = item.source
        if isinstance(source, str | Path):
            source = os.path.abspath(source)  # noqa: PTH100
        elif isinstance(source, bytes):
            source = hashlib.sha256(source).hexdigest()
        key = f"{item.utterance_id}\0{source}\0{item.start_s}\0{item.end_s}"
        key += "\n" if item.channel == "mix" else f"\0{item.channel}\n"
        digest.update(key.encode(errors="surrogatepass"))
    return digest.hexdigest()
