"""emotune fuse: several systems' predictions as one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from emotune.cli.compare import named
from emotune.cli.console import out, table, warn_all
from emotune.runtime.extras import needs


def fuse(
    systems: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=PATH...",
            help="Run folders, or folders of a protocol's runs; with --manifest any folder with development/ and"
            " <split>/predictions.csv.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the fused table and its page.")],
    split: Annotated[str, typer.Option(help="What is fused.")] = "test",
    method: Annotated[str, typer.Option(help="weights, stacking, meta (a small network) or majority.")] = "weights",
    metric: Annotated[
        str, typer.Option(help="macro_f1, uar or accuracy, to fuse classes; ccc, to fuse dimensions.")
    ] = "macro_f1",
    manifest_path: Annotated[
        Path | None, typer.Option("--manifest", help="The truth, where it is not the run folders' own.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the two parts of development and of the search.")] = 0,
) -> None:
    """Fit on one part of development, report on the other, fuse a split: predictions.csv, fusion.json and .html."""
    with needs("train"):
        import sklearn.linear_model  # noqa: F401 (said before the long work)

        from emotune.report.fuse_runs import fuse_runs
        from emotune.report.fusion_page import part_names
    fused = fuse_runs(
        [named(value) for value in systems],
        output,
        split=split,
        method=method,
        metric=metric,
        seed=seed,
        manifest_path=manifest_path,
    )
    for fold, fitted in fused.folds.items():
        _print_fitted(fold, fitted, part_names(fitted))
    scores = fused.scores()
    if scores:
        out.print(f"{fused.scored_on}: {metric} {scores['fused']:.3f}, {_against(scores)}", markup=False)
    warn_all(fused.notes)
    out.print(f"fused table: {output / 'predictions.csv'}; page: {output / 'fusion.html'}", markup=False)
    if fused.predictions.failed:
        warn_all([f"{len(fused.predictions.failed)} of {len(fused.predictions)} utterances have no fused answer"])
        raise typer.Exit(1)


def _against(scores: Mapping[str, float]) -> str:
    single = scores["best single"]
    if math.isnan(single):
        return "the best single system has no figure"
    return f"best single {single:.3f}, {scores['fused'] - single:+.3f}"


def _print_fitted(fold: str, fitted: Any, parts: tuple[str, str]) -> None:
    weights = fitted.weights or {}
    fit, report = fitted.fitted_on, fitted.reported_on
    rows = [
        (
            name,
            *([f"{weights[name]:.3f}"] if weights else []),
            f"{fit.singles[name]:.3f}",
            f"{report.singles[name]:.3f}",
            f"{fitted.left_out[name]:.3f}",
        )
        for name in fitted.names
    ]
    rows.append(("fused", *([""] if weights else []), f"{fit.fused:.3f}", f"{report.fused:.3f}", ""))
    sizes = f"{parts[0]} {fit.utterances}, {parts[1]} {report.utterances}"
    title = f"{fold + ': ' if fold else ''}{fitted.metric}, {sizes}"
    table(title, ["system", *(["weight"] if weights else []), *parts, "fused without it"], rows)
