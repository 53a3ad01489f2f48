"""Prompts: three levels of what is told of a clip, worded in a few fixed ways, with or without examples.

A prompt is part of a result: whoever changes a word raises ``VERSION``, so that kept answers are asked for anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from emotune.annotation.facts import Facts
from emotune.errors import ConfigError

VERSION = "1"
TEXT, ACOUSTICS, CODES = "text", "acoustics", "codes"
LEVELS = {
    TEXT: "the transcript",
    ACOUSTICS: "the transcript, energy, pitch and gender",
    CODES: "the transcript, energy, pitch, gender and discrete speech codes",
}
_TASKS = (
    "You label the emotion of one spoken utterance. Choose exactly one of: {classes}. Answer with that word alone.",
    "Which emotion does the speaker express? The only possible answers are: {classes}. Reply with one of these words"
    " and nothing else.",
    "Annotate the following utterance for a study of emotion in speech. Permitted labels: {classes}. Write one label,"
    " no explanation.",
)
WORDINGS = len(_TASKS)
_CODES_SHOWN = 60

Message = Mapping[str, str]
"""``role`` and ``content``, as chat models take them."""


def messages_of(
    facts: Facts,
    classes: Sequence[str],
    *,
    level: str = TEXT,
    examples: Sequence[tuple[Facts, str]] = (),
    wording: int = 0,
) -> list[Message]:
    """Messages that ask for the emotion of a clip.

    Args:
        facts: of the clip.
        classes: that may be answered.
        level: one of ``LEVELS``.
        examples: clips with their emotions, shown as earlier questions and answers.
        wording: of the task, from 0 to ``WORDINGS`` - 1.

    Raises:
        ConfigError: for an unknown level or wording.
    """
    if level not in LEVELS:
        raise ConfigError(f"level is '{level}', expected one of {', '.join(LEVELS)}.")
    if not 0 <= wording < WORDINGS:
        raise ConfigError(f"wording is {wording}, expected a number from 0 to {WORDINGS - 1}.")
    task = _TASKS[wording].format(classes=", ".join(classes))
    asked: list[Message] = [{"role": "system", "content": task}]
    for shown, emotion in examples:
        asked += [
            {"role": "user", "content": described(shown, level)},
            {"role": "assistant", "content": emotion},
        ]
    return [*asked, {"role": "user", "content": described(facts, level)}]


def described(facts: Facts, level: str) -> str:
    """Facts of a clip that a level tells, one a line."""
    lines = [f'Transcript: "{_on_one_line(facts.text)}"' if facts.text else "Transcript: not known"]
    if level in (ACOUSTICS, CODES):
        lines += [f"Speaker: {facts.gender or 'not known'}", *_sound_lines(facts)]
    if level == CODES:
        codes = list(facts.codes or ())
        more = f" and {len(codes) - _CODES_SHOWN} more" if len(codes) > _CODES_SHOWN else ""
        listed = " ".join(map(str, codes[:_CODES_SHOWN])) or "not known"
        lines.append(f"Speech codes: {listed}{more}")
    return "\n".join([*lines, "Emotion:"])


def _sound_lines(facts: Facts) -> list[str]:
    if facts.sound is None:
        return ["Average energy: not known", "Average pitch: not known"]
    energy, pitch, spread = facts.sound.energy_db, facts.sound.pitch_hz, facts.sound.pitch_deviation_semitones
    return [
        f"Average energy: {energy:.0f} dB" if math.isfinite(energy) else "Average energy: silent",
        f"Average pitch: {pitch:.0f} Hz, varying by {spread:.1f} semitones"
        if math.isfinite(pitch)
        else "Average pitch: no voice found",
    ]


def _on_one_line(text: str) -> str:
    return " ".join(text.split()).replace('"', "'")
