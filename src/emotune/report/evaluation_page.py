"""The report of an evaluation: report.json for machines and one page, report.html, that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emotune.evaluation.result import Evaluation
from emotune.io.tables import to_json, write_text
from emotune.report.abstention import abstention_section
from emotune.report.fairness import fairness_section
from emotune.report.markup import bullets, document, paragraph, section, table
from emotune.report.sections import (
    calibration_section,
    class_section,
    confusion_section,
    dimension_section,
    group_section,
    headline,
    learning_section,
    resampled,
    speaker_section,
)
from emotune.report.votes import vote_section


def write_report(
    folder: Path,
    evaluation: Evaluation,
    *,
    title: str,
    information: Mapping[str, object] | None = None,
    history: Sequence[Mapping[str, float]] = (),
    notices: Sequence[str] = (),
) -> None:
    """Write ``report.json`` and ``report.html`` into a folder, each atomically.

    Args:
        folder: made when it does not exist.
        evaluation: what ``evaluate`` found.
        title: of the page, in plain text.
        information: where the figures come from: corpus, licence, model, split, recipe, seed, fingerprints.
        history: one mapping an epoch: ``epoch``, ``train_loss``, ``development_loss``, ``development_<metric>``, and
            optionally ``best`` (true for the epoch that was kept).
        notices: warnings that must not be missed, shown as banners.

    Raises:
        TableError: when the folder cannot be written to.
    """
    sources = {name: _plain(value) for name, value in (information or {}).items()}
    content = {
        "title": title,
        "notices": list(notices),
        **evaluation.to_json(),
        "information": sources,
        "history": _plain(list(history)),
    }
    write_text(folder / "report.json", to_json(content) + "\n")
    write_text(folder / "report.html", page(evaluation, title, sources, history, notices))


def page(
    evaluation: Evaluation,
    title: str,
    information: Mapping[str, object],
    history: Sequence[Mapping[str, float]],
    notices: Sequence[str],
) -> str:
    """The whole page as HTML."""
    body = "\n".join(
        part
        for part in (
            headline(evaluation, title, notices),
            _notes(evaluation),
            fairness_section(evaluation),
            confusion_section(evaluation),
            class_section(evaluation),
            dimension_section(evaluation),
            speaker_section(evaluation),
            group_section(evaluation),
            calibration_section(evaluation),
            abstention_section(evaluation),
            vote_section(evaluation),
            learning_section(history),
            _information(information),
        )
        if part
    )
    footer = f"""Written by emotune. Intervals: 95 %, expanded percentile bootstrap over {resampled(evaluation)},
{evaluation.resamples} resamples, seed {evaluation.seed}. The same figures for machines: report.json."""
    return document(title, body, footer)


def _notes(evaluation: Evaluation) -> str:
    skipped = table(
        ["Not scored", "utterances", "such as"],
        [(item.reason, item.count, ", ".join(item.examples)) for item in evaluation.not_scored],
        kind="skipped",
    )
    if not evaluation.notes and not evaluation.not_scored:
        return ""
    return section(
        "notes",
        "What to know before reading",
        bullets(evaluation.notes) if evaluation.notes else "",
        skipped if evaluation.not_scored else "",
    )


def _information(information: Mapping[str, object]) -> str:
    if not information:
        return ""
    rows = [(name.replace("_", " "), _shown(value)) for name, value in information.items()]
    return section(
        "information",
        "Where these figures come from",
        paragraph("Enough to make them again.", "hint"),
        table([], rows, kind="information"),
    )


def _shown(value: object, between: str = "\n") -> str:
    if isinstance(value, Mapping):
        return between.join(f"{name}: {_shown(item, ', ')}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return "–" if value is None else str(value)


def _plain(value: object) -> object:
    """Only what JSON has: mappings, lists, text, numbers, truth values and None; anything else as its text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
