"""Commands on sequence models: train, evaluate and predict come here for a recipe or a run of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.cli.console import err, leave_with, out, show_progress
from emotune.cli.training_display import TrainingDisplay
from emotune.io.tables import to_json
from emotune.runtime.extras import needs

if TYPE_CHECKING:
    from emotune.inference.inputs import Inputs
    from emotune.training.sequences.evaluate import ScoredTask


def train_recipe(name: str, overrides: Sequence[str], output: Path | None, *, dry_run: bool) -> None:
    """Trains a recipe of sequences, or describes it."""
    with needs("train"):
        from emotune.config.sequences import load_sequence_recipe
    recipe = load_sequence_recipe(name, overrides)
    with needs("sequences"):
        from emotune.training.loop.processes import launched_number
        from emotune.training.sequences.train_sequences import describe, train_sequences
    if dry_run:
        found = describe(recipe)
        out.print(to_json(found), markup=False)
        out.print(
            f"{found['trainable']:,} of {found['parameters']:,} parameters train ({found['trainable_share']:.1%});"
            f" {found['batches']['an_epoch']} batches an epoch, {found['optimiser_steps']} steps",
            markup=False,
        )
        return
    folder = output or Path("runs") / f"{recipe.name.replace('/', '-')}-seed{recipe.seed}"
    try:
        with TrainingDisplay() as display:
            scored = train_sequences(recipe, folder, listener=display, progress=show_progress)
    except KeyboardInterrupt:
        err.print("the same command continues from the last checkpoint", markup=False)
        raise
    if launched_number() == 0:
        _print_scores(scored, "development", folder / "development")
        out.print(f"next: emotune evaluate {folder} --split test", markup=False)


def evaluate_run(run: str, split: str | None, output: Path | None, resamples: int, device: str | None) -> None:
    """Scores a run of a sequence model."""
    with needs("sequences"):
        from emotune.training.sequences.evaluate import evaluate_sequences
    folder, name = Path(run), split or "test"
    scored = evaluate_sequences(run, name, output, resamples=resamples, device=device, progress=show_progress)
    _print_scores(scored, name, output or folder / name)
    leave_with([], sum(task.failed for task in scored))


def predict_inputs(model: str, inputs: Inputs, output: Path | None, options: Mapping[str, Any]) -> None:
    """Writes a sequence model's answers to recordings."""
    with needs("sequences"):
        from emotune.inference.sequences.write_files import write_files
    written = write_files(model, inputs, output, progress=show_progress, **options)
    failed = [row.error for row in written if row.error]
    if output is None:
        for row in written:
            for task, answer in row.answers.items():
                out.print(f"{row.utterance_id}: {task}: {answer}", markup=False)
    else:
        out.print(f"{output}: {len(written)} rows, {len(failed)} with an error", markup=False)
    leave_with(failed, len(failed))


def _print_scores(scored: Sequence[ScoredTask], split: str, folder: Path) -> None:
    for task in scored:
        for name, estimate in task.figures.items():
            out.print(f"{split} {task.name} {name} {estimate.in_words()}", markup=False)
        if task.failed:
            err.print(f"{task.name}: {task.failed} clips cannot be used, see {folder / task.name}.csv", markup=False)
    out.print(f"report: {folder / 'report.json'}", markup=False)
