"""The speaker's gender as a condition: given by the corpus, or predicted by a model of emotune."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from pydantic import Field

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.conditions.condition import Condition, ConditionOptions, ValuePredictor
from emotune.conditions.sources import Helper, Identity, LoadModel
from emotune.errors import EmotuneError
from emotune.runtime.progress import Progress, silent
from emotune.schema.gender import GENDER, GENDER_CLASSES, gender_name, gender_shares
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

LIMITS = (
    "Gender here is a corpus's word for how a voice sounds, female or male; it is nobody's identity, and other"
    " genders are 'unknown' to the model.",
    "Not for sorting people by gender. Look at the report's figures by gender before use.",
)
"""Sentences for the card of a model that predicts, learns or is given gender."""


class GenderOptions(ConditionOptions):
    """The speaker's gender as an input.

    ``predictor`` is a model that was trained with ``data.target: gender``: it gives the values that are missing, in
    training and afterwards.
    """

    predictor: str | None = None
    """a model that was trained with data.target: gender, for values that are missing"""
    size: int = Field(default=32, ge=1)
    """of the embedding"""


class GenderModel(Protocol):
    """A ``Predictor`` of a model that was trained with ``data.target: gender``."""

    @property
    def label_space(self) -> LabelSpace: ...

    @property
    def identity(self) -> Identity: ...

    def predict(self, source: list[Any], sampling_rate_hz: int | None = None) -> Predictions: ...

    def predict_manifest(self, manifest: Manifest, *, progress: Progress = silent) -> Predictions: ...


class GenderPredictor(ValuePredictor):
    """A model of emotune, asked for gender.

    Raises:
        EmotuneError: when it predicts something else, or is not of the revision that is wanted.
    """

    def __init__(self, model: GenderModel, *, revision: str | None = None) -> None:
        name, classes = model.identity["name"], model.label_space.classes
        if set(classes) != set(GENDER_CLASSES):
            raise EmotuneError(
                f"{name} predicts {', '.join(classes) or 'dimensions'}, not gender; train one with data.target=gender."
            )
        if revision is not None and model.identity["revision"] != revision:
            raise EmotuneError(f"{name} is not the model of revision {revision} that was trained with; name that one.")
        self.model = model

    def __call__(self, sounds: Sequence[FloatArray]) -> list[str | None]:
        return [row.emotion for row in self.model.predict(list(sounds), SAMPLING_RATE_HZ)]

    def fill(self, manifest: Manifest, *, progress: Progress = silent) -> Manifest:
        return self.fill_and_tell(manifest, progress=progress)[0]

    def fill_and_tell(self, manifest: Manifest, *, progress: Progress = silent) -> tuple[Manifest, list[str]]:
        """The manifest with ``gender_predicted``, and the errors of recordings that cannot be used; theirs is empty."""
        predictions = self.model.predict_manifest(manifest, progress=progress)
        utterances = [
            dataclasses.replace(utterance, gender_predicted=row.emotion)
            for utterance, row in zip(manifest, predictions, strict=True)
        ]
        information = {**manifest.information, "gender_predictor": dict(self.model.identity)}
        errors = [row.error for row in predictions.failed if row.error]
        return dataclasses.replace(manifest, utterances=tuple(utterances), information=information), errors


def gender_accuracy(manifest: Manifest) -> tuple[int, int]:
    """Numbers of utterances of known gender that were predicted right, and that were predicted at all."""
    both = [u for u in manifest if u.gender in GENDER_CLASSES and u.gender_predicted is not None]
    return sum(u.gender == u.gender_predicted for u in both), len(both)


class GenderCondition(Condition):
    """An embedding for each of ``GENDER_CLASSES``; the value is one for a gender and zero for the other.

    >>> GenderCondition().value_of({"gender_predicted": "female"}, "given")
    ('female', 'predicted')
    >>> GenderCondition().value_of({"gender": "other"}, "given")
    (None, 'unknown')
    """

    name = GENDER
    words = "the speaker's gender"
    options = GenderOptions
    given = "gender"
    predicted = "gender_predicted"
    opposite: ClassVar[Mapping[str, str]] = dict(zip(GENDER_CLASSES, reversed(GENDER_CLASSES), strict=True))
    features = "emotune.models.conditions.features:Embedding"
    width = len(GENDER_CLASSES)
    predictor = Helper("predictor", "gender_model", "gender predictor", "gender_predictor")
    limits = (
        *LIMITS,
        "A wrong gender can change the emotion that is predicted; it can be withheld (`gender=unknown`).",
    )

    def read(self, cell: str) -> str:
        return gender_name(cell) or ""

    def usable(self, value: str | None) -> str | None:
        return value if value in GENDER_CLASSES else None

    def vector(self, value: str) -> Sequence[float]:
        return gender_shares(value)

    def find_predictor(self, options: GenderOptions, manifest: Manifest, load_model: LoadModel) -> Identity | None:
        if options.predictor is None:
            return None
        return GenderPredictor(load_model(options.predictor)).model.identity

    def load_predictor(self, identity: Identity, load_model: LoadModel) -> GenderPredictor:
        return GenderPredictor(load_model(identity["name"]), revision=identity.get("revision"))
