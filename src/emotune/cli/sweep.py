"""emotune sweep: as many trials for each compared arm, and fresh runs of each one's best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.console import err, out, show_progress, table
from emotune.cli.train import Overrides, TrainingDisplay
from emotune.runtime.extras import needs

if TYPE_CHECKING:
    from emotune.sweeps.result import SweepResult


def sweep(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SPACE.yaml",
            help="What is searched; as in how-to/sweeps.md of the folder that `emotune env` names.",
        ),
    ],
    overrides: Overrides = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder; default runs/<sweep>.")] = None,
    trials_at_a_time: Annotated[int, typer.Option("--trials-at-a-time", min=1, help="In processes of their own.")] = 1,
    resamples: Annotated[int, typer.Option(min=100, help="Of bootstrap and test of the fresh runs.")] = 10_000,
) -> None:
    """Search a recipe's options, each compared arm by as many trials; several processes may share the folder."""
    with needs("train"):
        from emotune.sweeps.plan import load_sweep
    plan = load_sweep(file, overrides or [])
    folder = output or Path("runs") / plan.sweep.name.replace("/", "-")
    with needs("sweep"):
        from emotune.sweeps.run import run
    try:
        with TrainingDisplay() as display:
            result = run(
                plan,
                folder,
                trials_at_a_time=trials_at_a_time,
                resamples=resamples,
                listener=display,
                progress=show_progress,
            )
    except KeyboardInterrupt:
        err.print("the same command continues", markup=False)
        raise
    print_sweep(result, folder)
    if result.chosen is not None and result.chosen.missing:
        for item in result.chosen.missing:
            err.print(f"missing: {item}", markup=False)
        raise typer.Exit(1)


def print_sweep(result: SweepResult, folder: Path) -> None:
    """One row an arm, what its best trial promised too much, and where the pages lie."""
    with needs("train"):
        from emotune.sweeps.page import arm_cells, optimism_in_words
        from emotune.sweeps.result import chosen_folder
    table(
        f"development {result.metric}",
        ["arm", "chosen values", "best trial", "fresh seeds", "too much", "complete / ended early / failed"],
        [(name, *cells) for name, cells in map(arm_cells, result.arms)],
    )
    for sentence in optimism_in_words(result):
        out.print(sentence, markup=False)
    if (folder / "sweep.html").exists():
        out.print(f"page: {folder / 'sweep.html'}", markup=False)
    if result.chosen is not None:
        out.print(
            f"page of the fresh runs on test: {folder / chosen_folder(result.budget) / 'study.html'}", markup=False
        )
