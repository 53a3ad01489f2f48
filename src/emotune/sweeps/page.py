"""A sweep's results: sweep.html for people, sweep.csv to go on with, sweep.json for machines."""

from __future__ import annotations

from pathlib import Path

from emotune.io.tables import to_json, write_rows, write_text
from emotune.report.figures.trials import best_so_far
from emotune.report.metric_names import metric_name
from emotune.report.numbers import number, signed
from emotune.report.template import render
from emotune.sweeps.result import SCHEMA, ArmResult, SweepResult, chosen_folder
from emotune.sweeps.trial import in_words

_COLUMNS = ("arm", "trial", "state", "score", "epochs", "parameters", "fault")


def write_sweep(folder: Path, result: SweepResult) -> None:
    """Writes ``sweep.html``, ``sweep.csv`` and ``sweep.json`` into a folder, each atomically.

    Raises:
        TableError: when the folder cannot be written to.
    """
    write_text(folder / "sweep.json", to_json(result.to_json()) + "\n")
    rows = [
        {
            "arm": arm.name,
            "trial": trial.number,
            "state": trial.state,
            "score": trial.score,
            "epochs": trial.epochs,
            "parameters": to_json(trial.parameters, indent=None),
            "fault": trial.fault,
        }
        for arm in result.arms
        for trial in arm.trials
    ]
    write_rows(folder / "sweep.csv", _COLUMNS, rows, {"schema": SCHEMA, "sweep": result.name})
    write_text(folder / "sweep.html", page(result))


def page(result: SweepResult) -> str:
    """The whole page as HTML."""
    name = metric_name(result.metric)
    return render(
        "sweep.html.j2",
        title=f"Sweep {result.name}",
        result=result,
        chosen_folder=chosen_folder(result.budget),
        metric=name,
        about=about(result),
        arms=[arm_cells(arm) for arm in result.arms],
        picture=best_so_far(
            [
                (arm.name, [(trial.number, trial.score, trial.state == "complete") for trial in arm.trials])
                for arm in result.arms
            ],
            label=f"development {name}",
        ),
        trials=[(arm.name, [_trial_cells(arm, number) for number in range(len(arm.trials))]) for arm in result.arms],
        sentences=optimism_in_words(result),
    )


def about(result: SweepResult) -> str:
    """Account of what was done, in a sentence or two."""
    arms = "one arm" if len(result.arms) == 1 else f"{len(result.arms)} arms"
    return (
        f"{arms}, {result.budget} trials each, all with one seed. A trial is scored by {metric_name(result.metric)} on"
        " development; the test split was not looked at for the choice."
    )


def optimism_in_words(result: SweepResult) -> list[str]:
    """Sentences on how much the best trial's score promised too much, an arm each."""
    name = metric_name(result.metric)
    return [
        f"{arm.name}: the best of {len(arm.trials)} trials reached {number(arm.best.score or 0.0)} ({name} on"
        f" development); trained anew with {len(arm.fresh)} fresh seeds it reaches {number(arm.fresh_mean)} on average:"
        f" choosing the best promised {number(arm.optimism)} too much."
        for arm in result.arms
        if arm.best is not None and arm.fresh
    ]


def arm_cells(arm: ArmResult) -> tuple[str, list[str]]:
    """Name and cells of one arm: chosen values, best trial, mean over fresh seeds, difference, how the trials ended."""
    best = arm.best
    return arm.name, [
        "–" if best is None else in_words(best.parameters),
        "–" if best is None else number(best.score or 0.0),
        number(arm.fresh_mean) if arm.fresh else "–",
        signed(arm.optimism) if arm.fresh and best is not None else "–",
        f"{arm.count('complete')} / {arm.count('pruned')} / {arm.count('failed')}",
    ]


def _trial_cells(arm: ArmResult, number_: int) -> tuple[str, list[str]]:
    trial = arm.trials[number_]
    return str(trial.number), [
        in_words(trial.parameters),
        {"pruned": "ended early"}.get(trial.state, trial.state) + (f": {trial.fault}" if trial.fault else ""),
        str(trial.epochs),
        "–" if trial.score is None else number(trial.score),
    ]
