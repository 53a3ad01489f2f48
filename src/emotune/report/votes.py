"""The report's section on annotators' votes."""

from __future__ import annotations

from emotune.evaluation.result import Evaluation
from emotune.report import figures
from emotune.report.markup import figure, number, pair, paragraph, scored, section, table

NAMES = {
    "jensen_shannon": "Jensen-Shannon divergence in bits, less is better",
    "kl_divergence": "KL(votes || prediction) in nats, less is better",
    "cosine_similarity": "Cosine similarity",
    "top_agreement": "Most probable class is a most voted one",
    "soft_macro_f1": "Soft macro-F1",
    "multilabel_macro_f1": "Macro-F1 of the classes above 1/C",
    "multilabel_micro_f1": "Micro-F1 of the classes above 1/C",
    "entropy_correlation": "Correlation of the two entropies",
}


def vote_section(evaluation: Evaluation) -> str:
    found = evaluation.votes
    if found is None:
        return ""
    of = f", {found.unlabelled} of them without a label" if found.unlabelled else ""
    lead = (
        f"Probabilities against the annotators' votes, {found.utterances} utterances{of}. The votes have"
        f" {number(found.human_entropy)} bits of entropy on average, the predictions {number(found.model_entropy)}."
    )
    rows = [(NAMES[name], scored(score)) for name, score in found.scores.items()]
    levels = [
        (item.name, item.utterances, scored(item.jensen_shannon), scored(item.top_agreement), scored(item.accuracy))
        for item in found.levels
    ]
    heads = ["most voted class has", "utterances", "divergence", "most voted found", "accuracy"]
    drawn = min(found.utterances, figures.DRAWN_POINTS)
    some = f" {drawn} of {found.utterances} utterances are drawn." if drawn < found.utterances else ""
    return section(
        "votes",
        "Against the annotators' votes",
        paragraph(lead),
        pair(
            figure(
                figures.agreement_dots(found.levels),
                "Jensen-Shannon divergence by agreement: the share of the votes that the most voted class got.",
            ),
            figure(
                figures.entropy_scatter(found.entropies, found.class_count),
                f"Entropy of the prediction against that of the votes; dashed: equal.{some}",
            ),
        ),
        table(["against the votes", "all utterances"], rows),
        table(heads, levels),
        paragraph("Accuracy is of the utterances that have a label.", "hint"),
    )
