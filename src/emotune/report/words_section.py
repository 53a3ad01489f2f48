"""Section of an evaluation's page, and of a model's card, on words against voice."""

from __future__ import annotations

from emotune.evaluation.result import Evaluation
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.evaluation.words.against_voice import GROUPS, WordsAgainstVoice
from emotune.evaluation.words.controls import EXCHANGED
from emotune.evaluation.words.verdict import OPEN, RULE
from emotune.report.figures.dots import degradation_dots
from emotune.report.template import Markup

TITLE = "Words or voice"


def words_values(evaluation: Evaluation) -> dict[str, object]:
    """Values of the section's template; of no use where the evaluation has no such part."""
    found = evaluation.words
    return {
        "words_lead": "" if found is None else f"{lead(found)}.",
        "word_groups": GROUPS,
        "words_limits": [] if found is None else limits(found),
        "words_rule": RULE,
    }


def words_figure(found: WordsAgainstVoice) -> Markup:
    """UAR of each group of clips and under each control, against all clips as they are."""
    rows: list[tuple[str, Estimate]] = [(GROUPS[group.name], group.uar) for group in found.groups]
    rows += [(item.words, item.uar) for item in found.controls]
    return degradation_dots(
        [name for name, _ in rows], [score for _, score in rows], found.overall, found.chance, "UAR"
    )


def lead(found: WordsAgainstVoice) -> str:
    """Verdict as the end of a sentence about the model.

    It ``follows the words``, ``follows the voice``, or of it ``cannot be told`` which.
    """
    if found.verdict.name == OPEN:
        return "may follow the words or the voice: from these clips it cannot be told"
    return found.verdict.name


def limits(found: WordsAgainstVoice) -> list[str]:
    """Sentences on what the figures rest on, and what was not looked at."""
    sentences = [f"What the words say was read by {found.reader}; where it errs, so do the groups."]
    if found.without_transcript:
        sentences.append(f"Without a transcript, and so in no group: {found.without_transcript} utterances.")
    if not found.controls:
        sentences.append("No controls were run; `emotune evaluate --words` runs them.")
        return sentences
    if not any(item.name == EXCHANGED for item in found.controls):
        sentences.append(
            "Transcripts were not exchanged: the model is given none."
            if not found.takes_words
            else "Transcripts were not exchanged: there are no two of them that differ."
        )
    sentences.append(
        "Levelling leaves tempo, pauses and the sound of the voice; filtering takes that sound along with the words,"
        " and a model that never heard such clips may fail for that reason."
    )
    return sentences


def card_lines(found: WordsAgainstVoice, name: str) -> list[str]:
    """Lines for a model's card, in plain words.

    Args:
        found: the evaluation's part.
        name: of what the model was scored on.
    """
    scores = [f"{GROUPS[group.name]}: UAR {group.uar.in_words()} ({group.utterances} clips)" for group in found.groups]
    scores += [
        f"{item.words}: UAR {item.uar.in_words()}, change {item.difference.in_words('+')}" for item in found.controls
    ]
    return [
        f"Measured on {name}: this model **{lead(found)}**. {found.verdict.reason}",
        "",
        *(f"- {line}" for line in [*scores, *limits(found)]),
    ]
