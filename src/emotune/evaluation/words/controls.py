"""Controls: the same clips with one side taken away or exchanged, predicted anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.audio.prosody import flattened, without_words
from emotune.conditions.known import known_of
from emotune.errors import AudioError
from emotune.evaluation.words.reader import has_transcript, text_of
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor
from emotune.io.tables import metadata_path
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.utterance import Utterance

NOTE, DONOR = "control", "transcript_of"
"""Columns of the tables: what was done, and whose transcript was given in place of the clip's own."""
TEXT = "text"
FLATTENED, WITHOUT_WORDS, EXCHANGED = "flattened", "without_words", "exchanged"
CONTROLS = {
    FLATTENED: "pitch and loudness levelled, words kept",
    WITHOUT_WORDS: "words filtered out (below 400 Hz alone), melody kept",
    EXCHANGED: "transcripts of other clips, the sound as it is",
}
_CHANGES: Mapping[str, Callable[[FloatArray, int], FloatArray]] = {
    FLATTENED: flattened,
    WITHOUT_WORDS: without_words,
}


@dataclass(frozen=True)
class Controlled:
    """Predictions under the controls, and of exchanged transcripts the emotion that each clip was given in words."""

    predictions: Mapping[str, Predictions]
    exchanged_words: Mapping[str, str | None]


class ControlItems(Sequence[Item]):
    """Utterances of a manifest under a control, each decoded and changed when it is asked for."""

    def __init__(self, manifest: Manifest, control: str, donors: Mapping[str, Utterance]) -> None:
        self.manifest = manifest
        self.control = control
        self.donors = donors

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, position):  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._item(self.manifest.utterances[position])

    def _item(self, utterance: Utterance) -> Item:
        extra = {NOTE: CONTROLS[self.control]}
        if (donor := self.donors.get(utterance.utterance_id)) is not None:
            extra[DONOR] = donor.utterance_id
        known = known_of(self._spoken(utterance))
        try:
            samples = self.manifest.clip_of(utterance, sampling_rate_hz=SAMPLING_RATE_HZ).samples
        except AudioError as error:
            return Item(utterance.utterance_id, b"", extra=extra, error=str(error))
        change = _CHANGES.get(self.control)
        heard = samples if change is None else change(samples, SAMPLING_RATE_HZ)
        return Item(utterance.utterance_id, (heard, SAMPLING_RATE_HZ), extra=extra, known=known)

    def _spoken(self, utterance: Utterance) -> Utterance:
        """Utterance with the words that the control leaves or gives it."""
        if self.control == WITHOUT_WORDS:
            return dataclasses.replace(utterance, text=None, text_predicted="")
        donor = self.donors.get(utterance.utterance_id)
        if donor is None:
            return utterance
        return dataclasses.replace(utterance, text=text_of(donor), text_predicted=text_of(donor))


def takes_words(predictor: Predictor) -> bool:
    """Tells whether a model is given transcripts beside the sound."""
    return TEXT in predictor.engine.conditions


def donors_of(
    utterances: Sequence[Utterance], said: Sequence[str | None], *, seed: int = 0
) -> dict[str, tuple[Utterance, str | None]]:
    """For each utterance with a transcript another one, and what its words say.

    One whose words say an emotion that is neither the utterance's label nor what its own words say, where there is
    one; else any other with other words. Drawn once from the seed.
    """
    generator = np.random.default_rng(seed)
    spoken = [(u, name) for u, name in zip(utterances, said, strict=True) if has_transcript(u)]
    by_emotion: dict[str, list[Utterance]] = {}
    for utterance, name in spoken:
        if name is not None:
            by_emotion.setdefault(name, []).append(utterance)
    found: dict[str, tuple[Utterance, str | None]] = {}
    for utterance, name in spoken:
        others = [emotion for emotion in by_emotion if emotion not in (name, utterance.emotion)]
        if others:
            emotion = others[int(generator.integers(len(others)))]
            pool = by_emotion[emotion]
            found[utterance.utterance_id] = (pool[int(generator.integers(len(pool)))], emotion)
            continue
        different = [(u, n) for u, n in spoken if text_of(u) != text_of(utterance)]
        if different:
            found[utterance.utterance_id] = different[int(generator.integers(len(different)))]
    return found


def run_controls(
    predictor: Predictor,
    manifest: Manifest,
    said: Sequence[str | None],
    folder: Path,
    *,
    progress: Progress = silent,
) -> Controlled:
    """Predicts a manifest under each control that applies; exchanged transcripts are for models that are given some.

    The predictions are written as soon as they are there, ``<folder>/<control>.csv``; a table of the same model,
    manifest, control and exchanged transcripts that is there already is taken as it is but for rows with an error.

    Args:
        predictor: the model.
        manifest: what is predicted.
        said: what each utterance's words say.
        folder: where the tables go.
        progress: told of every control by its name.
    """
    donors = donors_of(manifest.utterances, said)
    found: dict[str, Predictions] = {}
    for control in CONTROLS:
        if control == EXCHANGED and not (takes_words(predictor) and donors):
            continue
        path = folder / f"{control}.csv"
        given = {name: donor for name, (donor, _) in donors.items()} if control == EXCHANGED else {}
        predictions = _kept(path, predictor, manifest, control, given)
        if predictions is None:
            items = ControlItems(manifest, control, given)
            predictions = predictor.predict_items(items, progress=progress)
            predictions = dataclasses.replace(predictions, manifest_fingerprint=manifest.fingerprint())
            predictions.write(path)
        elif predictions.failed:
            again = {row.utterance_id for row in predictions.failed}
            part = manifest.filter(lambda own, again=again: own.utterance_id in again)
            retried = predictor.predict_items(ControlItems(part, control, given), progress=progress)
            predictions = predictions.with_rows_of(retried)
            predictions.write(path)
        found[control] = predictions
    return Controlled(found, {name: emotion for name, (_, emotion) in donors.items()} if EXCHANGED in found else {})


def _kept(
    path: Path, predictor: Predictor, manifest: Manifest, control: str, donors: Mapping[str, Utterance]
) -> Predictions | None:
    """Predictions of an earlier run, if of the same model, manifest, control and donors: another reader has others."""
    if not (path.exists() and metadata_path(path).exists()):
        return None
    known = Predictions.read(path)
    same = (known.model_fingerprint, known.manifest_fingerprint) == (predictor.fingerprint, manifest.fingerprint())
    given = {name: donor.utterance_id for name, donor in donors.items()}
    same = same and all(
        row.extra.get(NOTE) == CONTROLS[control] and (row.extra.get(DONOR) or None) == given.get(row.utterance_id)
        for row in known
    )
    return known if same else None
