"""Audit of a model: every attack against the same clips as they are."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from emotune.attacks.plan import PlannedAttack
from emotune.audio import SAMPLING_RATE_HZ
from emotune.conditions.known import known_of
from emotune.errors import AudioError, ConfigError, ModelError
from emotune.evaluation.adversarial.effects import AttackEffect, attack_effect, effects_by_gender
from emotune.evaluation.pairs import pair
from emotune.evaluation.robustness.degradations import Degradation
from emotune.evaluation.robustness.effects import DegradationEffect, effect_of
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor
from emotune.io.tables import metadata_path
from emotune.runtime.extras import needs
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import Utterance

if TYPE_CHECKING:
    from emotune.attacks.attacking import AttackedClip

FOLDER = "adversarial"
"""Folder of the tables of predictions and the example, under the results that they belong to."""
ORIGINAL, ATTACKED = "example-original.wav", "example-attacked.wav"

_ATTACK = "attack"


@dataclass(frozen=True)
class Example:
    """Clip whose answer an attack changed, to listen to.

    Args:
        utterance_id: whose.
        attack: in words.
        before: the answer to the clip as it is.
        after: the answer to the attacked one.
        snr_db: of the change.
    """

    utterance_id: str
    attack: str
    before: str
    after: str
    snr_db: float


@dataclass(frozen=True)
class Audit:
    """Scores of a model under every attack.

    Args:
        clean: the same clips as they are.
        clean_by_gender: the same by gender, where it is known.
        effects: one an attack.
        skipped: attacks that could not be made -> why.
        clips: how many were attacked.
        of: of how many that have a class.
        example: to listen to; None where no attack on the sound changed an answer.
        resamples: of the bootstrap.
        seed: of the choice of clips, the attacks and the bootstrap.
    """

    clean: DegradationEffect
    clean_by_gender: Mapping[str, DegradationEffect]
    effects: tuple[AttackEffect, ...]
    skipped: Mapping[str, str]
    clips: int
    of: int
    example: Example | None
    resamples: int
    seed: int

    @property
    def failed(self) -> int:
        """Number of failed predictions, over all attacks."""
        return sum(item.effect.failed for item in self.effects)


def run_audit(
    predictor: Predictor,
    manifest: Manifest,
    clean: Predictions,
    folder: Path,
    attacks: Sequence[PlannedAttack],
    *,
    named: bool = False,
    clips: int = 100,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> Audit:
    """Attacks the clips of a manifest and compares the scores with those of the clips as they are.

    The predictions under each attack are written clip by clip, ``<folder>/<attack>.csv``; rows without an error that
    are there already, of the same model, manifest, attack and seed, are taken as they are: an interrupted run goes on.

    Args:
        predictor: the model.
        manifest: the truth.
        clean: what the model says of the clips as they are.
        folder: where tables and example go.
        attacks: which ones.
        named: a user asked for these: one that cannot be made is an error, not left out.
        clips: attacked at most, as many of each class and speaker as possible.
        resamples: of the bootstrap over speakers.
        seed: of the choice of clips, the attacks and the bootstrap.
        progress: told of every attack by its name.

    Raises:
        ConfigError: for a model without classes, or a named attack that cannot be made on it.
        CorpusError: when the manifest holds nothing that could be scored.
        ModelError: when not one of the clean predictions can be used.
    """
    with needs("train", "Attacking a model"):
        from emotune.attacks.attacking import refusal_of  # noqa: PLC0415 (brings torch)
    _refuse(predictor)
    pair(manifest, clean)  # says what is wrong before the work, not after it
    labelled = manifest.filter(lambda utterance: utterance.emotion is not None)
    chosen = chosen_clips(labelled, clips, seed)
    skipped: dict[str, str] = {}
    effects: list[AttackEffect] = []
    for attack in attacks:
        reason = refusal_of(predictor.engine, attack)
        if reason is not None and named:
            raise ConfigError(f"--attack {attack.text}: {reason}")
        if reason is not None:
            skipped[attack.slug] = reason
            continue
        path, fingerprint = folder / f"{attack.slug}.csv", manifest.fingerprint()
        attacked = _attacked(predictor, chosen, path, attack, fingerprint=fingerprint, seed=seed, progress=progress)
        try:
            effects.append(attack_effect(attack, chosen, clean, attacked, resamples=resamples, seed=seed))
        except ModelError as error:
            skipped[attack.slug] = str(error)

    def as_they_are(part: Manifest) -> DegradationEffect:
        kind = Degradation("clean", "as they are")
        return effect_of("clean", kind, part, clean, clean, resamples=resamples, seed=seed)

    itself, by_gender = as_they_are(chosen), effects_by_gender(chosen, as_they_are)
    example = _write_example(predictor, chosen, clean, folder, effects, seed)
    return Audit(itself, by_gender, tuple(effects), skipped, len(chosen), len(labelled), example, resamples, seed)


def _refuse(predictor: Predictor) -> None:
    if not predictor.label_space.classes:
        raise ConfigError("--adversarial attacks the answered class, and this model has dimensions only.")
    if predictor.adaptation is not None:
        raise ConfigError(
            "--adversarial attacks the model itself: give the model that was adapted, not the adapted one."
        )


def chosen_clips(manifest: Manifest, clips: int, seed: int) -> Manifest:
    """As many utterances of each class, and then of each speaker, as possible, in the manifest's order.

    They are the same for the same seed, and those of fewer clips are among those of more.
    """
    groups: dict[tuple[str | None, str | None], list[Utterance]] = {}
    for utterance in sorted(manifest, key=lambda own: _digest(f"{seed} {own.utterance_id}")):
        groups.setdefault((utterance.emotion, utterance.speaker), []).append(utterance)
    rows: dict[str | None, list[tuple[int, int, str]]] = {}  # of a class: turn, place of the speaker, utterance
    for (emotion, _), group in groups.items():
        own = rows.setdefault(emotion, [])
        place = sum(turn == 0 for turn, _, _ in own)
        own += [(turn, place, utterance.utterance_id) for turn, utterance in enumerate(group)]
    by_class = [[name for _, _, name in sorted(own)] for own in rows.values()]
    order = [name for turn in zip_longest(*by_class) for name in turn if name is not None]
    kept = set(order[:clips])
    return manifest.filter(lambda utterance: utterance.utterance_id in kept)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _attacked(
    predictor: Predictor,
    manifest: Manifest,
    path: Path,
    attack: PlannedAttack,
    *,
    fingerprint: str,
    seed: int,
    progress: Progress,
) -> Predictions:
    """Predictions of every utterance under an attack, written clip by clip; those of the table already are kept.

    ``fingerprint`` is that of the whole manifest, so that an audit of more clips goes on from one of fewer.
    """
    stamp = f"{attack.text} seed={seed}"
    rows = _known(path, predictor, fingerprint, stamp)
    missing = [utterance for utterance in manifest if utterance.utterance_id not in rows]
    clips = ((utterance, _attack_one(predictor, manifest, utterance, attack, seed)) for utterance in missing)

    def so_far() -> Predictions:
        kept = tuple(rows[own.utterance_id] for own in manifest if own.utterance_id in rows)
        return Predictions(kept, predictor.label_space, predictor.fingerprint, fingerprint)

    for utterance, clip in progress(clips, total=len(missing), title=attack.slug):
        rows[utterance.utterance_id] = _answer_to(predictor, utterance, clip, stamp)
        so_far().write(path)
    return so_far()


def _known(path: Path, predictor: Predictor, fingerprint: str, stamp: str) -> dict[str, Prediction]:
    """Rows of an earlier run by id, if of the same model, manifest and attack; those with an error are tried again."""
    if not (path.exists() and metadata_path(path).exists()):
        return {}
    known = Predictions.read(path)
    same_model = known.model_fingerprint == predictor.fingerprint
    same_manifest = known.manifest_fingerprint == fingerprint
    same_attack = all(row.extra.get(_ATTACK) == stamp for row in known)
    if not (same_model and same_manifest and same_attack):
        return {}
    return {row.utterance_id: row for row in known if row.error is None}


def _attack_one(
    predictor: Predictor, manifest: Manifest, utterance: Utterance, attack: PlannedAttack, seed: int
) -> AttackedClip | AudioError:
    from emotune.attacks.attacking import attack_clip  # noqa: PLC0415 (brings torch)

    try:
        samples = manifest.clip_of(utterance).samples
        known = known_of(utterance)
        about = predictor.conditioner.about
        given = predictor.conditioner([known], [samples])[0].values if about else None
        return attack_clip(
            predictor.engine,
            attack,
            samples,
            predictor.label_space.classes.index(str(utterance.emotion)),
            key=f"{seed} {attack.text} {utterance.utterance_id}",
            conditions=given,
        )
    except AudioError as error:
        return error


def _answer_to(predictor: Predictor, utterance: Utterance, clip: AttackedClip | AudioError, stamp: str) -> Prediction:
    """Answer to an attacked clip: of sound by the whole way of any prediction, of a spectrogram at once."""
    name = utterance.utterance_id
    if isinstance(clip, AudioError):
        return Prediction(name, error=str(clip), extra={_ATTACK: stamp})
    extra: dict[str, Any] = {_ATTACK: stamp, **_finite(dataclasses.asdict(clip.change))}
    if clip.samples is not None:
        item = Item(name, (clip.samples, SAMPLING_RATE_HZ), extra=extra, known=known_of(utterance))
        return predictor.predict_items([item]).rows[0]
    assert clip.probabilities is not None
    said = dict(zip(predictor.label_space.classes, map(float, clip.probabilities), strict=True))
    return Prediction(name, said, dict.fromkeys(predictor.label_space.dimensions, np.nan), extra=extra)


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in numbers.items()}


def _write_example(
    predictor: Predictor,
    manifest: Manifest,
    clean: Predictions,
    folder: Path,
    effects: Sequence[AttackEffect],
    seed: int,
) -> Example | None:
    """Writes a clip as it is and attacked: the quietest change that turned a right answer into a wrong one."""
    before, truth = clean.by_id(), {utterance.utterance_id: utterance for utterance in manifest}
    turned: list[tuple[float, AttackEffect, Utterance, Prediction]] = []
    for item in effects:
        for row in item.rows:
            utterance, snr_db = truth[row.utterance_id], item.snr_of(row)
            was_right = before[row.utterance_id].most_probable == utterance.emotion
            if was_right and row.error is None and row.most_probable != utterance.emotion and np.isfinite(snr_db):
                turned.append((snr_db, item, utterance, row))
    bounded = [entry for entry in turned if entry[1].attack.name in ("pgd", "bim", "fgsm")]
    if not turned:
        return None
    snr_db, item, utterance, row = max(bounded or turned, key=lambda entry: (entry[0], entry[2].utterance_id))
    clip = _attack_one(predictor, manifest, utterance, item.attack, seed)
    assert not isinstance(clip, AudioError) and clip.samples is not None
    _write_wav(folder / ORIGINAL, manifest.clip_of(utterance).samples)
    _write_wav(folder / ATTACKED, clip.samples)
    was = str(before[row.utterance_id].most_probable)
    return Example(row.utterance_id, item.attack.words, was, str(row.most_probable), snr_db)


def _write_wav(path: Path, samples: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, SAMPLING_RATE_HZ, subtype="FLOAT")  # 16 bits would round a small change away
