"""emotune probe and emotune baseline: linear models on frozen features, and on pitch and energy."""

from __future__ import annotations

from emotune.cli.console import show_progress, with_extra
from emotune.cli.train import (
    FoldsAtATime,
    Overrides,
    RecipeName,
    RunPath,
    TrainingDisplay,
    default_folder,
    print_evaluation,
    run_protocol,
)


def probe(
    recipe_name: RecipeName,
    overrides: Overrides = None,
    output: RunPath = None,
    folds_at_a_time: FoldsAtATime = 1,
) -> None:
    """Linear probe on the frozen encoder: layer chosen on development, or by leaving speakers out."""
    recipe = with_extra("emotune.config.reading").load_recipe(recipe_name, overrides or [])
    folder = output or default_folder(recipe).with_name(f"{default_folder(recipe).name}-probe")
    if recipe.protocol is not None:
        run_protocol(recipe, folder, "probe", folds_at_a_time)
        return
    evaluation = with_extra("emotune.training.probe").probe_run(
        recipe, folder, listener=TrainingDisplay(), progress=show_progress
    )
    split = "development" if recipe.probe.leave_out is None else "all"
    print_evaluation(evaluation, split, folder / split)


def baseline(recipe_name: RecipeName, overrides: Overrides = None, output: RunPath = None) -> None:
    """Pitch and energy statistics with logistic regression: what an encoder should beat."""
    recipe = with_extra("emotune.config.reading").load_recipe(recipe_name, overrides or [])
    folder = output or default_folder(recipe).with_name(f"{default_folder(recipe).name}-baseline")
    split, evaluation = with_extra("emotune.training.probe").baseline_run(
        recipe, folder, listener=TrainingDisplay(), progress=show_progress
    )
    print_evaluation(evaluation, split, folder / split)
