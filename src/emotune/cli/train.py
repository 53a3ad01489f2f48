"""emotune train: fine-tune as a recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from emotune.cli import pretraining, sequences
from emotune.cli.console import err, out, show_progress, warn_all
from emotune.cli.training_display import TrainingDisplay
from emotune.io.tables import to_json
from emotune.runtime.extras import needs

if TYPE_CHECKING:
    from emotune.evaluation.result import Evaluation

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or a name from `emotune recipes`.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Overrides such as train.epochs=3.")]
RunPath = Annotated[Path | None, typer.Option("-o", "--output", help="Run folder; default runs/<recipe>-seed<seed>.")]
FoldsAtATime = Annotated[
    int, typer.Option("--folds-at-a-time", min=1, help="protocol=...: folds that run at a time, in processes.")
]


def train(
    recipe_name: RecipeName,
    overrides: Overrides = None,
    output: RunPath = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show model, batches and memory; train nothing.")] = False,
    folds_at_a_time: FoldsAtATime = 1,
) -> None:
    """Fine-tune a speech encoder; the run folder holds model, predictions and report. With protocol=NAME, all folds.

    A recipe with tasks, such as sequences/emotion, trains a sequence model; one with a task, such as
    pretraining/vesper_tiny, makes an encoder of recordings without labels.
    """
    with needs("train"):
        from emotune.config.reading import load_recipe
        from emotune.config.sequences import is_sequence_recipe
    if is_sequence_recipe(recipe_name):
        sequences.train_recipe(recipe_name, overrides or [], output, dry_run=dry_run)
        return
    recipe = load_recipe(recipe_name, overrides or [])
    with needs("train"):  # once the recipe is without fault: a fault is told at once
        from emotune.protocols.run import first_fold
        from emotune.training.fine_tune import describe, train_run
        from emotune.training.loop.processes import launched_number, leave
    if recipe.protocol is not None and dry_run:
        recipe = first_fold(recipe, progress=show_progress)
        err.print(f"the first fold, {recipe.name}", markup=False)
    if recipe.protocol is not None:
        run_protocol(recipe, output or default_folder(recipe), "train", folds_at_a_time)
        return
    if recipe.pretrains:
        pretraining.train_recipe(recipe, output or default_folder(recipe), dry_run=dry_run)
        return
    if dry_run:
        description = describe(recipe, progress=show_progress)
        if launched_number() == 0:
            print_description(description)
        return
    folder = output or default_folder(recipe)
    try:
        with TrainingDisplay() as display:
            evaluation = train_run(recipe, folder, listener=display, progress=show_progress)
    except KeyboardInterrupt:
        err.print("the same command continues from the last checkpoint", markup=False)
        raise
    if launched_number() == 0:
        print_evaluation(evaluation, "development", folder / "development")
        out.print(f"next: emotune evaluate {folder} --split test", markup=False)
    if recipe.train.fsdp:
        leave()


def run_protocol(recipe: Any, folder: Path, kind: Literal["train", "probe", "baseline"], folds_at_a_time: int) -> None:
    """Every fold of a recipe's protocol, and the pooled figures."""
    with needs("train"):
        from emotune.protocols.run import run
        from emotune.schema.run_folder import after_pretraining
    try:
        with TrainingDisplay() as display:
            evaluations = run(
                recipe, folder, kind=kind, processes=folds_at_a_time, listener=display, progress=show_progress
            )
    except KeyboardInterrupt:
        err.print("the same command continues", markup=False)
        raise
    for name, evaluation in evaluations.items():
        print_evaluation(evaluation, name, folder / name)
    if recipe.pretrains:
        out.print(f"next: {after_pretraining(folder)}", markup=False)


def default_folder(recipe: Any) -> Path:
    """Folder of a recipe's run where none is named."""
    return Path("runs") / f"{recipe.name.replace('/', '-')}-seed{recipe.seed}"


def print_evaluation(evaluation: Evaluation, split: str, folder: Path) -> None:
    """The headline figures with their intervals, and where the report lies."""
    for name, estimate in {**evaluation.overall, **evaluation.of_corpora}.items():
        out.print(f"{split} {name} {estimate.in_words()}", markup=False)
    if evaluation.votes is not None:
        for name in ("jensen_shannon", "soft_macro_f1"):
            out.print(f"{split} votes {name} {evaluation.votes.scores[name].in_words()}", markup=False)
    warn_all(evaluation.notes)
    out.print(f"report: {folder / 'report.html'}", markup=False)


def print_description(description: Mapping[str, Any]) -> None:
    """Prints a dry run's description, with a line on parameters and memory."""
    out.print(to_json(description), markup=False)
    share = description["trainable"] / max(description["parameters"], 1)
    memory = description["memory_gb"]["total"]
    out.print(
        f"{description['trainable']:,} of {description['parameters']:,} parameters train ({share:.1%});"
        f" {description['batches']['an_epoch']} batches an epoch, {description['optimiser_steps']} steps;"
        f" about {memory:.2f} GB a process",
        markup=False,
    )
