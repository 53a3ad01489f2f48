"""Agreement of named raters, such as language models, with a manifest's own labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.evaluation.pairs import speakers_of
from emotune.evaluation.statistics.bootstrap import UNIT, ClusterBootstrap, Estimate, cluster_codes, recoded
from emotune.metrics.classes import confusion_matrices, uar_of
from emotune.metrics.division import FloatArray, ratio
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import plurality

RATERS, UNPARSED = "raters", "unparsed"
"""Key of a manifest's information that names its raters, and the end of the column of what was not understood."""
SOURCE, HUMAN = "label_source", "human"
"""Column that says whose an utterance's label is where it may be a rater's, and what it says of people's."""


@dataclass(frozen=True)
class RaterAgreement:
    """Agreement of one rater with the labels.

    Args:
        rater: its name.
        rated: utterances that it was asked about.
        votes_written: utterances whose ``votes`` are its own, since people gave none.
        answers: of it, over all of these.
        unparsed: answers that name no class.
        without_answer: utterances of which no answer names a class most often.
        compared: utterances with a label and such an answer.
        labelled: utterances with a label of people that it was asked about.
        uar: of its answers against the labels of all these; one without an answer counts as wrong.
        kappa: Cohen's, over those that are compared.
        alpha: Krippendorff's, for nominal data, label and answer being two raters; over the same.
        chance: the UAR of guessing.
    """

    rater: str
    rated: int
    votes_written: int
    answers: int
    unparsed: int
    without_answer: int
    compared: int
    labelled: int
    uar: Estimate
    kappa: Estimate
    alpha: Estimate
    chance: float

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {
            name: value.to_json() if isinstance(value, Estimate) else value
            for name, value in ((name, getattr(self, name)) for name in self.__dataclass_fields__)
        }


def rater_agreements(manifest: Manifest, *, resamples: int = 1000, seed: int = 0) -> list[RaterAgreement]:
    """Agreement of each rater that a manifest's information names, with intervals over speakers."""
    named: Any = manifest.information.get(RATERS) or {}
    return [_agreement(manifest, str(rater), resamples, seed) for rater in named] if isinstance(named, Mapping) else []


def _agreement(manifest: Manifest, rater: str, resamples: int, seed: int) -> RaterAgreement:
    classes = manifest.label_space.classes
    votes = {u.utterance_id: found for u in manifest if (found := votes_of(u, rater, classes)) is not None}
    said = {
        name: plurality({key: n for key, n in own.items() if key != UNPARSED and n}, classes)
        for name, own in votes.items()
    }
    labelled = [u for u in manifest if u.emotion is not None and is_of_people(u) and u.utterance_id in votes]
    place = {name: number for number, name in enumerate(classes)}
    nothing = len(classes)  # a class of its own: where the rater has no answer
    truth = np.array([place[u.emotion or ""] for u in labelled], dtype=np.int64)
    answers = np.array([place.get(said[u.utterance_id] or "", nothing) for u in labelled], dtype=np.int64)
    uar = kappa = alpha = Estimate(math.nan)
    if labelled:
        codes, count = recoded(cluster_codes(speakers_of(labelled)))
        matrices = confusion_matrices(truth, answers, classes=nothing + 1, groups=codes, group_count=count)
        sums = ClusterBootstrap(np.asarray(matrices, dtype=float), resamples=resamples, seed=seed)
        uar = sums.estimate(uar_of, within=UNIT)
        kappa, alpha = (
            sums.estimate(lambda s, of=measure: of(s[..., :nothing, :nothing])) for measure in (kappa_of, alpha_of)
        )
    return RaterAgreement(
        rater,
        len(votes),
        sum(are_votes_of(u, rater, classes) for u in manifest),
        int(sum(sum(own.values()) for own in votes.values())),
        int(sum(own.get(UNPARSED, 0) for own in votes.values())),
        sum(answer is None for answer in said.values()),
        int(np.count_nonzero(answers < nothing)),
        len(labelled),
        uar,
        kappa,
        alpha,
        1 / len(set(truth.tolist())) if labelled else math.nan,
    )


def votes_of(utterance: Utterance, rater: str, classes: tuple[str, ...]) -> dict[str, float] | None:
    """Votes of a rater for an utterance, with what was not understood; None where it was not asked."""
    found: dict[str, float] = {}
    for name in (*classes, UNPARSED):
        value = utterance.extra.get(f"{rater}.{name}")
        try:
            number = float(value) if value not in (None, "") else math.nan
        except (TypeError, ValueError):
            number = math.nan
        if math.isfinite(number):
            found[name] = number
    return found or None


def is_of_people(utterance: Utterance) -> bool:
    """Tells whether a label is people's; a rater's own labels say nothing of how well it agrees."""
    return utterance.extra.get(SOURCE) in (None, "", HUMAN)


def are_votes_of(utterance: Utterance, rater: str, classes: tuple[str, ...]) -> bool:
    """Tells whether an utterance's votes are those that a rater wrote there, for want of people's."""
    own = votes_of(utterance, rater, classes) or {}
    return bool(utterance.votes) and dict(utterance.votes) == {n: v for n, v in own.items() if v and n != UNPARSED}


def kappa_of(confusion: FloatArray) -> FloatArray:
    """Cohen's kappa from confusion matrices, shape (..., classes, classes) -> (...); NaN where it is undefined.

    Reference:
        Cohen (1960), A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20(1).

    >>> round(float(kappa_of(np.array([[20.0, 5.0], [10.0, 15.0]]))), 4)
    0.4
    """
    total = confusion.sum(axis=(-2, -1))
    observed = ratio(np.trace(confusion, axis1=-2, axis2=-1), total)
    chance = ratio((confusion.sum(axis=-1) * confusion.sum(axis=-2)).sum(axis=-1), total**2)
    return ratio(observed - chance, 1 - chance)


def alpha_of(confusion: FloatArray) -> FloatArray:
    """Krippendorff's alpha of two raters from confusion matrices, shape (..., classes, classes) -> (...).

    Reference:
        Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section B.

    >>> round(float(alpha_of(np.array([[1.0, 1.0], [0.0, 1.0]]))), 4)
    0.4444
    """
    values = 2 * confusion.sum(axis=(-2, -1))
    of_class = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    disagreement = values - 2 * np.trace(confusion, axis1=-2, axis2=-1)
    by_chance = values - ratio((of_class * (of_class - 1)).sum(axis=-1), values - 1)
    return 1 - ratio(disagreement, by_chance)
