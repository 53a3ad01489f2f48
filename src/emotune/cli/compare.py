"""emotune compare: which of several systems is better on one test set, and how sure that is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.console import out, table, warn_all
from emotune.errors import ConfigError
from emotune.io.tables import to_json
from emotune.runtime.extras import needs

if TYPE_CHECKING:
    from emotune.evaluation.comparing.comparison import Comparison


def compare(
    systems: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]PATH...",
            help="Run folders, or folders or tables of predictions; the first is the baseline. Runs of one NAME are"
            " seeds of one system.",
        ),
    ],
    split: Annotated[str | None, typer.Option(help="Default test where all runs have it, else all.")] = None,
    manifest_path: Annotated[
        Path | None, typer.Option("--manifest", help="The truth, where it is not the run folders' own.")
    ] = None,
    metrics: Annotated[
        list[str], typer.Option("--metric", help="Several allowed; default uar, macro_f1, ccc as there are.")
    ] = [],
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Compare every two systems.")] = False,
    on_shared_classes: Annotated[
        bool, typer.Option("--shared-classes", help="Restrict truth and answers to the classes that all have.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for compare.json and .html.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Of bootstrap and test.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of bootstrap and test.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Paired comparison over speakers: scores, differences with intervals, p, and what could have been found."""
    with needs("report"):
        from emotune.report.compare_runs import compare_runs
    comparison = compare_runs(
        [named(value) for value in systems],
        output,
        split=split,
        manifest_path=manifest_path,
        metrics=metrics,
        all_pairs=all_pairs,
        on_shared_classes=on_shared_classes,
        resamples=resamples,
        seed=seed,
    )
    if as_json:
        typer.echo(to_json(comparison.to_json()))
        return
    print_comparison(comparison)
    if output is not None:
        out.print(f"report: {output / 'compare.html'}", markup=False)


def named(value: str) -> tuple[str, Path]:
    """``NAME=PATH``, or a path that is its own name; a path that exists may hold an equals sign."""
    name, equals, path = value.partition("=")
    if not equals or Path(value).exists():
        return value.rstrip("/"), Path(value)
    if not name.strip() or not path:
        raise ConfigError(f"{value}: expected NAME=PATH or PATH.")
    return name.strip(), Path(path)


def print_comparison(comparison: Comparison) -> None:
    """Scores, differences and verdicts as tables; what limits them on standard error."""
    from emotune.evaluation.comparing.verdicts import p_text

    metrics = list(comparison.scores)
    for sentence in comparison.below_chance:
        out.print(sentence, markup=False)
    table(
        f"{comparison.compared} utterances, {comparison.speakers} speakers",
        ["system", *metrics],
        [(name, *(comparison.scores[metric][name].in_words() for metric in metrics)) for name in comparison.runs],
    )
    out.print()
    for metric in metrics:
        differences = [item for item in comparison.differences if item.metric == metric]
        table(
            metric,
            ["difference", "value", "p", "corrected", "detectable"],
            [
                (
                    f"{item.system} - {item.baseline}",
                    item.estimate.in_words("+"),
                    p_text(item.p),
                    p_text(item.corrected_p),
                    f"{item.detectable:.3f}" if math.isfinite(item.detectable) else "–",
                )
                for item in differences
            ],
        )
        for item in differences:
            out.print(f"{metric}: {item.verdict}", markup=False)
        out.print()
    for item in comparison.left_out:
        warn_all([f"left out, {item.reason}: {item.count}, such as {', '.join(item.examples)}"])
    warn_all(comparison.notes)
