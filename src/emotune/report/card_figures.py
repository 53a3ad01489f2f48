"""Figures of a model's card: in the words of every card, and a section for each set that the model was scored on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emotune.evaluation import Evaluation
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.io.tables import write_text
from emotune.models.card_text import plain, with_section
from emotune.models.folder import CARD
from emotune.schema.run_folder import RunFolder


def in_card_words(score: Estimate) -> str:
    """A score with its interval, or that it has none.

    >>> in_card_words(Estimate(0.5, 0.25, 0.75)), in_card_words(Estimate(0.5))
    ('0.500 [0.250, 0.750], 95 % over speakers', '0.500, without an interval')
    """
    return f"{score.in_words()}, {'95 % over speakers' if score.has_interval else 'without an interval'}"


def add_figures(
    run: RunFolder,
    name: str,
    overall: Mapping[str, Estimate],
    *,
    utterances: int,
    speakers: int,
    notes: Sequence[str] = (),
) -> None:
    """Puts the figures of one set into the card of a run's model, in place of earlier ones of that name.

    Args:
        run: whose model has a card, else nothing is done.
        name: of the set.
        overall: metric -> score.
        utterances: that were scored.
        speakers: of them.
        notes: what limits the figures.
    """
    card = run.model / CARD
    if not card.is_file():
        return
    lines = [f"- {metric}: {in_card_words(score)}" for metric, score in overall.items()]
    lines += [f"- of {utterances} utterances, {speakers} speakers", *(f"- {plain(note)}" for note in notes)]
    write_text(card, with_section(card.read_text(encoding="utf-8"), figures_title(name), lines))


def add_evaluation(run: RunFolder, name: str, evaluation: Evaluation) -> None:
    """Puts the figures of an evaluation, with what limits them, into the card of a run's model: see ``add_figures``."""
    add_figures(
        run,
        name,
        evaluation.overall,
        utterances=evaluation.scored,
        speakers=evaluation.speakers,
        notes=evaluation.notes,
    )


def figures_title(name: str) -> str:
    """Title of the section on one set.

    >>> figures_title("test")
    'Figures on test'
    """
    return f"Figures on {plain(name)}"
