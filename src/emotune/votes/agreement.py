"""Inter-annotator agreement: Krippendorff's alpha, and agreement by class."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emotune.schema.labels import in_class_order
from emotune.schema.manifest import Manifest
from emotune.votes.consensus import leaders, majority

TIED = "(tied)"


@dataclass(frozen=True)
class ClassAgreement:
    """Utterances whose most voted class this is, and the mean share of the votes that it got."""

    name: str
    utterances: int
    mean_share: float


@dataclass(frozen=True)
class Agreement:
    """Agreement over a manifest's votes; all but ``with_votes`` and ``votes`` covers utterances with two or more.

    Args:
        with_votes: utterances with at least one vote.
        compared: utterances with at least two.
        alpha: Krippendorff's, nominal, over all classes that have votes; NaN where it is undefined.
        mean_share: mean share of the most voted class.
        by_class: by most voted class, ties by themselves.
        votes: fewest, median and most votes of an utterance.
        tied: utterances in which several classes have the most votes.
        without_majority: utterances in which no class has more than half of the votes.
        without_emotion: utterances with votes that the manifest gives no emotion.
    """

    with_votes: int
    compared: int
    alpha: float
    mean_share: float
    by_class: tuple[ClassAgreement, ...]
    votes: tuple[float, float, float]
    tied: int
    without_majority: int
    without_emotion: int

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {
            "with_votes": self.with_votes,
            "with_two_votes_and_more": self.compared,
            "krippendorff_alpha": self.alpha,
            "mean_share_of_most_voted": self.mean_share,
            "by_most_voted_class": {
                item.name: {"utterances": item.utterances, "mean_share": item.mean_share} for item in self.by_class
            },
            "votes_an_utterance": dict(zip(("min", "median", "max"), self.votes, strict=True)),
            "tied": self.tied,
            "without_majority": self.without_majority,
            "without_emotion": self.without_emotion,
        }


def agreement_of(manifest: Manifest) -> Agreement | None:
    """Agreement over all classes that have votes, whether they are a label of the manifest or not; None without votes.

    Reference:
        Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section C.
    """
    voted = [utterance for utterance in manifest if leaders(utterance.votes)]
    if not voted:
        return None
    totals = [sum(utterance.votes.values()) for utterance in voted]
    compared = [utterance.votes for utterance, total in zip(voted, totals, strict=True) if total >= 2]
    shares: dict[str, list[float]] = {}
    for votes in compared:
        first = leaders(votes)
        name = first[0] if len(first) == 1 else TIED
        shares.setdefault(name, []).append(votes[first[0]] / sum(votes.values()))
    order = [*in_class_order(name for name in shares if name != TIED), *([TIED] if TIED in shares else [])]
    every = [share for values in shares.values() for share in values]
    return Agreement(
        with_votes=len(voted),
        compared=len(compared),
        alpha=nominal_alpha(compared),
        mean_share=statistics.fmean(every) if every else math.nan,
        by_class=tuple(ClassAgreement(name, len(shares[name]), statistics.fmean(shares[name])) for name in order),
        votes=(min(totals), statistics.median(totals), max(totals)),
        tied=len(shares.get(TIED, [])),
        without_majority=sum(majority(votes) is None for votes in compared),
        without_emotion=sum(utterance.emotion is None for utterance in voted),
    )


def nominal_alpha(ballots: Sequence[Mapping[str, float]]) -> float:
    """Krippendorff's alpha for nominal data, at most 1; 0 is what chance would give.

    Units with one vote say nothing and are left out. NaN where it is undefined: without a unit of two votes, where all
    votes are for one class, and for votes that are no whole numbers, since alpha pairs single votes.

    >>> round(nominal_alpha([{"anger": 2}, {"fear": 2}, {"anger": 1, "fear": 1}]), 4)
    0.4444

    Reference:
        Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section C.
    """
    paired = [votes for votes in ballots if sum(votes.values()) >= 2]
    count = Counter(name for votes in paired for name, number in votes.items() if number)
    table = np.array([[votes.get(name, 0.0) for name in count] for votes in paired])
    if len(count) < 2 or np.any(table != np.round(table)):
        return math.nan
    votes_of_unit, votes_of_class = table.sum(axis=1), table.sum(axis=0)
    agreeing = (table * (table - 1)).sum(axis=1) / (votes_of_unit - 1)  # pairs of a unit's votes, weighed by its votes
    total = votes_of_unit.sum()
    disagreement = total - agreeing.sum()
    by_chance = total - (votes_of_class * (votes_of_class - 1)).sum() / (total - 1)
    return float(1 - disagreement / by_chance)
