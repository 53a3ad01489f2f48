"""Figures of an evaluation's page, each drawn only where the evaluation has what it shows."""

from __future__ import annotations

from emotune.evaluation.fairness import GroupComparison
from emotune.evaluation.groups import GENDER, SPEAKER
from emotune.evaluation.result import Evaluation
from emotune.report.figures.bars import agreement_bars, class_bars
from emotune.report.figures.curves import reliability, risk_coverage
from emotune.report.figures.dots import paired_dots, speaker_dots
from emotune.report.figures.scatter import dimension_scatter, entropy_scatter
from emotune.report.template import Markup
from emotune.report.words_section import words_figure


def evaluation_figures(evaluation: Evaluation) -> dict[str, Markup | list[Markup]]:
    """All figures of the page by section."""
    drawn: dict[str, Markup | list[Markup]] = {}
    speakers = evaluation.groups_by(SPEAKER)
    if evaluation.fairness and (genders := evaluation.fairness.compared_by(GENDER)):
        drawn["gender"] = _recalls(genders[0])
    if evaluation.classes:
        drawn["classes"] = class_bars(evaluation.per_class, evaluation.chance)
    if evaluation.classes and speakers:
        drawn["speakers"] = speaker_dots(speakers, evaluation.overall["uar"], evaluation.chance)
    if evaluation.dimensions:
        drawn["dimensions"] = [dimension_scatter(item) for item in evaluation.dimensions]
    if evaluation.calibration is not None:
        drawn["calibration"] = reliability(evaluation.calibration)
    if evaluation.abstention is not None:
        drawn["abstention"] = risk_coverage(evaluation.abstention)
    if evaluation.votes is not None:
        drawn["agreement"] = agreement_bars(evaluation.votes.levels)
        drawn["entropies"] = entropy_scatter(evaluation.votes.entropies, evaluation.votes.class_count)
    if evaluation.words is not None:
        drawn["words"] = words_figure(evaluation.words)
    return drawn


def _recalls(comparison: GroupComparison) -> Markup:
    """Recall of each class in two groups."""
    groups = (comparison.first.name, comparison.second.name)
    return paired_dots(
        [item.name for item in comparison.classes],
        {name: [item.recalls[which] for item in comparison.classes] for which, name in enumerate(groups)},
        "recall",
    )
