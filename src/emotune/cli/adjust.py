"""emotune adjust: shift a system's classes to another prior, or by thresholds fitted on development."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import SpreadsheetSafe, out, pairs, warn_all
from emotune.errors import ConfigError
from emotune.fusion.offsets import fit_thresholds, prior_offsets, shifted
from emotune.io.tables import check_output, to_json, write_text
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions, predictions_of, table_at
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import DEVELOPMENT

_NOTHING = 5e-4
"""An offset that is printed as zero."""
_UNIFORM = "uniform"


def adjust(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A run folder, a prediction table, or a folder that holds one.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write: .csv, .jsonl or .parquet.")],
    split: Annotated[str, typer.Option(help="Of a run folder.")] = "test",
    prior: Annotated[
        str | None, typer.Option(help="Shares of the classes to answer for: uniform, or NAME=SHARE,NAME=SHARE,...")
    ] = None,
    trained_prior: Annotated[
        str | None, typer.Option(help="Shares that the model was taught; default what its model folder says.")
    ] = None,
    thresholds: Annotated[
        bool, typer.Option("--thresholds", help="An offset for each class, fitted on development.")
    ] = False,
    metric: Annotated[str, typer.Option(help="--thresholds: macro_f1, uar or accuracy.")] = "macro_f1",
    development: Annotated[
        Path | None, typer.Option(help="--thresholds of a table: the system's development table.")
    ] = None,
    manifest_path: Annotated[
        Path | None, typer.Option("--manifest", help="--thresholds of a table: the manifest with a development split.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the two parts of development and of the search.")] = 0,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Shift the classes of predictions to another prior, or by thresholds that are best on development.

    The probability p_c becomes p_c times exp(b_c), summing to one again.
    """
    if (prior is not None) == thresholds:
        raise ConfigError("Give exactly one of --prior and --thresholds.")
    run = RunFolder(path) if RunFolder(path).provenance.exists() else None
    source = table_at(path) if run is None else run.predictions(split)
    read = [path for path in (source, development, manifest_path) if path is not None]
    check_output(output, inputs=read, spreadsheet_safe=spreadsheet_safe)
    predictions = Predictions.read(table_at(path)) if run is None else predictions_of(run, split)
    if not predictions.label_space.classes:
        raise ConfigError(f"{path} has no classes; dimensions have no prior to adjust.")
    if prior is not None:
        taught = _taught(run, trained_prior, predictions)
        wanted = _shares(prior, "--prior", predictions)
        offsets = prior_offsets(taught, wanted)
        about: dict[str, object] = {"trained_prior": taught, "prior": wanted, "offsets": offsets}
        if all(abs(value) < _NOTHING for value in offsets.values()):
            warn_all(["the model was taught this prior already, by class weights or sampling: nothing changes"])
    else:
        fitted = fit_thresholds(*_development(run, development, manifest_path), metric=metric, seed=seed)
        offsets, about = fitted.offsets, fitted.to_json()
        for what, (before, after), count in zip(
            ("fitted on", "reported on"), (fitted.fitted_on, fitted.reported_on), fitted.utterances, strict=True
        ):
            hint = " (optimistic: the offsets were chosen by it)" if what == "fitted on" else ""
            out.print(
                f"{what} {count} development utterances: {metric} {before:.3f} -> {after:.3f}{hint}", markup=False
            )
        warn_all(fitted.notes)
    adjusted = shifted(predictions, offsets)
    adjusted.write(output, spreadsheet_safe=spreadsheet_safe)
    write_text(output.with_name(f"{output.name}.offsets.json"), to_json(about) + "\n")
    out.print("offsets: " + ", ".join(f"{name} {value:+.3f}" for name, value in offsets.items()), markup=False)
    changed = sum(
        before.most_probable != after.most_probable for before, after in zip(predictions, adjusted, strict=True)
    )
    out.print(f"{output}: {changed} of {len(adjusted)} answers changed", markup=False)


def _taught(run: RunFolder | None, given: str | None, predictions: Predictions) -> dict[str, float]:
    if given is not None:
        return _shares(given, "--trained-prior", predictions)
    found = run.training_prior() if run is not None else None
    if found is None:
        where = f"{run.path} does not say" if run is not None else "A table does not say"
        raise ConfigError(
            f"{where} which prior its model was taught: give it as --trained-prior NAME=SHARE,..., such as the counts"
            " of the training utterances by class times their class weights, or uniform for balanced ones."
        )
    return found


def _shares(text: str, option: str, predictions: Predictions) -> dict[str, float]:
    """Shares that sum to one, from any positive numbers in that proportion."""
    classes = predictions.label_space.classes
    if text.strip() == _UNIFORM:
        return {name: 1 / len(classes) for name in classes}
    try:
        shares = {name: float(value) for name, value in pairs(text.split(","), option, "NAME=SHARE").items()}
    except ValueError as error:
        raise ConfigError(f"{option} {text}: expected {_UNIFORM}, or NAME=SHARE,NAME=SHARE,... ({error}).") from error
    total = sum(shares.values())
    if set(shares) != set(classes):
        raise ConfigError(
            f"{option} names {', '.join(shares)}; expected each of the table's classes once: {', '.join(classes)}."
            " A share of 0 excludes a class."
        )
    if not (math.isfinite(total) and total > 0 and min(shares.values()) >= 0):
        raise ConfigError(f"{option} {text}: shares must be numbers of at least 0, not all of them 0.")
    return {name: shares[name] / total for name in classes}


def _development(run: RunFolder | None, table: Path | None, manifest_path: Path | None) -> tuple[Manifest, Predictions]:
    """Truth and answers of development: the run's own, or those that are named."""
    if run is None and (table is None or manifest_path is None):
        raise ConfigError("--thresholds of a table need --development TABLE and --manifest M, or give the run folder.")
    truth = manifest_path or (run.manifest if run is not None else Path())
    answers = table or (run.predictions(DEVELOPMENT) if run is not None else Path())
    return Manifest.read(truth).split(DEVELOPMENT), Predictions.read(answers)
