"""The paragraph for a paper's section on methods, made of what a report or a comparison knows of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from emotune.evaluation.comparing.comparison import Comparison
from emotune.evaluation.result import Evaluation
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.evaluation.statistics.permutation import enumerates
from emotune.report.metric_names import metric_name, shown_metrics
from emotune.report.numbers import interval, number

_DEFINED = {
    "uar": "UAR, the mean of the classes' recalls",
    "macro_f1": "macro-F1, the mean of the classes' F1",
    "accuracy": "accuracy",
}
_HEARD = {
    False: "Nobody who was scored was heard in training.",
    True: "Some of those who were scored were heard in training.",
}


def methods_of_evaluation(evaluation: Evaluation, information: Mapping[str, Any]) -> str:
    """Paragraph on an evaluation: utterances, model, metrics, intervals.

    Args:
        evaluation: the figures.
        information: as the report has it, see ``report_run``; what it lacks is left out.
    """
    said = [f"{_scored(evaluation.scored, evaluation.speakers, _corpora(information))} were scored."]
    said += [*_tested(information), *_model(information)]
    if (known := information.get("speaker_dependent")) is not None:
        said.append(_HEARD.get(known, "Whether those who were scored were heard in training is not known."))
    if evaluation.classes:
        said.append(f"Classes: {', '.join(evaluation.classes)}.")
    figures = [
        f"{_DEFINED.get(name, metric_name(name))}: {_figure(evaluation.overall[name])}"
        for name in shown_metrics(evaluation.overall)
    ]
    if figures:
        said.append(f"{'; '.join(figures)}.")
    if any(score.has_interval for score in evaluation.overall.values()):
        said.append(_intervals(evaluation.speakers, evaluation.resamples, evaluation.seed))
    return " ".join(said)


def methods_of_comparison(comparison: Comparison) -> str:
    """Paragraph on a comparison: systems, metrics, intervals, test."""
    systems = ", ".join(f"{name} ({count} run{'s' * (count > 1)})" for name, count in comparison.runs.items())
    who = "speakers" if comparison.speakers else "utterances"
    said = [f"{_scored(comparison.compared, comparison.speakers)} were answered by every system: {systems}."]
    if comparison.classes:
        said.append(f"Classes: {', '.join(comparison.classes)}.")
    for metric, scores in comparison.scores.items():
        reached = ", ".join(f"{name} {_figure(score)}" for name, score in scores.items())
        said.append(f"{_DEFINED.get(metric, metric_name(metric))}: {reached}.")
    if any(score.has_interval for scores in comparison.scores.values() for score in scores.values()):
        said.append(_intervals(comparison.speakers, comparison.resamples, comparison.seed))
    if not any(math.isfinite(item.p) for item in comparison.differences):
        return " ".join(said)
    tested = [item.metric for item in comparison.differences]
    several = len(tested) > len(set(tested))
    drawn = "all swaps" if enumerates(comparison.clusters, comparison.resamples) else f"{comparison.resamples} swaps"
    corrected = ", corrected by Holm's method for the differences by each metric" if several else ""
    said.append(f"Differences were tested in pairs, two-sided, over {drawn} of the systems by {who}{corrected}.")
    return " ".join(said)


def _scored(utterances: int, speakers: int, of: str = "") -> str:
    who = f"{speakers} speaker{'s' * (speakers > 1)}" if speakers else "unknown speakers"
    return f"{utterances} utterances{of} by {who}"


def _corpora(information: Mapping[str, Any]) -> str:
    corpus = information.get("corpus")  # a table has no name
    return f" of {corpus}" if isinstance(corpus, str) and corpus != "table" else ""


def _tested(information: Mapping[str, Any]) -> list[str]:
    """The protocol and its folds, or the split."""
    protocol, models = information.get("protocol"), information.get("model fingerprint")
    if protocol and isinstance(models, Mapping):
        folds = len(cast(Mapping[str, object], models))
        return [f"Protocol {protocol}: {folds} folds, each answered by a model that did not train on it."]
    split = information.get("split")
    return [f"Protocol {protocol}, split {split}."] if protocol else [f"Split: {split}."] if split else []


def _model(information: Mapping[str, Any]) -> list[str]:
    """The model by its recipe: what it is, its encoder, seed and the version that made it."""
    recipe, kind = information.get("recipe"), information.get("kind")
    if not recipe:
        return []
    listens = "baseline" not in str(kind)  # to an encoder
    what = recipe if listens else f"pitch and energy, logistic regression, data of {recipe}"
    encoder = f"encoder {information['encoder']}" if listens and information.get("encoder") else ""
    seed = f"seed {information['seed']}" if "seed" in information else ""
    version = f"emotune {information['emotune']}" if information.get("emotune") else ""
    return [f"Model: {what} ({', '.join(str(part) for part in (kind, encoder, seed, version) if part)})."]


def _figure(score: Estimate) -> str:
    return f"{number(score.value)} {interval(score)}".strip()


def _intervals(speakers: int, resamples: int, seed: int) -> str:
    who = "speakers" if speakers else "utterances"
    return f"Intervals: 95 %, expanded percentile bootstrap over {who}, {resamples} resamples, seed {seed}."
