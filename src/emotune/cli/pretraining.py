"""Pre-training on the command line: `emotune train` comes here for a recipe with a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emotune.cli.console import err, out, show_progress
from emotune.cli.training_display import TrainingDisplay
from emotune.io.tables import to_json
from emotune.runtime.extras import needs

if TYPE_CHECKING:
    from emotune.config.recipe import Recipe


def train_recipe(recipe: Recipe, folder: Path, *, dry_run: bool) -> None:
    """Pre-trains an encoder or a model to start from, or describes what would be done."""
    with needs("train"):
        from emotune.schema.run_folder import after_pretraining
        from emotune.training.loop.processes import launched_number
        from emotune.training.pretraining.run import describe_pretraining, pretrain_run
    if dry_run:
        found = describe_pretraining(recipe, progress=show_progress)
        if launched_number() == 0:
            out.print(to_json(found), markup=False)
            out.print(
                f"{found['trainable']:,} of {found['parameters']:,} parameters train, for an encoder of"
                f" {found['encoder_parameters']:,}; {found['batches']['an_epoch']} batches an epoch,"
                f" {found['optimiser_steps']} steps; about {found['memory_gb']['total']:.2f} GB a process",
                markup=False,
            )
        return
    try:
        with TrainingDisplay() as display:
            found = pretrain_run(recipe, folder, listener=display, progress=show_progress)
    except KeyboardInterrupt:
        err.print("the same command continues from the last checkpoint", markup=False)
        raise
    if launched_number() == 0:
        what = "model" if found.is_model else "encoder"
        out.print(
            f"{what}: {found.folder}, {found.parameters:,} parameters, {found.metric} {found.score:.3f} on recordings"
            f" held out (epoch {found.epoch})",
            markup=False,
        )
        out.print(f"next: {after_pretraining(folder)}", markup=False)
