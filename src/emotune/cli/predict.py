"""emotune predict: any recordings to a table of emotions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from emotune import audio
from emotune.cli.console import err, out, show_progress, with_extra
from emotune.corpora.table import columns_of, segment_name
from emotune.errors import ConfigError, TableError
from emotune.inference.predictor import Item, with_unique_ids
from emotune.manifest import Manifest, number_or_none, text_or_none
from emotune.predictions import Predictions
from emotune.tables import SUFFIXES, Row, check_output, metadata_path, read_rows

EXIT_SOME_FAILED = 1
_KEPT = (
    "file",
    "start_s",
    "end_s",
    "speaker",
    "session",
    "gender",
    "text",
    "split",
)  # of a manifest: all but the truth


def predict(
    model: Annotated[str, typer.Argument(help="A model folder, a run folder, or a Hub name.")],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            readable=False,  # not checked at the door: a recording that may not be read is a row with its error
            help="Recordings, folders, a manifest, a table with a file column, or a .txt list of paths.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Table to write: .csv, .jsonl or .parquet; else printed.")
    ] = None,
    batch_seconds: Annotated[float, typer.Option(min=1.0, help="Audio-seconds a batch; changes speed only.")] = 40.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="CPU processes of one thread, a model in each; best: one a core.")
    ] = None,
) -> None:
    """Predict emotions; a bad recording is a row with its error, and the exit code is then 1."""
    if output is not None:
        check_output(output)
    items = [item for path in inputs for item in items_of(path)]
    if not items:
        raise ConfigError(f"Nothing to predict in {', '.join(map(str, inputs))}.")
    items = with_unique_ids(items)
    predictor = with_extra("emotune.inference").load(model, device=device, batch_seconds=batch_seconds, workers=workers)
    predictions = predictor.predict_items(items, progress=show_progress)
    if output is None:
        _print(predictions)
    else:
        predictions.write(output)
        out.print(f"{output}: {len(predictions)} rows, {len(predictions.failed)} with an error", markup=False)
    for row in predictions.failed[:20]:
        err.print(f"error: {row.error}", markup=False)
    if predictions.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def items_of(path: Path) -> list[Item]:
    """What one input stands for.

    Raises:
        TableError: for a table or list that cannot be read. A missing recording is an error row of its own, later.
    """
    if path.is_dir() and path.suffix.lower() not in audio.SUFFIXES:
        found = (p for p in path.rglob("*") if p.suffix.lower() in audio.MEDIA_SUFFIXES)
        files = sorted(p for p in found if not p.name.startswith("."))
        return [Item(p.relative_to(path).as_posix(), p, extra={"file": p.relative_to(path).as_posix()}) for p in files]
    if path.suffix.lower() in SUFFIXES:
        return _of_manifest(path) if metadata_path(path).exists() else _of_table(path)
    if path.suffix.lower() == ".txt":
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise TableError(f"{path} cannot be read as a list of paths: {error}.") from error
        return [
            Item(line.strip(), path.parent / line.strip(), extra={"file": line.strip()})
            for line in lines
            if line.strip()
        ]
    return [Item(str(path), path, extra={"file": str(path)})]


def _of_manifest(path: Path) -> list[Item]:
    manifest = Manifest.read(path)
    return [
        Item(
            utterance.utterance_id,
            manifest.path_of(utterance),
            utterance.start_s,
            utterance.end_s,
            {name: getattr(utterance, name) for name in _KEPT} | dict(utterance.extra),
            utterance.content_sha256,
        )
        for utterance in manifest
    ]


def _of_table(path: Path) -> list[Item]:
    rows = read_rows(path)
    if not rows:
        raise TableError(f"{path} has no rows.")
    header = list(dict.fromkeys(name for row in rows for name in row))
    found = columns_of(header, {}, {})
    if "file" not in found:
        raise TableError(
            f"{path} has no column for the recordings (file, path, wav, audio); it has {', '.join(header)}."
        )
    return [_of_row(row, found, path, number) for number, row in enumerate(rows, start=1)]


def _of_row(row: Row, found: Mapping[str, str], table: Path, number: int) -> Item:
    """One row of a user's table; what is wrong with it becomes its error, and the other rows go on."""
    where = f"{table}, row {number}"

    def number_in(field: str) -> float | None:
        return number_or_none(row.get(found[field]), f"{where}, {found[field]}") if field in found else None

    try:
        given = text_or_none(row.get(found["utterance_id"]), where) if "utterance_id" in found else None
        file = text_or_none(row.get(found["file"]), f"{where}, {found['file']}")
        if file is None:
            raise TableError(f"{where}: {found['file']} is empty, expected the path of a recording.")
        start_s, end_s = number_in("start_s"), number_in("end_s")
    except TableError as error:
        return Item(f"row {number}", table, extra=row, error=str(error))
    return Item(given or file + segment_name(start_s, end_s), table.parent / file, start_s, end_s, row)


def _print(predictions: Predictions) -> None:
    for row in predictions:
        if row.error:
            continue
        parts = [f"{name} {value:.3f}" for name, value in sorted(row.probabilities.items(), key=lambda pair: -pair[1])]
        parts += [f"{name} {value:.3f}" for name, value in row.dimensions.items()]
        out.print(f"{row.utterance_id}: {', '.join(parts)}", markup=False)
