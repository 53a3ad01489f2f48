"""The report of an evaluation: report.json for machines and one page, report.html, that needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from emotune.evaluation.abstention import PROMISED
from emotune.evaluation.fairness import ClassGap, GroupComparison
from emotune.evaluation.groups import AGE, CORPUS, DURATION, GENDER, LANGUAGE, SPEAKER
from emotune.evaluation.result import Evaluation, Group
from emotune.io.tables import to_json, write_text
from emotune.report.evaluation_figures import evaluation_figures
from emotune.report.evaluation_words import by_kinds, calibration_words, drawn_of, failures, lead, resampled
from emotune.report.fairness_words import conclusions
from emotune.report.figures.dots import NAMED_SPEAKERS
from emotune.report.learning import History, learning_curves
from emotune.report.methods import methods_of_evaluation
from emotune.report.metric_names import shown_metrics
from emotune.report.template import render
from emotune.report.words_section import words_values


def write_report(
    folder: Path,
    evaluation: Evaluation,
    *,
    title: str,
    information: Mapping[str, object] | None = None,
    history: History = (),
    notices: Sequence[str] = (),
) -> None:
    """Writes ``report.json`` and ``report.html`` into a folder, each atomically.

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
    history: History,
    notices: Sequence[str],
) -> str:
    """The whole page as HTML."""
    calibration, fairness = evaluation.calibration, evaluation.fairness
    return render(
        "evaluation.html.j2",
        title=title,
        lead=lead(evaluation),
        notices=[*notices, *failures(evaluation)],
        evaluation=evaluation,
        metrics=shown_metrics(evaluation.overall),
        fairness_conclusions=conclusions(fairness, scored=int(evaluation.confusion.sum())) if fairness else [],
        largest_gaps=[(item, _largest_gap(item)) for item in fairness.comparisons] if fairness else [],
        confusion=_confusion(evaluation),
        class_intervals=any(item.recall.has_interval for item in evaluation.per_class),
        groups=_groups(evaluation),
        named_speakers=NAMED_SPEAKERS,
        calibration_words=calibration_words(calibration) if calibration else "",
        promised=PROMISED,
        learning=learning_curves(history),
        methods=methods_of_evaluation(evaluation, information),
        information={name.replace("_", " "): _shown(value) for name, value in information.items()},
        figures=evaluation_figures(evaluation),
        drawn_of=drawn_of,
        resampled=resampled(evaluation),
        **words_values(evaluation),
    )


def _largest_gap(comparison: GroupComparison) -> ClassGap:
    return max(comparison.classes, key=lambda item: abs(item.recall_gap.value))


def _confusion(evaluation: Evaluation) -> list[tuple[str, int, list[int]]]:
    """A row for each true class: its name, its utterances, and how many of them went to each class."""
    if not evaluation.classes:
        return []
    return [
        (name, int(counts.sum()), [int(count) for count in counts])
        for name, counts in zip(evaluation.classes, evaluation.confusion, strict=True)
    ]


def _groups(evaluation: Evaluation) -> dict[str, object]:
    """Single speakers, and the other groups by their kind."""
    others: dict[str, Sequence[Group]] = {
        kind: found for kind in (CORPUS, GENDER, AGE, LANGUAGE, DURATION) if (found := evaluation.groups_by(kind))
    }
    title = by_kinds(list(others)) if others else ""
    return {"speakers": evaluation.groups_by(SPEAKER), "others": others, "title": title}


def _shown(value: object, between: str = "\n") -> str:
    """A line of information as text: a dash for nothing, a line an entry, lists with commas."""
    if isinstance(value, dict):
        return between.join(f"{name}: {_shown(item, ', ')}" for name, item in cast(dict[str, object], value).items())
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in cast(list[object], value))
    return "–" if value is None else str(value)


def _plain(value: object) -> object:
    """Only what JSON has: mappings, lists, text, numbers, truth values and None; anything else as its text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in cast(Mapping[object, object], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(Sequence[object], value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
