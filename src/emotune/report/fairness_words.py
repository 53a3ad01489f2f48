"""Conclusions from the figures by group and by speaker, in sentences, and what cannot be concluded."""

from __future__ import annotations

from collections.abc import Iterator

from emotune.evaluation.comparing.verdicts import p_is
from emotune.evaluation.fairness import Fairness, GroupComparison
from emotune.evaluation.groups import AGE, GENDER
from emotune.evaluation.speaker_spread import SpeakerSpread
from emotune.evaluation.statistics.group_differences import SPEAKERS_FOR_AN_INTERVAL
from emotune.report.numbers import percent

FEW_IN_A_GROUP = 10
"""With fewer speakers in a group, a difference may be that of these people."""
TOO_FEW_FOR_CLASSES = 5
"""With fewer speakers in a group, an interval of one class's recall means nothing."""
_EVERYONE = {GENDER: "women and men", AGE: "speakers of every age"}
_SIGNIFICANT = 0.05


def conclusions(fairness: Fairness, *, scored: int) -> list[str]:
    """One sentence or two a comparison, on what is unknown, and on the speakers."""
    return [
        *(sentence for by in (GENDER, AGE) for sentence in _unknown(fairness, by, scored)),
        *_other_gender(fairness, scored),
        *(sentence for comparison in fairness.comparisons for sentence in _compared(comparison)),
        *([] if fairness.worst is None else [_worst(fairness)]),
        *([] if fairness.spread is None else _speakers(fairness.spread)),
    ]


def _unknown(fairness: Fairness, by: str, scored: int) -> Iterator[str]:
    missing = fairness.unknown.get(by, 0)
    if not missing:
        return
    if missing >= scored:
        yield f"No {by} is known: whether the model works alike for {_EVERYONE[by]} cannot be said."
    else:
        yield f"The {by} of {missing} of {scored} utterances is unknown; they are in no comparison."


def _other_gender(fairness: Fairness, scored: int) -> Iterator[str]:
    if fairness.other_gender:
        yield (
            f"{fairness.other_gender} of {scored} utterances are of speakers whose gender is given as 'other'. Women"
            " are compared with men alone; figures of 'other' stand below, by gender."
        )


def _compared(comparison: GroupComparison) -> Iterator[str]:
    first, second, difference = comparison.first, comparison.second, comparison.difference
    who = f"{first.name} ({_speaking(first.speakers)}) and {second.name} ({_speaking(second.speakers)})"
    if not difference.has_interval:
        few = comparison.speakers < SPEAKERS_FOR_AN_INTERVAL
        why = (
            f"fewer than {SPEAKERS_FOR_AN_INTERVAL} speakers in a group allow no interval"
            if few
            else "without an interval"
        )
        yield f"By {comparison.by}, {who}: UAR differs by {difference.value:+.3f}; {why}, so no conclusion."
        return
    bounds = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    if difference.low > 0 or difference.high < 0:
        better, other = (first, second) if difference.value > 0 else (second, first)
        smallest, largest = sorted((abs(difference.low), abs(difference.high)))
        yield (
            f"By {comparison.by}, {who}: the UAR is {abs(difference.value):.3f} [{smallest:.3f}, {largest:.3f}] higher"
            f" for {better.name} than for {other.name}.{_few(comparison)}"
        )
    else:
        largest = max(abs(difference.low), abs(difference.high))
        yield (
            f"By {comparison.by}, {who}: no difference in UAR is shown, {difference.value:+.3f} {bounds}. That is no"
            f" proof that there is none: one of up to {largest:.3f} would fit these figures.{_few(comparison)}"
        )
    if comparison.speakers < TOO_FEW_FOR_CLASSES:
        yield (
            f"By {comparison.by} and class nothing can be concluded: {_speaking(comparison.speakers)} in the smaller"
            " group are too few."
        )
        return
    shown = [item for item in comparison.classes if item.recall_gap.low > 0 or item.recall_gap.high < 0]
    if shown:
        named = "; ".join(
            f"{item.name} {item.recalls[0]:.2f} for {first.name} and {item.recalls[1]:.2f} for {second.name}"
            for item in sorted(shown, key=lambda item: -abs(item.recall_gap.value))
        )
        yield (
            f"By {comparison.by}, classes whose recall differs by more than its interval: {named}. Of"
            f" {len(comparison.classes)} classes, about one in twenty would by chance alone."
        )


def _few(comparison: GroupComparison) -> str:
    if comparison.speakers >= FEW_IN_A_GROUP:
        return ""
    return (
        f" With {_speaking(comparison.speakers)} in the smaller group, it may be about these people rather than about"
        f" {comparison.by}."
    )


def _worst(fairness: Fairness) -> str:
    assert fairness.worst is not None
    by, name, score = fairness.worst
    return f"Worst group: {by} {name}, with a UAR of {score.in_words()}."


def _speakers(spread: SpeakerSpread) -> Iterator[str]:
    yield (
        f"Between speakers the UAR goes from {spread.worst[1]:.3f} ({spread.worst[0]}) to {spread.best[1]:.3f}"
        f" ({spread.best[0]}); one in ten is at or under {spread.low:.3f}. Standard deviation {spread.deviation:.3f}."
    )
    alone = (
        f"With about {spread.clips:g} clips a speaker, chance alone gives a standard deviation of about"
        f" {spread.chance_deviation:.3f} (in 95 % of cases less than {spread.chance_high:.3f})"
    )
    if spread.p_value <= _SIGNIFICANT:
        share = percent(spread.chance_share)
        yield f"{alone}, {share} of the variance seen: some voices are truly harder ({p_is(spread.p_value)})."
    else:
        yield f"{alone}: that speakers truly differ is not shown ({p_is(spread.p_value)}), nor that they do not."


def _speaking(count: int) -> str:
    if not count:
        return "speakers unknown"
    return "1 speaker" if count == 1 else f"{count} speakers"
