"""Splits that no speaker crosses, balanced by class, gender and corpus."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from emotune.errors import CorpusError
from emotune.registry import unknown_name_message
from emotune.schema.manifest import Manifest
from emotune.schema.speakers import refuse_spelled_apart
from emotune.schema.utterance import COLUMNS, Utterance

TRAIN, DEVELOPMENT, TEST = "train", "development", "test"
"""The splits that training knows by name."""

GROUP_COLUMNS = ("speaker", "session")
_RESTARTS = 300
_NEARLY = 1.5
"""Most by which a split that another seed draws may lie farther from the shares than the best."""

_FEW = 3


def assign_splits(
    manifest: Manifest, shares: Mapping[str, float], *, group: str = "speaker", seed: int = 0
) -> Manifest:
    """A new ``split`` for each utterance; each speaker (or session) lies wholly in one split.

    Of ``_RESTARTS`` seeded greedy assignments, seed 0 keeps the one whose counts by class, gender and corpus, and whose
    number of groups, come nearest to the shares: their squared distances, each divided by the total. Another seed draws
    one of those that are nearly as near, so that it is another split even where there are few speakers.

    Args:
        manifest: what is to be split.
        shares: split name -> share of the utterances; the shares sum to one.
        group: the column that no split may share, ``speaker`` or ``session``.

    Raises:
        CorpusError: for wrong shares, an unknown group, or fewer groups than splits.
    """
    if not all(share > 0 for share in shares.values()) or not abs(sum(shares.values()) - 1) <= 1e-6:
        raise CorpusError(f"The shares of the splits must be positive and sum to 1, got {dict(shares)}.")
    if seed < 0:
        raise CorpusError(f"The seed must be a whole number from 0, got {seed}.")
    if group not in GROUP_COLUMNS:
        raise CorpusError(unknown_name_message("group", group, GROUP_COLUMNS))
    groups = by_group(manifest, group)
    names = list(shares)
    if len(groups) < len(names):
        raise CorpusError(f"{len(groups)} different values of {group} cannot fill {len(names)} splits; ask for fewer.")
    counts = _stratum_counts(groups)
    share = np.array([shares[name] for name in names])
    targets = share[:, None] * counts.sum(axis=0)[None, :]
    weights = 1.0 / np.maximum(counts.sum(axis=0), 1.0)
    generator = np.random.default_rng(seed)
    costs: dict[tuple[int, ...], float] = {}
    for _ in range(_RESTARTS):
        chosen, cost = _greedy(counts, targets, weights, generator)
        costs.setdefault(tuple(chosen.tolist()), cost)
    best = min(costs, key=costs.__getitem__)
    if seed:
        near = [chosen for chosen, cost in costs.items() if cost <= _NEARLY * costs[best] + 1e-9]
        best = near[generator.integers(len(near))]
    split_of = {key: names[index] for key, index in zip(groups, best, strict=True)}
    return manifest.replace_utterances(
        [dataclasses.replace(utterance, split=split_of[getattr(utterance, group)]) for utterance in manifest]
    )


def assign_folds(manifest: Manifest, folds: int, *, group: str = "speaker", seed: int = 0) -> Manifest:
    """``folds`` equal parts named ``fold_1``, ``fold_2``, ..., made as ``assign_splits`` makes splits.

    Raises:
        CorpusError: for fewer than two folds, and as ``assign_splits``.
    """
    if folds < 2:
        raise CorpusError(f"Folds must be at least 2, got {folds}.")
    return assign_splits(manifest, {f"fold_{n}": 1 / folds for n in range(1, folds + 1)}, group=group, seed=seed)


def held_out(manifest: Manifest) -> Manifest:
    """The utterances of other splits than training: those that choose, and those that are scored."""
    return manifest.filter(lambda utterance: utterance.split not in (TRAIN, None))


def select_splits(manifest: Manifest, splits: Mapping[str, Mapping[str, Sequence[str]]]) -> Manifest:
    """Splits by the values of a column: ``{"train": {"speaker": ["01", "02"]}, "test": {"speaker": ["03"]}}``.

    Utterances that no rule selects are left out.

    Raises:
        CorpusError: for an unknown column, a value that does not occur, or an utterance that two splits select.
    """
    chosen: dict[str, str] = {}
    for split, rules in splits.items():
        selected = list(manifest)
        for column, values in rules.items():
            if column not in COLUMNS:
                raise CorpusError(f"data.splits.{split}: " + unknown_name_message("column", column, COLUMNS))
            there = {str(getattr(utterance, column)) for utterance in manifest}
            missing = [str(value) for value in values if str(value) not in there]
            if missing:
                raise CorpusError(
                    f"data.splits.{split}: {column} {', '.join(missing)} does not occur in the manifest, which has"
                    f" {', '.join(sorted(there)[:30])}. Quote numbers that begin with 0."
                )
            wanted = {str(value) for value in values}
            selected = [utterance for utterance in selected if str(getattr(utterance, column)) in wanted]
        if not selected:
            raise CorpusError(f"data.splits.{split} selects no utterance.")
        for utterance in selected:
            other = chosen.setdefault(utterance.utterance_id, split)
            if other != split:
                raise CorpusError(f"Splits '{other}' and '{split}' both select {utterance.utterance_id}.")
    return manifest.replace_utterances(
        [
            dataclasses.replace(utterance, split=chosen[utterance.utterance_id])
            for utterance in manifest
            if utterance.utterance_id in chosen
        ]
    )


def within_budget(
    manifest: Manifest,
    share: float | None = None,
    *,
    hours: float | None = None,
    corpora: Collection[str] = (),
    split: str = "train",
    seed: int = 0,
) -> Manifest:
    """Keeps a share of one split's utterances, of each class at least one, or so many hours; other splits stay whole.

    Utterances are ranked by a hash of seed and id, so that a smaller budget lies within a larger one, whatever else the
    manifest holds. Hours are filled with the classes in their proportions, up to the first clip that goes beyond them.

    Args:
        share: above 0, at most 1; either this or hours.
        hours: at least 0.
        corpora: the budget is for these, and what is of others stays whole; none = for all.

    Raises:
        CorpusError: for another share, a corpus that the split does not have, or more hours than there are.
    """
    if (share is None) == (hours is None) or (share is not None and not 0 < share <= 1):
        raise CorpusError(f"A budget is a share above 0 and at most 1, or hours; got {share} and {hours}.")
    _refuse_unknown_corpora(manifest, corpora, split)
    by_class: dict[str | None, list[Utterance]] = {}
    for utterance in manifest:
        if utterance.split == split and (not corpora or utterance.corpus in corpora):
            by_class.setdefault(utterance.emotion, []).append(utterance)
    within: set[str] = set()
    ranked = [
        sorted(members, key=lambda u: hashlib.sha256(f"{seed} {u.utterance_id}".encode()).digest())
        for members in by_class.values()
    ]
    if share is not None:
        within.update(u.utterance_id for members in ranked for u in members[: math.ceil(share * len(members))])
    elif hours is not None:
        within.update(_filling(hours, ranked))
    concerned = {utterance.utterance_id for members in ranked for utterance in members}
    return manifest.filter(lambda utterance: utterance.utterance_id not in concerned - within)


def _filling(hours: float, ranked: Sequence[Sequence[Utterance]]) -> list[str]:
    """Ids of the utterances that fill so many hours, the classes in their proportions."""
    order = [(place / len(members), n, u) for n, members in enumerate(ranked) for place, u in enumerate(members, 1)]
    utterances = [utterance for _, _, utterance in sorted(order, key=lambda item: item[:2])]
    there = sum(utterance.duration_s or 0.0 for utterance in utterances) / 3600
    if hours > there * (1 + 1e-9):
        raise CorpusError(f"A budget of {hours:g} hours was asked, and there are {there:.3g}. Give fewer.")
    kept: list[str] = []
    total = 0.0
    for utterance in utterances:
        total += utterance.duration_s or 0.0
        if total > hours * 3600 * (1 + 1e-9):
            break
        kept.append(utterance.utterance_id)
    return kept


def _refuse_unknown_corpora(manifest: Manifest, corpora: Collection[str], split: str) -> None:
    known = {utterance.corpus or "" for utterance in manifest if utterance.split == split}
    unknown = [name for name in corpora if name not in known]
    if unknown:
        raise CorpusError(unknown_name_message(f"corpus of split '{split}'", unknown[0], known))


def classes_missing(manifest: Manifest) -> list[str]:
    """Classes that a split lacks, one sentence a split: an absent class is neither learnt nor scored."""
    splits = sorted({utterance.split for utterance in manifest if utterance.split is not None})
    found = {split: {u.emotion for u in manifest if u.split == split} for split in splits}
    missing = {split: [name for name in manifest.label_space.classes if name not in found[split]] for split in splits}
    return [f"split '{split}' has no utterance of {', '.join(names)}" for split, names in missing.items() if names]


def few_speakers(manifest: Manifest) -> list[str]:
    """Warnings for splits with too few speakers for a score to generalise, with the cure."""
    heard: dict[str, set[str]] = {}
    for utterance in manifest:
        if utterance.split is not None and utterance.speaker is not None:
            heard.setdefault(utterance.split, set()).add(utterance.speaker)
    speakers = len({name for names in heard.values() for name in names})
    few = [f"'{name}' has {len(found)}" for name, found in sorted(heard.items()) if len(found) < _FEW]
    if not few or speakers < _FEW:
        return []
    folds = speakers if speakers < 2 * _FEW else min(speakers // 2, 5)
    return [
        f"of {speakers} speakers, split {', split '.join(few)}: a figure of so few says little about others. With folds"
        f" every speaker is tested once: `emotune corpus split MANIFEST -o FILE --folds {folds}`, then `emotune train"
        " RECIPE protocol=folds data.manifest=FILE`"
    ]


def by_group(manifest: Manifest, group: str) -> dict[str, list[Utterance]]:
    """The utterances of each speaker, session or split, in the order of the names.

    Raises:
        CorpusError: when an utterance has none, or for one name written in several ways.
    """
    groups: dict[str, list[Utterance]] = {}
    missing = 0
    for utterance in manifest:
        key = getattr(utterance, group)
        if key is None:
            missing += 1
        else:
            groups.setdefault(key, []).append(utterance)
    if missing:
        raise CorpusError(
            f"{missing} of {len(manifest)} utterances name no {group}, so no split can keep them apart. Add the column"
            f" '{group}', or leave those utterances out."
        )
    refuse_spelled_apart(manifest, group)
    return dict(sorted(groups.items()))


def _stratum_counts(groups: Mapping[str, Sequence[Utterance]]) -> np.ndarray:
    """Utterances per group and (class, gender, corpus) stratum, with a last column that counts the group itself."""
    strata = sorted({_stratum(u) for members in groups.values() for u in members})
    index = {stratum: column for column, stratum in enumerate(strata)}
    counts = np.zeros((len(groups), len(strata) + 1))
    for row, members in enumerate(groups.values()):
        for utterance in members:
            counts[row, index[_stratum(utterance)]] += 1
        counts[row, -1] = 1
    return counts


def _stratum(utterance: Utterance) -> tuple[str, str, str]:
    return utterance.emotion or "", utterance.gender or "", utterance.corpus or ""


def _greedy(
    counts: np.ndarray, targets: np.ndarray, weights: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Groups in random order, each to the split that it brings nearest to the targets; the last fill empty splits."""
    filled = np.zeros_like(targets)
    chosen = np.zeros(len(counts), dtype=int)
    for position, row in enumerate(generator.permutation(len(counts))):
        before = ((filled - targets) ** 2 * weights).sum(axis=1)
        after = ((filled + counts[row] - targets) ** 2 * weights).sum(axis=1)
        empty = filled[:, -1] == 0
        must_fill = empty.sum() >= len(counts) - position
        chosen[row] = int(np.argmin(np.where(empty, after - before, np.inf) if must_fill else after - before))
        filled[chosen[row]] += counts[row]
    return chosen, float(((filled - targets) ** 2 * weights).sum())
