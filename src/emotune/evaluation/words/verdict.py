"""Verdict on what a model follows, by a rule that is stated before the figures are seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emotune.evaluation.statistics.bootstrap import Estimate

WORDS, VOICE, OPEN = "follows the words", "follows the voice", "cannot be told"
FEWEST_CONFLICTS = 20
"""With fewer clips in which words and label conflict, these decide nothing."""
RULE = (
    f"Rule, all with 95 % intervals over speakers. First, where words and label conflict in at least {FEWEST_CONFLICTS}"
    " clips, as recorded or by exchanged transcripts: the model follows whichever its answers are significantly more"
    " often, less what its answers would give by chance; if neither, it cannot be told. Else, where the words say no"
    " emotion: the model follows the voice if its UAR is above the best that could be had there by knowing each"
    " sentence's own labels, as it can be where the same words are said in several ways. Else, where controls were run:"
    " it follows the words if more is left with the prosody levelled than with the words filtered out, and that above"
    " chance; the voice if the other way round. Else it cannot be told."
)


@dataclass(frozen=True)
class Evidence:
    """Figures that the verdict rests on; NaN where there are none.

    Args:
        conflict: share of answers that are the words' less share that are the label's, less what chance gives, where
            the two conflict.
        conflicts: clips that this is over: as recorded (``natural``) and by exchanged transcripts (``exchanged``).
        neutral: UAR where the words say no emotion.
        neutral_by_words: the best UAR there of one answer for each sentence, chosen by the labels themselves.
        contrast: UAR with the prosody levelled less UAR with the words filtered out.
        flattened: UAR with the prosody levelled.
        without_words: UAR with the words filtered out.
        chance: of guessing over all clips.
    """

    conflict: Estimate
    conflicts: Mapping[str, int]
    neutral: Estimate
    neutral_by_words: float
    contrast: Estimate
    flattened: Estimate
    without_words: Estimate
    chance: float

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: value.to_json() if isinstance(value, Estimate) else dict(value) if name == "conflicts" else value
            for name, value in values.items()
        }


@dataclass(frozen=True)
class Verdict:
    """One of three names, and the sentence that says why."""

    name: str
    reason: str


def verdict_of(evidence: Evidence) -> Verdict:
    """Applies ``RULE``."""
    count = sum(evidence.conflicts.values())
    if count >= FEWEST_CONFLICTS and evidence.conflict.has_interval:
        return _by_conflict(evidence, count)
    if evidence.neutral.has_interval and evidence.neutral.low > evidence.neutral_by_words:
        return Verdict(
            VOICE,
            f"Where the words say no emotion its UAR is {evidence.neutral.in_words()}; knowing the sentences by heart"
            f" would at best give {evidence.neutral_by_words:.3f}, so that only the voice can have told it.",
        )
    if evidence.contrast.has_interval:
        return _by_controls(evidence)
    return Verdict(
        OPEN,
        "There are too few speakers, or too few clips in which words and label conflict or the same words are said in"
        " several ways, and no controls were run.",
    )


def _by_conflict(evidence: Evidence, count: int) -> Verdict:
    lead = evidence.conflict
    where = f"In {count} clips whose words say another emotion than the label"
    if evidence.conflicts["exchanged"]:
        where += f" ({evidence.conflicts['exchanged']} of them with exchanged transcripts)"
    if lead.low > 0:
        return Verdict(WORDS, f"{where}, its answers are the words' more often than the label's: {lead.in_words('+')}.")
    if lead.high < 0:
        return Verdict(VOICE, f"{where}, its answers are the label's more often than the words': {lead.in_words('+')}.")
    return Verdict(OPEN, f"{where}, its answers are as often the words' as the label's: {lead.in_words('+')}.")


def _by_controls(evidence: Evidence) -> Verdict:
    both = (
        f"UAR {evidence.flattened.in_words()} with the prosody levelled, {evidence.without_words.in_words()} with the"
        f" words filtered out, difference {evidence.contrast.in_words('+')}"
    )
    if evidence.contrast.low > 0 and evidence.flattened.low > evidence.chance:
        return Verdict(WORDS, f"More is left when the words are kept than when the melody is: {both}.")
    if evidence.contrast.high < 0 and evidence.without_words.low > evidence.chance:
        return Verdict(VOICE, f"More is left when the melody is kept than when the words are: {both}.")
    return Verdict(OPEN, f"Neither control leaves significantly more than the other, and more than chance: {both}.")
