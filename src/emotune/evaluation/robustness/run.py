"""Robustness of a model: every degradation against the same clean clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.audio import SAMPLING_RATE_HZ
from emotune.conditions.known import known_of
from emotune.errors import AudioError, CorpusError, ModelError
from emotune.evaluation.pairs import pair
from emotune.evaluation.robustness.babble import Voices
from emotune.evaluation.robustness.degradations import DEGRADATIONS, Degradation
from emotune.evaluation.robustness.effects import DegradationEffect, effect_of
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor
from emotune.io.tables import metadata_path
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.utterance import Utterance

FOLDER = "robustness"
"""Where the predictions of every degradation lie, under the results that they belong to."""

NOTE = "condition"
"""The column that says in words what each row of a degradation's predictions was predicted under."""


@dataclass(frozen=True)
class Robustness:
    """Scores of a model under every degradation.

    Args:
        metric: which score the loss is judged by: ``uar``, or ``ccc`` for a model without classes.
        clean: the scores of the clips as they are, with intervals.
        clean_recalls: class -> recall of the clips as they are.
        chance: the UAR of guessing; NaN without classes.
        classes: the model's classes; empty when classes are not scored.
        effects: one a degradation, in the table's order.
        skipped: degradations that could not be made -> why.
        speakers: how many known speakers the scored clips have.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    metric: str
    clean: Mapping[str, Estimate]
    clean_recalls: Mapping[str, float]
    chance: float
    classes: tuple[str, ...]
    effects: tuple[DegradationEffect, ...]
    skipped: Mapping[str, str]
    speakers: int
    resamples: int
    seed: int

    @property
    def failed(self) -> int:
        """Number of failed predictions, over all degradations."""
        return sum(item.failed for item in self.effects)


class DegradedItems(Sequence[Item]):
    """The utterances of a manifest under a degradation, each decoded and changed when it is asked for."""

    def __init__(self, voices: Voices, degradation: Degradation, only: Collection[str] | None = None) -> None:
        self.voices = voices
        self.degradation = degradation
        self.utterances = [own for own in voices.manifest if only is None or own.utterance_id in only]

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, position):  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._item(self.utterances[position])

    def _item(self, utterance: Utterance) -> Item:
        extra = {NOTE: self.degradation.words}
        try:
            samples = self.degradation(utterance, self.voices)
        except AudioError as error:
            return Item(utterance.utterance_id, b"", extra=extra, error=str(error))
        return Item(utterance.utterance_id, (samples, SAMPLING_RATE_HZ), extra=extra, known=known_of(utterance))


def predict_under(
    predictor: Predictor,
    voices: Voices,
    name: str,
    degradation: Degradation,
    *,
    only: Collection[str] | None = None,
    progress: Progress = silent,
) -> Predictions:
    """Predicts utterances of the manifest under a degradation, in its order; a clip that fails is an error row.

    ``only`` names them; None = all.
    """

    def named(items: Iterable, *, total: int, title: str) -> Iterator:
        return progress(items, total=total, title=name)

    found = predictor.predict_items(DegradedItems(voices, degradation, only), progress=named)
    return dataclasses.replace(found, manifest_fingerprint=voices.manifest.fingerprint())


def run_robustness(
    predictor: Predictor,
    manifest: Manifest,
    clean: Predictions,
    folder: Path,
    *,
    degradations: Mapping[str, Degradation] = DEGRADATIONS,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> Robustness:
    """Predicts a manifest under every degradation and compares the scores with those of the clean clips.

    The predictions under each are written as soon as they are there, ``<folder>/<degradation>.csv``; a table that is
    there already, of the same model, manifest and degradation, is taken as it is but for rows with an error, so that a
    run that was interrupted goes on where it was.

    Args:
        predictor: the model.
        manifest: the truth, and the voices for the babble.
        clean: what the model says of the clips as they are.
        folder: where the tables of predictions go.
        degradations: name -> degradation.
        resamples: of the bootstrap over speakers.
        seed: of the bootstrap.
        progress: told of every degradation by its name.

    Raises:
        CorpusError: when the manifest holds nothing that could be scored.
        ModelError: when not one of the clean predictions can be used.
    """
    pair(manifest, clean)  # says what is wrong before the work, not after it
    voices = Voices(manifest)
    skipped: dict[str, str] = {}
    found: list[DegradationEffect] = []
    for name, degradation in degradations.items():
        if degradation.snr_db is not None:
            try:
                voices.check_babble()
            except CorpusError as error:
                skipped[name] = str(error)
                continue
        path = folder / f"{name}.csv"
        degraded = _known(path, predictor, manifest, degradation)
        if degraded is None:
            degraded = predict_under(predictor, voices, name, degradation, progress=progress)
            degraded.write(path)
        elif degraded.failed:
            again = {row.utterance_id for row in degraded.failed}
            retried = predict_under(predictor, voices, name, degradation, only=again, progress=progress)
            degraded = degraded.with_rows_of(retried)
            degraded.write(path)
        try:
            found.append(effect_of(name, degradation, manifest, clean, degraded, resamples=resamples, seed=seed))
        except ModelError as error:
            skipped[name] = str(error)
    return _summed_up(manifest, clean, found, skipped, resamples=resamples, seed=seed)


def _known(path: Path, predictor: Predictor, manifest: Manifest, degradation: Degradation) -> Predictions | None:
    """Predictions of an earlier run, if of the same model, manifest and degradation."""
    if not (path.exists() and metadata_path(path).exists()):
        return None
    known = Predictions.read(path)
    same_model = known.model_fingerprint == predictor.fingerprint
    same_manifest = known.manifest_fingerprint == manifest.fingerprint()
    same_degradation = all(row.extra.get(NOTE) == degradation.words for row in known)
    return known if same_model and same_manifest and same_degradation else None


def _summed_up(
    manifest: Manifest,
    clean: Predictions,
    found: Sequence[DegradationEffect],
    skipped: Mapping[str, str],
    *,
    resamples: int,
    seed: int,
) -> Robustness:
    itself = effect_of(
        "clean", Degradation("clean", "as they are"), manifest, clean, clean, resamples=resamples, seed=seed
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
