"""emotune probe and emotune baseline: linear models on frozen features, and on pitch and energy."""

from __future__ import annotations

from emotune.cli.console import show_progress
from emotune.cli.train import (
    FoldsAtATime,
    Overrides,
    RecipeName,
    RunPath,
    default_folder,
    print_evaluation,
    run_protocol,
)
from emotune.cli.training_display import TrainingDisplay
from emotune.runtime.extras import needs


def probe(
    recipe_name: RecipeName,
    overrides: Overrides = None,
    output: RunPath = None,
    folds_at_a_time: FoldsAtATime = 1,
) -> None:
    """Linear probe on the frozen encoder: layer chosen on development, or by leaving speakers out."""
    with needs("train"):
        from emotune.config.reading import load_recipe
        from emotune.training.probe import probe_run
    recipe = load_recipe(recipe_name, overrides or [])
    folder = output or default_folder(recipe).with_name(f"{default_folder(recipe).name}-probe")
    if recipe.protocol is not None:
        run_protocol(recipe, folder, "probe", folds_at_a_time)
        return
    evaluation = probe_run(recipe, folder, listener=TrainingDisplay(), progress=show_progress)
    split = "development" if recipe.probe.leave_out is None else "all"
    print_evaluation(evaluation, split, folder / split)


def baseline(
    recipe_name: RecipeName,
    overrides: Overrides = None,
    output: RunPath = None,
    folds_at_a_time: FoldsAtATime = 1,
) -> None:
    """Pitch and energy statistics with logistic regression: what an encoder should beat."""
    with needs("train"):
        from emotune.config.reading import load_recipe
        from emotune.training.probe import baseline_run
    recipe = load_recipe(recipe_name, overrides or [])
    folder = output or default_folder(recipe).with_name(f"{default_folder(recipe).name}-baseline")
    if recipe.protocol is not None:
        run_protocol(recipe, folder, "baseline", folds_at_a_time)
        return
    evaluations = baseline_run(recipe, folder, listener=TrainingDisplay(), progress=show_progress)
    split = "test" if "test" in evaluations else "development"
    print_evaluation(evaluations[split], split, folder / split)
