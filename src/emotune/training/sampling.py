"""Sampling of training utterances by class or corpus, as ``train.sampling`` of a recipe says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from emotune.config.sampling import SamplingSection
from emotune.config.training import TrainSection
from emotune.data.curriculum import CurriculumDraws
from emotune.data.duration_batches import Draws
from emotune.data.group_draws import GroupDraws
from emotune.errors import CorpusError
from emotune.metrics.distributions import entropies
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import vote_shares

_KEYS: Mapping[str, Callable[[Utterance], tuple[str | None, ...]]] = {
    "class": lambda utterance: (utterance.emotion,),
    "corpus": lambda utterance: (utterance.corpus,),
    "corpus_and_class": lambda utterance: (utterance.corpus, utterance.emotion),
}


def sampling_groups(train: Iterable[Utterance], sampling: SamplingSection) -> list[int] | None:
    """Group of each training utterance, -1 for those without a class or corpus; None where all come once."""
    if sampling.by is None:
        return None
    keys = [_KEYS[sampling.by](utterance) for utterance in train]
    codes = {key: code for code, key in enumerate(sorted({key for key in keys if None not in key}))}
    return [codes.get(key, -1) for key in keys]


def draws_of(train: Manifest, section: TrainSection) -> Draws | None:
    """Draws of the utterances of an epoch; None where all come once.

    Raises:
        CorpusError: for a curriculum of votes where no training utterance has any.
    """
    if section.curriculum is not None:
        return CurriculumDraws(_entropies(train), shares=section.curriculum.shares, epochs=section.curriculum.epochs)
    groups, sampling = sampling_groups(train, section.sampling), section.sampling
    return None if groups is None else GroupDraws(groups, power=sampling.power, from_epoch=sampling.from_epoch)


def _entropies(train: Manifest) -> list[float]:
    """Entropy of each utterance's votes in bits; 0 without votes, since its label is all that is known."""
    if not any(utterance.votes for utterance in train):
        raise CorpusError(
            "train.curriculum goes by the entropy of annotators' votes, and no training utterance has any; the manifest"
            " holds them in columns votes.<class>. Leave train.curriculum out, or read the corpus with its votes."
        )
    classes = sorted({name for utterance in train for name in utterance.votes})
    found = entropies([vote_shares(utterance.votes, classes) for utterance in train])
    return np.nan_to_num(found, nan=0.0).tolist()


def mean_times(train: Manifest, sampling: SamplingSection) -> NDArray[np.float64]:
    """Mean number of times that each training utterance comes in an epoch, shape (utterances,)."""
    groups = sampling_groups(train, sampling)
    return np.ones(len(train)) if groups is None else GroupDraws(groups, power=sampling.power).mean_times()


def refuse_one_corpus(train: Manifest, sampling: SamplingSection) -> None:
    """Refuses sampling by corpus where there is nothing to choose from.

    Raises:
        CorpusError: naming the one corpus.
    """
    if sampling.by not in ("corpus", "corpus_and_class"):
        return
    corpora = sorted({utterance.corpus for utterance in train if utterance.corpus is not None})
    if len(corpora) < 2:
        raise CorpusError(
            f"train.sampling.by: {sampling.by} needs training utterances of several corpora, there is"
            f" {corpora[0] if corpora else 'none named'}. `emotune corpus join` makes one manifest of several."
        )
