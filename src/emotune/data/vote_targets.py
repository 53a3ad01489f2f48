"""Votes as training learns them: some annotators left out at random, and a part of secondary votes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emotune.errors import CorpusError
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import vote_shares
from emotune.votes.secondary import secondary_votes


@dataclass(frozen=True)
class VoteTargets:
    """Changes of the votes that a training utterance is learnt from; scores against votes keep them as they are.

    Args:
        classes: of the model; votes for others do not count.
        dropout: probability of each annotator to be left out, drawn anew in every epoch; if nobody would be left, one
            stays.
        secondary: share of the target that secondary votes give, where an utterance has any.

    Reference:
        Annotators dropped at random: SAIL (Interspeech 2025 challenge); .9 of primary and .1 of secondary votes: an
        entropy curriculum of 2026. Both read second-hand; the probability is ours.
    """

    classes: Sequence[str]
    dropout: float = 0.0
    secondary: float = 0.0

    def __call__(self, utterance: Utterance, generator: np.random.Generator) -> Utterance:
        """The utterance with the votes to learn from."""
        votes = {name: count for name in self.classes if (count := utterance.votes.get(name, 0.0))}
        if not votes:
            return utterance
        if self.dropout:
            votes = _thinned(votes, self.dropout, generator)
        return self._learning(utterance, votes)

    def mean(self, utterance: Utterance) -> Utterance:
        """The utterance with its votes as they are on average over the epochs."""
        return self._learning(utterance, utterance.votes)

    def _learning(self, utterance: Utterance, votes: Mapping[str, float]) -> Utterance:
        """The utterance with these votes and its secondary ones, each with its share."""
        share, others = self.secondary, secondary_votes(utterance) if self.secondary else {}
        if any(others.get(name) for name in self.classes):
            both = (vote_shares(votes, self.classes), vote_shares(others, self.classes))
            votes = {name: (1 - share) * a + share * b for name, a, b in zip(self.classes, *both, strict=True)}
        return dataclasses.replace(utterance, votes=votes)


def refuse_unfit_votes(train: Sequence[Utterance], *, dropout: float, secondary: float) -> None:
    """Refuses annotators to drop where votes are no counts, and secondary votes where there are none.

    Raises:
        CorpusError: with the key of the recipe.
    """
    if dropout:
        shares = [u.utterance_id for u in train if any(count != int(count) for count in u.votes.values())]
        if shares:
            raise CorpusError(
                f"train.vote_targets.dropout leaves out single annotators, and the votes of {shares[0]} are no whole"
                " numbers. Read the corpus with counts of votes, or leave dropout out."
            )
    if secondary and not any(secondary_votes(utterance) for utterance in train):
        raise CorpusError(
            "train.vote_targets.secondary needs columns secondary.<class>, and no training utterance has any. Those of"
            " MSP-Podcast come with `emotune corpus read msp_podcast`; or leave secondary out."
        )


def _thinned(votes: Mapping[str, float], dropout: float, generator: np.random.Generator) -> dict[str, float]:
    """Votes of the annotators that are kept."""
    ballots = [name for name, count in sorted(votes.items()) for _ in range(int(count))]
    kept = generator.random(len(ballots)) >= dropout
    if not kept.any():
        kept[generator.integers(len(ballots))] = True
    found: dict[str, float] = {}
    for name, is_kept in zip(ballots, kept, strict=True):
        if is_kept:
            found[name] = found.get(name, 0.0) + 1.0
    return found
