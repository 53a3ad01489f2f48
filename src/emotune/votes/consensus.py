"""Consensus labels from annotators' votes, and the treatment of utterances without agreement."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotune.errors import ConfigError, CorpusError
from emotune.registry import unknown_name_message
from emotune.schema.labels import LabelSpace, in_class_order
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.votes import NO_AGREEMENTS, OTHERS, RULES, TIES

OTHER, NO_AGREEMENT = "other", "no_agreement"


def vote_shares(votes: Mapping[str, float], classes: Sequence[str]) -> tuple[float, ...]:
    """Shares of the votes by class, over these classes alone; NaN without such votes.

    >>> vote_shares({"anger": 3, "sadness": 1, "contempt": 2}, ["anger", "sadness"])
    (0.75, 0.25)
    """
    counts = [votes.get(name, 0.0) for name in classes]
    total = sum(counts)
    return tuple(count / total if total else math.nan for count in counts)


def leaders(votes: Mapping[str, float]) -> list[str]:
    """The classes with the most votes; empty without votes.

    >>> leaders({"anger": 2, "fear": 2, "neutral": 1})
    ['anger', 'fear']
    """
    most = max(votes.values(), default=0.0)
    return [name for name, count in votes.items() if most > 0 and math.isclose(count, most, rel_tol=1e-9)]


def plurality(
    votes: Mapping[str, float], order: Sequence[str], *, ties: str = "no_agreement", utterance_id: str = ""
) -> str | None:
    """The class with the most votes; None without votes, or for a tie that is not broken.

    Args:
        votes: class -> count.
        order: of the classes, for ties.
        ties: no_agreement = None, first = the first of the tied in ``order``, random = one of the tied that hangs on
            ``utterance_id`` alone, so that it is the same in every run.
        utterance_id: for random ties.

    >>> plurality({"fear": 2, "anger": 2}, ["anger", "fear"]), plurality({"fear": 2, "anger": 1}, ["anger", "fear"])
    (None, 'fear')
    """
    tied = sorted(leaders(votes), key=order.index)
    if len(tied) < 2 or ties == "first":
        return tied[0] if tied else None
    if ties == "no_agreement":
        return None
    return tied[int.from_bytes(hashlib.sha256(utterance_id.encode()).digest()[:8], "big") % len(tied)]


def majority(votes: Mapping[str, float]) -> str | None:
    """The class with more than half of the votes, or None.

    >>> majority({"anger": 2, "fear": 1}), majority({"anger": 2, "fear": 2})
    ('anger', None)
    """
    first = leaders(votes)
    half = sum(votes.values()) / 2
    return first[0] if len(first) == 1 and votes[first[0]] > half * (1 + 1e-9) else None


def relabelled(
    manifest: Manifest,
    *,
    label: str = "given",
    ties: str = "no_agreement",
    other: str = "keep",
    no_agreement: str = "leave_out",
    minimum: int = 1,
) -> tuple[Manifest, dict[str, int]]:
    """Labels by a rule over the votes; the report counts every change, and ``information`` keeps it as ``consensus``.

    With ``plurality`` and ``majority`` any class that has votes may win, and the classes of the result are those that
    do. The defaults change nothing but that utterances without emotion and dimensions are left out.

    Args:
        manifest: with ``votes`` for the rules that need them.
        label: given = the manifest's emotion, plurality = most votes, majority = more than half of the votes.
        ties: for plurality, see there.
        other: keep = a class like the others; leave_out = utterances labelled so are left out, and votes for it with
            them; votes_only = no class at all: votes for it do not count, and utterances given it have no emotion.
        no_agreement: of utterances without a label: leave_out; votes = kept for their votes where they have some;
            class = with votes they are of the class no_agreement. One with dimensions is kept for these in any case,
            with ``leave_out`` without its votes.
        minimum: how many votes an utterance's votes must be to count at all.

    Raises:
        ConfigError: for an unknown rule.
        CorpusError: for a rule over votes that the manifest does not have, or when nothing is left.
    """
    rule = _Rule(label, ties, other, no_agreement, minimum)
    if label != "given" and not any(leaders(utterance.votes) for utterance in manifest):
        raise CorpusError(f"label: {label} needs votes, and no utterance of the manifest has any; see votes.<class>.")
    space = manifest.label_space
    voted = {name for utterance in manifest for name in utterance.votes}
    order = [*space.classes, *in_class_order(voted - set(space.classes))]
    report: Counter[str] = Counter()
    found = [_relabelled(utterance, rule, order, report) for utterance in manifest]
    kept = [utterance for utterance in found if utterance is not None]
    if not kept:
        raise CorpusError("No utterance has a label, votes or dimensions left; choose another rule for the votes.")
    occurring = {utterance.emotion for utterance in kept}
    classes = [name for name in order if name in (space.classes if label == "given" else occurring)]
    classes += [NO_AGREEMENT] if NO_AGREEMENT in occurring and NO_AGREEMENT not in classes else []
    classes = [name for name in classes if other == "keep" or name != OTHER]
    result = dataclasses.replace(
        manifest,
        utterances=tuple(kept),
        label_space=LabelSpace(tuple(classes), space.dimensions),
        information={**manifest.information, "consensus": {**dataclasses.asdict(rule), "counts": dict(report)}},
    )
    return result, dict(report)


@dataclass(frozen=True)
class _Rule:
    """The options of ``relabelled``, checked."""

    label: str
    ties: str
    other: str
    no_agreement: str
    minimum: int

    def __post_init__(self) -> None:
        known = {"label": RULES, "ties": TIES, "other": OTHERS, "no_agreement": NO_AGREEMENTS}
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name}: " + unknown_name_message("choice", getattr(self, name), choices))
        if self.minimum < 1:
            raise ConfigError(f"minimum is {self.minimum}, expected at least 1 vote.")


def _relabelled(utterance: Utterance, rule: _Rule, order: Sequence[str], report: Counter[str]) -> Utterance | None:
    """One utterance by the rule, or None when it is left out; counts in ``report`` what was done."""
    counted = dict(utterance.votes)
    if rule.other != "keep" and counted.pop(OTHER, 0.0):
        report[f"with votes for {OTHER}, which are dropped"] += 1
    ballot = utterance.votes if rule.other == "leave_out" else counted
    if not _suffices(ballot, rule.minimum):
        if rule.label != "given" or rule.minimum > 1:
            report["with fewer votes than the minimum, or none"] += 1
        ballot = {}
    if not _suffices(counted, rule.minimum):
        counted = {}
    emotion = _label(utterance, ballot, rule, order, report)
    if emotion == OTHER and rule.other == "leave_out":
        report[f"of {OTHER}, left out"] += 1
        return None
    if emotion == OTHER and rule.other == "votes_only":
        report[f"given {OTHER}, now without a label"] += 1
        emotion = None
    if emotion is None:
        return _unlabelled(utterance, counted, rule, report)
    if emotion != utterance.emotion:
        report["labelled, without one before" if utterance.emotion is None else "labelled otherwise than before"] += 1
    return dataclasses.replace(utterance, emotion=emotion, votes=counted)


def _suffices(votes: Mapping[str, float], minimum: int) -> bool:
    """Tells whether there are enough votes; a minimum of 1 accepts shares that sum to one."""
    total = sum(votes.values())
    return total > 0 if minimum == 1 else total >= minimum - 1e-9


def _label(
    utterance: Utterance, ballot: Mapping[str, float], rule: _Rule, order: Sequence[str], report: Counter[str]
) -> str | None:
    """The emotion that the rule finds."""
    if rule.label == "given":
        return utterance.emotion
    if rule.label == "majority":
        return majority(ballot)
    emotion = plurality(ballot, order, ties=rule.ties, utterance_id=utterance.utterance_id)
    if len(leaders(ballot)) > 1:
        report["tied for the most votes" + ("" if emotion is None else f", broken by {rule.ties}")] += 1
    return emotion


def _unlabelled(
    utterance: Utterance, counted: Mapping[str, float], rule: _Rule, report: Counter[str]
) -> Utterance | None:
    """An utterance without a label: kept for its votes or its dimensions, or left out."""
    if rule.no_agreement == "class" and leaders(counted):
        report[f"without a label, now of the class {NO_AGREEMENT}"] += 1
        return dataclasses.replace(utterance, emotion=NO_AGREEMENT, votes=counted)
    if rule.no_agreement == "votes" and leaders(counted):
        report["without a label, kept for their votes"] += 1
        return dataclasses.replace(utterance, emotion=None, votes=counted)
    if utterance.dimensions:
        report["without a label, kept for their dimensions"] += 1
        return dataclasses.replace(utterance, emotion=None, votes={})
    report["without a label, left out"] += 1
    return None
