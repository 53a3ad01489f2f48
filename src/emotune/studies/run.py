"""A whole study by one call: trained, scored, fused, compared, and written on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.studies.carry_out import Runner, carry_out
from emotune.studies.compare import study_results
from emotune.studies.execute import run_study
from emotune.studies.fusion import fuse_steps, write_fused
from emotune.studies.gather import gather
from emotune.studies.load import load_study
from emotune.studies.page import write_study
from emotune.studies.plan import Plan
from emotune.studies.results import StudyResult


def run(
    study: Plan | str | Path,
    folder: Path,
    *,
    overrides: Sequence[str] = (),
    runs_at_a_time: int = 1,
    resamples: int = 10_000,
    listener: Listener | None = None,
    progress: Progress = silent,
    run_one: Runner = carry_out,
) -> StudyResult:
    """Trains what is missing of a study, compares each step with the one before, and writes tables and the page.

    The same call goes on after an interruption; a run that failed is named under ``missing`` of the result.

    Args:
        study: a plan, a study file, or the name of a study that comes with emotune.
        folder: gets ``study.html``, ``study.csv``, ``study.md``, ``study.json``, and the runs.
        overrides: ``key.path=value`` of a study that is named.
        runs_at_a_time: in processes of their own.
        resamples: of bootstrap and test.
        run_one: trains, predicts and scores one run; another one leaves what a run leaves in its own way.

    Raises:
        ConfigError: for a study with faults, or a folder that holds runs of other recipes.
        ModelError: when the system ends a process.
    """
    plan = study if isinstance(study, Plan) else load_study(study, overrides)
    finished = run_study(
        plan, folder, runs_at_a_time=runs_at_a_time, listener=listener, progress=progress, run_one=run_one
    )
    comparable = gather(plan, finished)
    fused = fuse_steps(plan, comparable)
    write_fused(folder, fused)
    result = study_results(plan, comparable, fused, resamples=resamples)
    write_study(folder, result)
    return result
