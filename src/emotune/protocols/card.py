"""Figures of a run of folds in the card of the model that the same recipe made, where that has no test of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.io.tables import read_json
from emotune.protocols.run import POOLED
from emotune.report.card_figures import add_figures
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import TRAIN
from emotune.training.recipe_changes import changes_between

_OF_FOLDS = ("name", "description", "notice", "seed", "protocol", "probe.leave_out", "probe.cache", "train.trackers")
_OF_SPLITS = tuple(f"data.{key}" for key in ("manifest", "corpus", "root", "labels", "splits", "allow", "cache"))


def add_figures_of_folds(run_path: str | Path, folds_path: str | Path) -> dict[str, Estimate]:
    """Puts the pooled figures of folds into the card of a model of the same recipe and recordings.

    Args:
        run_path: a run with a model.
        folds_path: a run under a protocol, or of a probe that leaves speakers out.

    Returns:
        metric -> score.

    Raises:
        ConfigError: where the two differ in more than their splits.
        EmotuneError: for folders that are none of the two.
    """
    run, folds = RunFolder(Path(run_path)), RunFolder(Path(folds_path))
    kinds = [str(one.information().get("kind")).replace("fine-tuned", "train") for one in (run, folds)]
    report = read_json(folds.results(POOLED) / "report.json", "The report of all folds")
    changes = changes_between(_recipe_of(folds), _recipe_of(run), but=(*_OF_FOLDS, *_OF_SPLITS))
    if not kinds[1].startswith(f"{kinds[0]}, "):
        changes = [f"kind: {kinds[1]} → {kinds[0]}", *changes]
    if changes:
        raise ConfigError(
            f"{folds.path} is of another recipe than {run.path} ({'; '.join(changes[:3])}): its figures say nothing of"
            " that model. Run the folds with the same keys."
        )
    of_folds, own = Manifest.read(folds.manifest), Manifest.read(run.manifest)
    if of_folds.label_space.classes != own.label_space.classes:
        raise ConfigError(
            f"{folds.path} tells {', '.join(of_folds.label_space.classes) or 'no'} classes apart and {run.path}"
            f" {', '.join(own.label_space.classes) or 'no'}: run the folds with the same classes."
        )
    known, trained = {utterance.content_sha256 for utterance in of_folds}, own.split(TRAIN)
    if new := sum(utterance.content_sha256 not in known for utterance in trained):
        raise ConfigError(
            f"{run.path} was trained on {new} recordings that {folds.path} does not have: its figures are of other"
            " data. Run the folds on the same recordings."
        )
    heard = len(known & {utterance.content_sha256 for utterance in trained})
    overall = {name: _estimate(score) for name, score in report["overall"].items()}
    add_figures(
        run,
        "speakers left out",
        overall,
        utterances=report["scored"],
        speakers=report["speakers"],
        notes=[
            f"Of the models of {report['information'].get('protocol', kinds[1])}: the same recipe, each speaker"
            f" answered by a model that did not hear it. This model was trained on {heard} of these {len(known)}"
            " recordings; of new speakers expect these figures.",
            *report["notices"],
        ],
    )
    return overall


def _estimate(score: Mapping[str, float | None]) -> Estimate:
    """A score of a report; what that has as null is undefined."""
    value, low, high = (math.nan if score[key] is None else float(score[key] or 0) for key in ("value", "low", "high"))
    return Estimate(value, low, high)


def _recipe_of(run: RunFolder) -> Recipe:
    try:
        found: Any = yaml.safe_load(run.recipe.read_text(encoding="utf-8"))
        return Recipe.model_validate(found)
    except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError):
        raise ConfigError(f"{run.recipe} cannot be read: give a finished run of train or probe.") from None
