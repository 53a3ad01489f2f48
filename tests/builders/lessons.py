"""Experiments of tasks that fine-tune on more than labels, as they are when training begins."""

from emotune.config.recipe import Recipe
from emotune.runtime.listener import Listener
from emotune.runtime.progress import silent
from emotune.training.build import Experiment, build_experiment
from emotune.training.manifest import build_manifest


def prepared_experiment(recipe: Recipe) -> Experiment:
    """Builds a recipe's experiment and lets its lesson prepare itself."""
    found = build_experiment(recipe, build_manifest(recipe))
    assert found.lesson is not None
    found.lesson.prepare(found.train, listener=Listener(), progress=silent)
    return found
