"""Predicted probabilities against annotators' votes, of every utterance that has both, with a label or without."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.pairs import FAILED, NO_ROW, NOT_FINITE, NotScored, speakers_of
from emotune.evaluation.statistics.bootstrap import UNIT, ClusterBootstrap, Estimate, cluster_codes, recoded
from emotune.metrics.dimensions import grouped_moments, pearson_of
from emotune.metrics.distributions import (
    cosine_similarities,
    entropies,
    jensen_shannon_divergences,
    kl_divergences,
    macro_f1_of,
    micro_f1_of,
    shared_classes,
    shared_mass,
    top_hits,
)
from emotune.metrics.division import FloatArray, IntArray, ratio
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import vote_shares

VOTE_SIMILARITY = "vote_similarity"
MEANS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "jensen_shannon": jensen_shannon_divergences,
    "kl_divergence": kl_divergences,
    "cosine_similarity": cosine_similarities,
    "top_agreement": top_hits,
}
LEVELS = ((0.5, "half or less"), (0.75, "up to three quarters"), (1 - 1e-9, "over three quarters"), (math.inf, "all"))
"""Upper limits of the share of the most voted class, which the level holds, and names."""
ONE_VOTE = "a single vote"
ENTROPY_BINS = ((1e-9, "0"), (0.5, "up to 0.5"), (1.0, "up to 1"), (1.5, "up to 1.5"), (math.inf, "over 1.5"))
"""Upper limits of the entropy of the votes in bits, which the bin holds, and names."""


@dataclass(frozen=True)
class AgreementLevel:
    """Utterances by the share of the votes that their most voted class got, or by the entropy of their votes.

    ``labelled`` of them have a class in the manifest, of which ``accuracy`` is the share that is right.
    """

    name: str
    utterances: int
    labelled: int
    accuracy: Estimate
    jensen_shannon: Estimate
    top_agreement: Estimate

    def to_json(self, key: str) -> dict[str, object]:
        """Plain data for a JSON file, the name under a key that says what the levels go by."""
        return {
            key: self.name,
            "utterances": self.utterances,
            "labelled": self.labelled,
            "accuracy": self.accuracy.to_json(),
            "jensen_shannon": self.jensen_shannon.to_json(),
            "top_agreement": self.top_agreement.to_json(),
        }


@dataclass(frozen=True)
class VoteScores:
    """Scores of predicted probabilities against votes, as shares of the model's classes.

    Args:
        class_count: how many classes the model has.
        utterances: with votes for the model's classes and a usable prediction.
        unlabelled: those of them that the manifest gives no emotion.
        scores: metric of ``emotune.metrics.distributions`` -> mean, or F1, with interval; ``entropy_correlation`` is
            Pearson's, of the two entropies of an utterance.
        human_entropy, model_entropy: their means in bits.
        levels: by agreement.
        entropy_bins: by the entropy of the votes in bits.
        other_votes: votes for classes that the model does not know, which count for nothing here.
        not_scored: utterances with votes that are left out, and why.
        entropies: of votes and prediction in bits, shape (utterances, 2); not part of the JSON.
    """

    class_count: int
    utterances: int
    unlabelled: int
    scores: Mapping[str, Estimate]
    human_entropy: float
    model_entropy: float
    levels: tuple[AgreementLevel, ...]
    entropy_bins: tuple[AgreementLevel, ...]
    other_votes: Mapping[str, float]
    not_scored: tuple[NotScored, ...]
    entropies: FloatArray = field(repr=False)

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {
            "utterances": self.utterances,
            "unlabelled": self.unlabelled,
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "human_entropy_bits": self.human_entropy,
            "model_entropy_bits": self.model_entropy,
            "by_agreement": [item.to_json("most_voted_share") for item in self.levels],
            "by_entropy": [item.to_json("entropy_bits") for item in self.entropy_bins],
            "votes_for_other_classes": dict(self.other_votes),
            "not_scored": [item.to_json() for item in self.not_scored],
        }


@dataclass(frozen=True)
class _VotePairs:
    """Votes and predictions side by side, shares and probabilities of shape (rows, classes)."""

    utterances: tuple[Utterance, ...]
    clusters: IntArray
    classes: tuple[str, ...]
    votes: FloatArray
    probabilities: FloatArray
    not_scored: tuple[NotScored, ...]


def vote_similarity(manifest: Manifest, predictions: Predictions) -> float | None:
    """One less the mean Jensen-Shannon divergence from the votes, in [0, 1]; None where nothing has votes."""
    pairs = _paired(manifest, predictions)
    if not pairs.utterances:
        return None
    return 1 - float(jensen_shannon_divergences(pairs.votes, pairs.probabilities).mean())


def score_votes(manifest: Manifest, predictions: Predictions, *, resamples: int, seed: int) -> VoteScores | None:
    """Scores probabilities against votes; None where no utterance with votes has a usable prediction."""
    pairs = _paired(manifest, predictions)
    if not pairs.utterances:
        return None
    votes, probabilities = pairs.votes, pairs.probabilities
    columns = [np.ones(len(votes)), *(measure(votes, probabilities) for measure in MEANS.values())]
    means = _bootstrap(np.stack(columns, axis=-1), pairs.clusters, resamples, seed)
    found = dict(zip(MEANS, means.estimates(lambda s: ratio(s[..., 1:], s[..., :1])), strict=True))
    mass = _bootstrap(shared_mass(votes, probabilities), pairs.clusters, resamples, seed)
    sets = _bootstrap(shared_classes(votes, probabilities), pairs.clusters, resamples, seed)
    found["soft_macro_f1"] = mass.estimate(macro_f1_of, within=UNIT)
    found["multilabel_macro_f1"] = sets.estimate(macro_f1_of, within=UNIT)
    found["multilabel_micro_f1"] = sets.estimate(micro_f1_of, within=UNIT)
    both = np.stack([entropies(votes), entropies(probabilities)], axis=-1)
    clusters = int(pairs.clusters.max()) + 1
    moments = grouped_moments(both[:, 0], both[:, 1], groups=pairs.clusters, group_count=clusters)
    found["entropy_correlation"] = ClusterBootstrap(moments, resamples=resamples, seed=seed).estimate(pearson_of)
    others = Counter[str]()
    for utterance in manifest:
        others.update({name: n for name, n in utterance.votes.items() if n and name not in pairs.classes})
    return VoteScores(
        class_count=len(pairs.classes),
        utterances=len(votes),
        unlabelled=sum(utterance.emotion is None for utterance in pairs.utterances),
        scores=found,
        human_entropy=float(both[:, 0].mean()),
        model_entropy=float(both[:, 1].mean()),
        levels=_levels(pairs, _agreement_levels(pairs), _LEVEL_ORDER, resamples=resamples, seed=seed),
        entropy_bins=_levels(pairs, list(map(entropy_bin, both[:, 0])), _BIN_ORDER, resamples=resamples, seed=seed),
        other_votes=dict(others),
        not_scored=pairs.not_scored,
        entropies=both,
    )


def agreement_level(votes: Mapping[str, float], shares: NDArray) -> str:
    """Level of an utterance by its largest share, of shape (classes,); a single vote agrees with nothing.

    >>> agreement_level({"anger": 3, "fear": 1}, np.array([0.75, 0.25]))
    'up to three quarters'
    """
    most = float(shares.max())
    if most == 1 and sum(votes.values()) <= 1:
        return ONE_VOTE
    return next(name for limit, name in LEVELS if most <= limit)


def entropy_bin(entropy: float) -> str:
    """Bin of an utterance by the entropy of its votes in bits.

    >>> entropy_bin(0.0), entropy_bin(1.0), entropy_bin(2.3)
    ('0', 'up to 1', 'over 1.5')
    """
    return next(name for limit, name in ENTROPY_BINS if entropy <= limit + 1e-9)


def _agreement_levels(pairs: _VotePairs) -> list[str]:
    return [
        agreement_level({name: u.votes.get(name, 0.0) for name in pairs.classes}, shares)
        for u, shares in zip(pairs.utterances, pairs.votes, strict=True)
    ]


_LEVEL_ORDER = (*(name for _, name in LEVELS), ONE_VOTE)
_BIN_ORDER = tuple(name for _, name in ENTROPY_BINS)


def _levels(
    pairs: _VotePairs, known: Sequence[str], order: Sequence[str], *, resamples: int, seed: int
) -> tuple[AgreementLevel, ...]:
    """Scores of the utterances of each level, in order; ``known`` is the level of each utterance."""
    index = {name: position for position, name in enumerate(pairs.classes)}
    truth = np.array([index.get(utterance.emotion or "", -1) for utterance in pairs.utterances])
    labelled = (truth >= 0).astype(float)
    columns = [
        np.ones(len(truth)),
        labelled,
        labelled * (pairs.probabilities.argmax(axis=1) == truth),
        jensen_shannon_divergences(pairs.votes, pairs.probabilities),
        top_hits(pairs.votes, pairs.probabilities),
    ]
    sums = np.stack(columns, axis=-1)
    found = []
    for name in order:
        rows = np.flatnonzero([level == name for level in known])
        if not len(rows):
            continue
        part = _bootstrap(sums[rows], pairs.clusters[rows], resamples, seed)
        scores = part.estimates(lambda s: ratio(s[..., 2:], s[..., [1, 0, 0]]))
        found.append(AgreementLevel(name, len(rows), int(part.total[1]), *scores))
    return tuple(found)


def _paired(manifest: Manifest, predictions: Predictions) -> _VotePairs:
    """Utterances with votes for the model's classes, joined to their predictions."""
    classes = predictions.label_space.classes
    by_id = predictions.by_id()
    rows: list[tuple[Utterance, tuple[float, ...], Prediction]] = []
    left_out: dict[str, list[str]] = {}
    for utterance in manifest:
        shares = vote_shares(utterance.votes, classes)
        if not math.isfinite(sum(shares)) or not shares:
            continue
        prediction = by_id.get(utterance.utterance_id)
        if prediction is None:
            left_out.setdefault(NO_ROW, []).append(utterance.utterance_id)
        elif prediction.error:
            left_out.setdefault(FAILED, []).append(f"{utterance.utterance_id} ({prediction.error})")
        elif not all(math.isfinite(prediction.probabilities.get(name, math.nan)) for name in classes):
            left_out.setdefault(NOT_FINITE, []).append(utterance.utterance_id)
        else:
            rows.append((utterance, shares, prediction))
    utterances = tuple(utterance for utterance, _, _ in rows)
    return _VotePairs(
        utterances,
        cluster_codes(speakers_of(utterances)),
        classes,
        np.array([shares for _, shares, _ in rows]),
        np.array([[prediction.probabilities[name] for name in classes] for _, _, prediction in rows]),
        tuple(NotScored(reason, len(ids), tuple(ids[:5])) for reason, ids in left_out.items()),
    )


def _bootstrap(rows: FloatArray, clusters: IntArray, resamples: int, seed: int) -> ClusterBootstrap:
    """Sums of rows over each cluster, shape (clusters, ...), resampled."""
    codes, count = recoded(clusters)
    sums = np.zeros((count, *rows.shape[1:]))
    np.add.at(sums, codes, rows)
    return ClusterBootstrap(sums, resamples=resamples, seed=seed)
