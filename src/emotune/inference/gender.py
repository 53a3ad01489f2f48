"""Gender prediction for every utterance of a manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from emotune.inference.predictor import Predictor
from emotune.runtime.progress import Progress, silent
from emotune.schema.conditions import GENDER_CLASSES
from emotune.schema.manifest import Manifest


def with_gender(
    manifest: Manifest, predictor: Predictor, identity: Mapping[str, Any], *, progress: Progress = silent
) -> tuple[Manifest, list[str]]:
    """The manifest with ``gender_predicted``, and the errors of recordings that cannot be used; theirs stays empty.

    Args:
        manifest: any.
        predictor: a model of gender, see ``emotune.enrichment.providers``.
        identity: its name and revision, which the manifest's information keeps.
    """
    predictions = predictor.predict_manifest(manifest, progress=progress)
    utterances = [
        dataclasses.replace(utterance, gender_predicted=row.emotion)
        for utterance, row in zip(manifest, predictions, strict=True)
    ]
    information = {**manifest.information, "gender_predictor": dict(identity)}
    errors = [row.error for row in predictions.failed if row.error]
    return dataclasses.replace(manifest, utterances=tuple(utterances), information=information), errors


def gender_accuracy(manifest: Manifest) -> tuple[int, int]:
    """Numbers of utterances of known gender that were predicted right, and that were predicted."""
    both = [u for u in manifest if u.gender in GENDER_CLASSES and u.gender_predicted is not None]
    return sum(u.gender == u.gender_predicted for u in both), len(both)
