"""emotune study: steps x seeds, trained, scored and compared, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from emotune.cli.console import err, out, show_progress, table, warn_all
from emotune.cli.train import Overrides
from emotune.cli.training_display import TrainingDisplay
from emotune.recipes import first_sentence, study_folder, study_names
from emotune.runtime.extras import needs


def study(
    name: Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or a name from `emotune studies`.")],
    overrides: Overrides = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder; default runs/<study>.")] = None,
    runs_at_a_time: Annotated[int, typer.Option("--runs-at-a-time", min=1, help="In processes of their own.")] = 1,
    resamples: Annotated[int, typer.Option(min=100, help="Of bootstrap and test.")] = 10_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show runs and time left; train nothing.")] = False,
) -> None:
    """Train what is missing of a study, compare each step with the one before, and write one table and one page."""
    with needs("train"):
        from emotune.studies.load import load_study
    plan = load_study(name, overrides or [])
    folder = output or Path("runs") / plan.study.name.replace("/", "-")
    if dry_run:
        print_plan(plan, folder)
        return
    with needs("train"):
        from emotune.studies.run import run
    try:
        with TrainingDisplay() as display:
            result = run(
                plan,
                folder,
                runs_at_a_time=runs_at_a_time,
                resamples=resamples,
                listener=display,
                progress=show_progress,
            )
    except KeyboardInterrupt:
        err.print("the same command continues", markup=False)
        raise
    print_study(result)
    out.print(f"page: {folder / 'study.html'}", markup=False)
    if result.missing:
        for item in result.missing:
            err.print(f"missing: {item}", markup=False)
        raise typer.Exit(1)


def print_plan(plan: Any, folder: Path) -> None:
    """The runs of a study, those that are done, and how long the others take as far as runs of a step tell."""
    with needs("train"):
        from emotune.studies.outlook import in_words, outlook
    found = outlook(plan, folder)
    table(
        f"{plan.study.name}: {sum(step.runs for step in found)} runs",
        ["step", "runs", "done", "folds", "epochs", "s a run", "min left"],
        [step.cells for step in found],
    )
    out.print(in_words(found), markup=False)


def studies() -> None:
    """List the studies that come with emotune."""
    for name in study_names():
        out.print(f"{name}: {first_sentence(study_folder(), name)}", markup=False)


def print_study(result: Any) -> None:
    """One table for each test and metric, the verdicts, and what limits them on standard error."""
    with needs("train"):
        from emotune.studies import curve, words
        from emotune.studies import table as study_table
    rows = list(study_table.rows_of(result))
    tests = {test.name: test for test in result.tests}
    for sentence in words.below_chance(result):
        out.print(sentence, markup=False)
    for test, metric in dict.fromkeys((row["test"], row["metric"]) for row in rows):
        own = [row for row in rows if (row["test"], row["metric"]) == (test, metric)]
        table(
            f"{test} {metric}",
            ["step", "development", metric, "against", "difference", "p", "corrected", "s a run", "parameters"],
            [(cells[0], *cells[2:]) for cells in map(study_table.cells_of, own)],
        )
        if result.curve is not None:
            points = curve.points_of(result.curve, tests[test], metric)
            table(
                f"{test} {metric} over {curve.key_name(result.curve.key)}",
                ["step", *(f"{value:g}" for value in result.curve.values)],
                [
                    (name, *("–" if cell is None else curve.in_words(cell) for cell in cells))
                    for name, cells in curve.curve_rows(result.curve, points)
                ],
            )
        for sentence in words.verdicts(tests[test], metric):
            out.print(f"{test} {metric}: {sentence}", markup=False)
        out.print()
    warn_all([*result.notices, *words.notes_of(result)])
