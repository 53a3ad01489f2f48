"""Truth and predictions restricted to classes that both have, for a corpus other than the one a model learnt."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Collection, Sequence

from emotune.errors import CorpusError
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions


def on_shared_classes(manifest: Manifest, predictions: Predictions) -> tuple[Manifest, Predictions, str]:
    """Restricts truth and predictions to the classes that both have, and describes the change for the report.

    Raises:
        CorpusError: when fewer than two classes are shared.
    """
    classes = shared_classes([predictions.label_space, manifest.label_space])
    restricted, dropped = with_classes(manifest, classes)
    note = restriction_note(classes, dropped, [predictions.label_space])
    return restricted, answering(predictions, classes), note


def shared_classes(spaces: Sequence[LabelSpace]) -> tuple[str, ...]:
    """The classes that all label spaces have, in the order of the first.

    Raises:
        CorpusError: when these are fewer than two.
    """
    first, *others = spaces
    classes = tuple(name for name in first.classes if all(name in space.classes for space in others))
    if len(classes) < 2:
        sets = "; ".join(dict.fromkeys(", ".join(space.classes) or "none" for space in spaces))
        raise CorpusError(
            f"Only {len(classes)} classes are shared, at least two are needed. The class sets are: {sets}."
            " Rename classes (`map`) so that they match."
        )
    return classes


def with_classes(manifest: Manifest, classes: Sequence[str]) -> tuple[Manifest, Counter[str]]:
    """The manifest with no other classes, and how many utterances of each other class lost their emotion.

    Such an utterance is dropped unless it has dimensions to score.
    """
    dropped = Counter(u.emotion for u in manifest if u.emotion is not None and u.emotion not in classes)
    kept = []
    for utterance in manifest:
        if utterance.emotion is None or utterance.emotion in classes:
            kept.append(utterance)
        elif utterance.dimensions:
            kept.append(dataclasses.replace(utterance, emotion=None))
    space = LabelSpace(tuple(classes), manifest.label_space.dimensions)
    return dataclasses.replace(manifest, utterances=tuple(kept), label_space=space), dropped


def answering(predictions: Predictions, classes: Collection[str]) -> Predictions:
    """Predictions limited to these classes: others removed, the rest renormalised.

    Where the model is certain of classes that are not among them, nothing remains and the probabilities are NaN.
    """
    rows = []
    for row in predictions:
        kept = {name: row.probabilities[name] for name in classes if name in row.probabilities}
        total = math.fsum(kept.values())
        scaled = {name: value / total if total > 0 else math.nan for name, value in kept.items()}
        rows.append(dataclasses.replace(row, probabilities=scaled))
    space = LabelSpace(tuple(classes), predictions.label_space.dimensions)
    return dataclasses.replace(predictions, rows=tuple(rows), label_space=space)


def restriction_note(classes: Sequence[str], dropped: Counter[str], spaces: Sequence[LabelSpace]) -> str:
    """Sentence on the effect of the restriction on truth and predictions."""
    removed = dict.fromkeys(name for space in spaces for name in space.classes if name not in classes)
    lost = ", ".join(f"{name} {count}" for name, count in sorted(dropped.items()))
    truth = f"not scored for their class: {dropped.total()} utterances ({lost})" if dropped else "no utterance is lost"
    answers = (
        f"probabilities of {', '.join(removed)} were removed and the rest brought to a sum of one"
        if removed
        else "no answer is removed"
    )
    return f"Scored on the shared classes {', '.join(classes)}: {truth}; {answers}."
