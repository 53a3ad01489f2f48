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
    "language": lambda utterance: (utterance.language,),
}


def sampling_groups(train: Iterable[Utterance], sampling: SamplingSection) -> list[int] | None:
    """Group of each training utterance, -1 for those without a class, corpus or language; None where all come once."""
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
    return _group_draws(train, section.sampling)


def _group_draws(train: Iterable[Utterance], sampling: SamplingSection) -> GroupDraws | None:
    groups = sampling_groups(train, sampling)
    if groups is None:
        return None
    return GroupDraws(groups, power=sampling.power, from_epoch=sampling.from_epoch, repeats=sampling.repeats)


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
    draws = _group_draws(train, sampling)
    return np.ones(len(train)) if draws is None else draws.mean_times()


def refuse_one_group(train: Manifest, by: str, *, key: str) -> None:
    """Refuses what goes by corpus, language or speaker where there is one alone.

    Args:
        train: the training split.
        by: column of an utterance.
        key: of the recipe, for the error.

    Raises:
        CorpusError: naming the one.
    """
    found = sorted({str(value) for utterance in train if (value := getattr(utterance, by)) is not None})
    if len(found) < 2:
        cure = "; `emotune corpus join` makes one manifest of several" if by == "corpus" else ""
        raise CorpusError(
            f"{key} needs training utterances with several values in the column {by}, there is"
            f" {found[0] if found else 'none named'}{cure}."
        )
