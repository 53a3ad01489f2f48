"""Robustness of a model: every degradation against the same clean clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.audio import SAMPLING_RATE_HZ
from emotune.errors import AudioError, CorpusError, ModelError
from emotune.evaluation.pairs import pair
from emotune.evaluation.robustness.babble import Voices
from emotune.evaluation.robustness.degradations import CONDITIONS, Condition
from emotune.evaluation.robustness.effects import Degradation, degradation_of
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor
from emotune.io.tables import metadata_path
from emotune.runtime.progress import Progress, silent
from emotune.schema.conditions import known_of
from emotune.schema.manifest import Manifest, Utterance
from emotune.schema.predictions import Predictions

FOLDER = "robustness"
"""Where the predictions of every condition lie, under the results that they belong to."""

NOTE = "condition"
"""The column that says in words what each row of a condition's predictions was predicted under."""


@dataclass(frozen=True)
class Robustness:
    """Scores of a model under every degradation.

    Args:
        metric: which score the loss is judged by: ``uar``, or ``ccc`` for a model without classes.
        clean: the scores of the clips as they are, with intervals.
        clean_recalls: class -> recall of the clips as they are.
        chance: the UAR of guessing; NaN without classes.
        classes: the model's classes; empty when classes are not scored.
        degradations: one a condition, in the table's order.
        skipped: conditions that could not be made -> why.
        speakers: how many known speakers the scored clips have.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    metric: str
    clean: Mapping[str, Estimate]
    clean_recalls: Mapping[str, float]
    chance: float
    classes: tuple[str, ...]
    degradations: tuple[Degradation, ...]
    skipped: Mapping[str, str]
    speakers: int
    resamples: int
    seed: int

    @property
    def failed(self) -> int:
        """Number of failed predictions, over all conditions."""
        return sum(item.failed for item in self.degradations)


class DegradedItems(Sequence[Item]):
    """The utterances of a manifest under a condition, each decoded and changed when it is asked for."""

    def __init__(self, voices: Voices, condition: Condition) -> None:
        self.voices = voices
        self.condition = condition
        self.utterances = voices.manifest.utterances

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, position):  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._item(self.utterances[position])

    def _item(self, utterance: Utterance) -> Item:
        extra = {NOTE: self.condition.words}
        try:
            samples = self.condition(utterance, self.voices)
        except AudioError as error:
            return Item(utterance.utterance_id, b"", extra=extra, error=str(error))
        return Item(utterance.utterance_id, (samples, SAMPLING_RATE_HZ), extra=extra, known=known_of(utterance))


def predict_under(
    predictor: Predictor, voices: Voices, name: str, condition: Condition, *, progress: Progress = silent
) -> Predictions:
    """Predicts every utterance of the manifest under a condition, in its order; a clip that fails is an error row."""

    def named(items: Iterable, *, total: int, title: str) -> Iterator:
        return progress(items, total=total, title=name)

    found = predictor.predict_items(DegradedItems(voices, condition), progress=named)
    return dataclasses.replace(found, manifest_fingerprint=voices.manifest.fingerprint())


def run_robustness(
    predictor: Predictor,
    manifest: Manifest,
    clean: Predictions,
    folder: Path,
    *,
    conditions: Mapping[str, Condition] = CONDITIONS,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> Robustness:
    """Predicts a manifest under every degradation and compares the scores with those of the clean clips.

    Each condition's predictions are written as soon as they are there, ``<folder>/<condition>.csv``; a table that is
    there already, of the same model, manifest and condition, is taken as it is, so that a run that was interrupted goes
    on where it was.

    Args:
        predictor: the model.
        manifest: the truth, and the voices for the babble.
        clean: what the model says of the clips as they are.
        folder: where the tables of predictions go.
        conditions: name -> condition.
        resamples: of the bootstrap over speakers.
        seed: of the bootstrap.
        progress: told of every condition by its name.

    Raises:
        CorpusError: when the manifest holds nothing that could be scored.
        ModelError: when not one of the clean predictions can be used.
    """
    pair(manifest, clean)  # says what is wrong before the work, not after it
    voices = Voices(manifest)
    skipped: dict[str, str] = {}
    found: list[Degradation] = []
    for name, condition in conditions.items():
        if condition.snr_db is not None:
            try:
                voices.check_babble()
            except CorpusError as error:
                skipped[name] = str(error)
                continue
        path = folder / f"{name}.csv"
        degraded = _known(path, predictor, manifest, condition)
        if degraded is None:
            degraded = predict_under(predictor, voices, name, condition, progress=progress)
            degraded.write(path)
        try:
            found.append(degradation_of(name, condition, manifest, clean, degraded, resamples=resamples, seed=seed))
        except ModelError as error:
            skipped[name] = str(error)
    return _summed_up(manifest, clean, found, skipped, resamples=resamples, seed=seed)


def _known(path: Path, predictor: Predictor, manifest: Manifest, condition: Condition) -> Predictions | None:
    """Predictions of an earlier run, if of the same model, manifest and degradation."""
    if not (path.exists() and metadata_path(path).exists()):
        return None
    known = Predictions.read(path)
    same_model = known.model_fingerprint == predictor.engine.fingerprint
    same_manifest = known.manifest_fingerprint == manifest.fingerprint()
    same_condition = all(row.extra.get(NOTE) == condition.words for row in known)
    return known if same_model and same_manifest and same_condition else None


def _summed_up(
    manifest: Manifest,
    clean: Predictions,
    found: Sequence[Degradation],
    skipped: Mapping[str, str],
    *,
    resamples: int,
    seed: int,
) -> Robustness:
    itself = degradation_of(
        "clean", Condition("clean", "as they are"), manifest, clean, clean, resamples=resamples, seed=seed
    )
    return Robustness(
        "uar" if itself.recalls else "ccc",
        itself.scores,
        itself.recalls,
        itself.chance,
        tuple(itself.recalls),
        tuple(found),
        skipped,
        itself.speakers,
        resamples,
        seed,
    )
