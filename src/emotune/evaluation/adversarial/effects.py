"""One attack against the same clips as they are: paired differences, by gender too, and the size of the changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from emotune.attacks.plan import PlannedAttack
from emotune.errors import ModelError
from emotune.evaluation.robustness.degradations import Degradation
from emotune.evaluation.robustness.effects import DegradationEffect, effect_of
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import GENDERS


@dataclass(frozen=True)
class ChangeSize:
    """Size of an attack's changes over all clips.

    Args:
        snr_db: median of the changed clips, unchanged ones counted as infinitely far under the speech; NaN for
            spectrograms.
        largest: mean over clips of the largest change of a number.
        mean: mean over clips of the mean absolute change.
        changed: mean share of numbers that were changed.
        exposed: mean share of time and frequency where the change is louder than the speech.
        queries: mean count of inputs that the model was asked about.
        seconds: mean time for a clip.
    """

    snr_db: float
    largest: float
    mean: float
    changed: float
    exposed: float
    queries: float
    seconds: float


@dataclass(frozen=True)
class AttackEffect:
    """Effect of an attack on a model.

    Args:
        attack: which one.
        effect: scores and paired differences over all attacked clips.
        by_gender: the same by gender, where it is known.
        size: of the changes.
        rows: what the model says of each attacked clip.
    """

    attack: PlannedAttack
    effect: DegradationEffect
    by_gender: Mapping[str, DegradationEffect]
    size: ChangeSize
    rows: tuple[Prediction, ...]

    @staticmethod
    def snr_of(row: Prediction) -> float:
        """Ratio of speech to change of one clip in dB; NaN where it is not known."""
        return _number(row, "snr_db")


def attack_effect(
    attack: PlannedAttack,
    manifest: Manifest,
    clean: Predictions,
    attacked: Predictions,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> AttackEffect:
    """Compares predictions under an attack with those of the clean clips; see ``effect_of``.

    Raises:
        ModelError: when not one of the predictions can be used.
    """
    kind = Degradation(attack.options.domain, attack.words)

    def effect(part: Manifest) -> DegradationEffect:
        return effect_of(attack.slug, kind, part, clean, attacked, resamples=resamples, seed=seed)

    is_sound = attack.options.domain == "waveform"
    by_gender = effects_by_gender(manifest, effect)
    return AttackEffect(attack, effect(manifest), by_gender, _size(attacked, is_sound), attacked.rows)


def effects_by_gender(
    manifest: Manifest, effect: Callable[[Manifest], DegradationEffect]
) -> dict[str, DegradationEffect]:
    """Effects on the utterances of each gender that is known."""
    found: dict[str, DegradationEffect] = {}
    for gender in GENDERS:
        part = manifest.filter(lambda utterance, gender=gender: utterance.gender == gender)
        if len(part):
            with suppress(ModelError):  # not one of theirs could be predicted
                found[gender] = effect(part)
    return found


def _size(attacked: Predictions, is_sound: bool) -> ChangeSize:
    rows = [row for row in attacked if row.error is None]
    ratios = [_number(row, "snr_db") for row in rows]
    whole = [math.inf if math.isnan(ratio) else ratio for ratio in ratios]

    def mean(name: str) -> float:
        values = [_number(row, name) for row in rows]
        known = [value for value in values if not math.isnan(value)]
        return float(np.mean(known)) if known else math.nan

    return ChangeSize(
        float(np.percentile(whole, 50, method="inverted_cdf")) if is_sound and whole else math.nan,
        *(mean(name) for name in ("largest", "mean", "changed", "exposed", "queries", "seconds")),
    )


def _number(row: Prediction, name: str) -> float:
    value = row.extra.get(name)
    return math.nan if value is None or value == "" else float(value)
