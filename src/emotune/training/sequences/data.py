"""Training data of a sequence model: the clips of all tasks, each with its task's number and answer."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from emotune.audio.preprocessing import Preprocessing
from emotune.data.dataset import EmotionDataset
from emotune.errors import CorpusError
from emotune.inference.sequences.task_data import TaskData
from emotune.models.sequences.sequence_model import CTC, TASK, TOKENS
from emotune.models.sequences.spoken_task import SpeltTask
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.splits import TRAIN
from emotune.schema.truth import Numbers, Truth
from emotune.schema.utterance import Utterance


def training_data(
    data: Sequence[TaskData], spelt: Mapping[str, SpeltTask], preprocessing: Preprocessing, *, seed: int
) -> EmotionDataset:
    """The training clips of all tasks together, each with its task's number, tokens and CTC symbols.

    A clip that several tasks learn comes once for each.

    Args:
        data: of the tasks that are trained.
        spelt: all tasks of the model, in its order.
        preprocessing: what the model needs.
        seed: of the data set.

    Raises:
        ConfigError: for an answer that a task cannot write.
        CorpusError: for clips that the model does not take.
    """
    root = Path(os.path.commonpath([own.manifest.root.absolute() for own in data]))
    targets: dict[str, tuple[int, list[int], list[int]]] = {}
    utterances: list[Utterance] = []
    numbers = {name: number for number, name in enumerate(spelt)}
    for own in data:
        task, number = spelt[own.task.name], numbers[own.task.name]
        for utterance in _fitting(own.split(TRAIN), preprocessing, own.task.name):
            key, answer = f"{own.task.name}/{utterance.utterance_id}", own.answers[utterance.utterance_id]
            symbols = task.ctc_targets(answer) if own.task.ctc else []
            targets[key] = number, task.tokens(answer), symbols
            file = os.path.relpath(own.manifest.path_of(utterance).absolute(), root)
            utterances.append(dataclasses.replace(utterance, utterance_id=key, file=file, emotion=None))
    most_tokens = max(len(tokens) for _, tokens, _ in targets.values())
    most_symbols = max(len(symbols) for _, _, symbols in targets.values())
    truths = {
        TASK: Truth(lambda utterance: (float(targets[utterance.utterance_id][0]),)),
        TOKENS: Truth(lambda utterance: _filled(targets[utterance.utterance_id][1], most_tokens)),
        CTC: Truth(lambda utterance: _filled(targets[utterance.utterance_id][2], most_symbols)),
    }
    return EmotionDataset(Manifest(tuple(utterances), LabelSpace(()), root), truths, preprocessing, seed=seed)


def _fitting(manifest: Manifest, preprocessing: Preprocessing, name: str) -> Iterator[Utterance]:
    """Utterances, refused where one is longer or shorter than the model takes."""
    for utterance in manifest:
        duration_s = utterance.duration_s
        if duration_s is None:
            raise CorpusError(
                f"{utterance.utterance_id} has no duration_s; read the corpus again with `emotune corpus read`."
            )
        samples = duration_s * preprocessing.sampling_rate_hz
        if not preprocessing.min_samples <= samples <= preprocessing.most_samples:
            least_s = preprocessing.min_samples / preprocessing.sampling_rate_hz
            raise CorpusError(
                f"tasks.{name}: {utterance.utterance_id} lasts {duration_s:.3g} s, and this model takes {least_s:.3g}"
                f" to {preprocessing.max_duration_s:g} s. Leave it out of the manifest."
            )
        yield utterance


def _filled(numbers: Sequence[int], size: int) -> Numbers:
    """Numbers followed by NaN up to a size."""
    return (*map(float, numbers), *(math.nan for _ in range(size - len(numbers))))
