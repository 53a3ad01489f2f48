"""Notes on the limits of an evaluation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from emotune.evaluation.groups import GENDER, SPEAKER
from emotune.evaluation.pairs import Pairs
from emotune.evaluation.result import Evaluation
from emotune.evaluation.statistics.bootstrap import FEWEST_CLUSTERS
from emotune.evaluation.statistics.chance import CHANCE_METRICS, beats_chance
from emotune.metrics.classes import accuracy_of, uar_of
from emotune.schema.predictions import Predictions

FEW_SPEAKERS = 10
"""With fewer, intervals tend to be too narrow and fitted weights to be chance."""
_NAMED = 10


def notes_of(evaluation: Evaluation, pairs: Pairs) -> tuple[str, ...]:
    """Notes on an evaluation, a sentence or two for each limit."""
    return (
        *_chance(evaluation),
        *_failures(evaluation, pairs),
        *pairs.notes,
        *_classes(evaluation),
        *_speakers(evaluation, pairs),
        *_groups(evaluation),
        *_votes(evaluation),
    )


def unheard_note(predictions: Predictions, pairs: Pairs) -> Iterator[str]:
    """Note on scored clips in which nothing can be heard."""
    found = predictions.warnings
    scored = {u.utterance_id: found[u.utterance_id] for u in pairs.utterances if u.utterance_id in found}
    if scored:
        kinds = Counter(words.partition(":")[0] for words in scored.values())
        counts = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        more = f" and {len(scored) - _NAMED} more, all in the column 'warning'" if len(scored) > _NAMED else ""
        yield (
            f"In {len(scored)} of {len(pairs)} scored clips nothing can be heard"
            f" ({counts}): {_listed(list(scored)[:_NAMED])}{more}."
            " What the model says of them counts in every figure and means nothing."
        )


def _chance(evaluation: Evaluation) -> Iterator[str]:
    for metric, chance in (("uar", evaluation.chance), ("ccc", 0.0)):
        score = evaluation.overall.get(metric)
        if score is not None and score.has_interval and not beats_chance(score, chance):
            name = CHANCE_METRICS[metric]
            yield f"Not shown to beat chance: {name} {score.in_words()}; guessing gives {chance:.3f}."


def _failures(evaluation: Evaluation, pairs: Pairs) -> Iterator[str]:
    """Note with the headline score if every failed prediction counted as wrong."""
    missed = Counter(utterance.emotion for utterance in pairs.failed)
    if not evaluation.classes or not sum(missed.values()):
        return
    column = np.array([[missed[name]] for name in evaluation.classes])
    counts = np.hstack([evaluation.confusion, column])  # a further column, predicted as nothing
    yield (
        f"Failed predictions, left out of every figure: {len(pairs.failed)}. Counted as wrong, they would give a UAR"
        f" of {uar_of(counts):.3f} and an accuracy of {accuracy_of(counts):.3f}."
    )


def _classes(evaluation: Evaluation) -> Iterator[str]:
    absent = [item.name for item in evaluation.per_class if not item.support]
    if absent:
        yield f"No scored utterance is of {_listed(absent)}: recall is undefined there and UAR leaves them out."
    answered = [item.name for item in evaluation.per_class if item.predicted and not item.support]
    if answered and evaluation.scored:
        true = sum(item.support > 0 for item in evaluation.per_class)
        recall = evaluation.overall["uar"].value * true / (true + len(answered))
        yield (
            f"Answered all the same: {_listed(answered)}. Macro-F1 counts each as 0, as scikit-learn does; over the"
            " true classes alone (macro_f1_true_classes) it is"
            f" {evaluation.overall['macro_f1_true_classes'].value:.3f}. A UAR that counts each as 0, as audmetric's"
            f" does, would be {recall:.3f}."
        )
    never = [item.name for item in evaluation.per_class if item.support and not item.predicted]
    if never:
        yield f"Never predicted: {_listed(never)}. Precision is undefined there."
    undefined = [name for name, score in evaluation.overall.items() if math.isnan(score.value)]
    if undefined:
        yield f"Undefined, because there are fewer than two values or they are constant: {_listed(undefined)}."


def _speakers(evaluation: Evaluation, pairs: Pairs) -> Iterator[str]:
    unknown = sum(speaker is None for speaker in pairs.speakers)
    if unknown:
        yield (
            f"{unknown} of {evaluation.scored} scored utterances have no known speaker. Each is its own cluster in the"
            " bootstrap; if they share speakers, the intervals are too narrow."
        )
    if evaluation.clusters < 2:
        yield "All scored utterances are of one speaker: there are no intervals, and other speakers may differ."
    elif evaluation.clusters < FEWEST_CLUSTERS:
        yield (
            f"All scored utterances are of {evaluation.clusters} speakers, too few for intervals: in simulations what"
            " two speakers span holds the truth half of the time."
        )
    elif evaluation.clusters < FEW_SPEAKERS:
        yield (
            f"The intervals rest on {evaluation.clusters} speakers. With fewer than {FEW_SPEAKERS} they tend"
            " to be too narrow, although they are widened for few."
        )


def _groups(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.groups_by(GENDER):
        yield "No gender is known, so there are no figures by gender."
    everyone = {item.name for item in evaluation.per_class if item.support}
    partial = Counter(group.by for group in evaluation.groups if set(group.classes) != everyone)
    for by, count in partial.items():
        total = len(evaluation.groups_by(by))
        some = f"{count} of {total} {'speakers lack' if by == SPEAKER else by + ' groups lack'}"
        yield f"{some} some of the classes; their UAR is a mean over fewer classes and not quite comparable."


def _votes(evaluation: Evaluation) -> Iterator[str]:
    found = evaluation.votes
    if found is None:
        return
    absent = evaluation.utterances - found.utterances - sum(item.count for item in found.not_scored)
    if absent:
        yield f"{absent} of {evaluation.utterances} utterances have no votes; the scores against votes leave them out."
    for item in found.not_scored:
        yield f"Not scored against their votes, {item.reason}: {item.count}, such as {item.examples[0]}."
    if found.other_votes:
        named = ", ".join(f"{name} ({count:g})" for name, count in found.other_votes.items())
        yield f"Votes for classes that the model does not know count for nothing: {named}."


def _listed(names: list[str]) -> str:
    return ", ".join(names)
