"""emotune adjust: shift a system's classes to another prior, or by thresholds fitted on development."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.console import SpreadsheetSafe, out, pairs, warn_all
from emotune.errors import ConfigError

if TYPE_CHECKING:
    from emotune.fusion.offsets import Thresholds

_UNIFORM, _ESTIMATED = "uniform", "estimated"


def adjust(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A run folder, a prediction table, or a folder that holds one.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write: .csv, .jsonl or .parquet.")],
    split: Annotated[str, typer.Option(help="Of a run folder.")] = "test",
    prior: Annotated[
        str | None,
        typer.Option(
            help="Shares of the classes to answer for: uniform, estimated (from the answers), or NAME=SHARE,..."
        ),
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
    from emotune.fusion.adjust import adjust_by_thresholds, adjust_to_prior

    if prior is not None:
        found = adjust_to_prior(
            path,
            output,
            _ESTIMATED if prior.strip() == _ESTIMATED else _shares(prior, "--prior"),
            trained_prior=None if trained_prior is None else _shares(trained_prior, "--trained-prior"),
            split=split,
            spreadsheet_safe=spreadsheet_safe,
        )
    else:
        found = adjust_by_thresholds(
            path,
            output,
            metric=metric,
            development=development,
            manifest_path=manifest_path,
            seed=seed,
            split=split,
            spreadsheet_safe=spreadsheet_safe,
        )
    if found.thresholds is not None:
        _print_thresholds(found.thresholds)
    warn_all(found.notes)
    out.print("offsets: " + ", ".join(f"{name} {value:+.3f}" for name, value in found.offsets.items()), markup=False)
    out.print(f"{output}: {found.changed} of {len(found.predictions)} answers changed", markup=False)


def _print_thresholds(fitted: Thresholds) -> None:
    parts = (fitted.fitted_on, fitted.reported_on)
    for what, (before, after), count in zip(("fitted on", "reported on"), parts, fitted.utterances, strict=True):
        hint = " (optimistic: the offsets were chosen by it)" if what == "fitted on" else ""
        out.print(
            f"{what} {count} development utterances: {fitted.metric} {before:.3f} -> {after:.3f}{hint}", markup=False
        )


def _shares(text: str, option: str) -> dict[str, float] | str:
    if text.strip() == _UNIFORM:
        return _UNIFORM
    try:
        return {name: float(value) for name, value in pairs(text.split(","), option, "NAME=SHARE").items()}
    except ValueError as error:
        raise ConfigError(f"{option} {text}: expected {_UNIFORM}, or NAME=SHARE,NAME=SHARE,... ({error}).") from error
