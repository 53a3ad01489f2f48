"""Development score of a sequence model: what it writes, task by task."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from emotune.config.sequences import METRICS, SequenceRecipe
from emotune.errors import CorpusError
from emotune.evaluation.sequences import goodness, score_answers
from emotune.inference.sequences.task_data import TaskData
from emotune.inference.sequences.writer import Writer
from emotune.models.sequences.sequence_model import SequenceModel
from emotune.models.sequences.store import preprocessing_of
from emotune.schema.splits import DEVELOPMENT
from emotune.training.loop import processes


def development_scores(recipe: SequenceRecipe, data: Sequence[TaskData], model: SequenceModel) -> dict[str, float]:
    """Every task's figures, its own goodness under its name, and their mean as ``score``.

    A figure that development leaves undefined, such as F1 where no clip has a slot, does not count.

    Each process writes its part, and every one gets the figures of all.

    Raises:
        CorpusError: when an utterance cannot be used.
    """
    was_training = model.training
    model.eval()
    writer = Writer(model, preprocessing_of(model.base.backbone), batch_seconds=recipe.train.batch_seconds)
    figures: dict[str, float] = {}
    try:
        for own in data:
            development, name = own.split(DEVELOPMENT), own.task.name
            written = processes.shared_out(
                development.utterances,
                lambda part, whole=development, task=name: writer.write_manifest(
                    whole.replace_utterances(part), tasks=[task]
                ),
            )
            failed = [row.error for row in written if row.error]
            if failed:
                raise CorpusError(f"A development utterance cannot be used: {failed[0]}")
            truth = [own.task.parts(answer) for answer in own.truth_of(development)]
            answers = [own.task.parts(row.answers[name]) for row in written]
            found = score_answers(own.task.writes, truth, answers, [], resamples=0)
            figures |= {f"{name}_{key}": estimate.value for key, estimate in found.items()}
            metric = recipe.tasks[name].metric or METRICS[own.task.writes][0]
            figures[name] = goodness(metric, found[metric].value)
    finally:
        model.train(was_training)
    known = [value for own in data if math.isfinite(value := figures[own.task.name])]
    figures["score"] = float(np.mean(known)) if known else math.nan
    return figures
