"""Data of a task: the clips of its manifest, and what is to be written of each."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from emotune.config.sequences import SequenceRecipe, TaskSection
from emotune.corpora import map_classes
from emotune.doctor import refuse_overlaps
from emotune.errors import ConfigError, CorpusError
from emotune.models.sequences.spoken_task import SpokenTask
from emotune.registry import unknown_name_message
from emotune.schema.manifest import Manifest
from emotune.schema.splits import DEVELOPMENT, TRAIN, select_splits
from emotune.schema.utterance import COLUMNS, Utterance


@dataclass(frozen=True)
class TaskData:
    """Clips of a task and what is to be written of each.

    Args:
        task: that learns them.
        manifest: with splits ``train`` and ``development``.
        answers: utterance_id -> truth.
        without: how many clips were left out since they have no answer.
    """

    task: SpokenTask
    manifest: Manifest
    answers: Mapping[str, str]
    without: int = 0

    def part(self, split: str | None) -> TaskData:
        """The clips of one split, or all of them."""
        return self if split is None else dataclasses.replace(self, manifest=self.split(split))

    def split(self, name: str) -> Manifest:
        """The clips of one split."""
        return _split(self.manifest, name, self.task.name)

    def fingerprint(self) -> str:
        """SHA-256 over the manifest and the answers, which may stand in a column of the user's own."""
        digest = hashlib.sha256(self.manifest.fingerprint().encode())
        digest.update(json.dumps(dict(self.answers), sort_keys=True).encode())
        return digest.hexdigest()

    def truth_of(self, manifest: Manifest) -> list[str]:
        """Answers of some of the clips, each as the task would write it."""
        return [self.answers[utterance.utterance_id] for utterance in manifest]


def answer_of(utterance: Utterance, column: str) -> str | None:
    """The text in a column of an utterance, one of emotune's or of the user's own; None where there is none."""
    value = getattr(utterance, column) if column in COLUMNS else utterance.extra.get(column)
    return None if value is None else str(value)


def has_column(manifest: Manifest, column: str) -> bool:
    """Tells whether any utterance has something in a column."""
    return any(answer_of(utterance, column) is not None for utterance in manifest)


def _split(manifest: Manifest, split: str, task: str) -> Manifest:
    """Utterances of one split; a fault names the task."""
    try:
        return manifest.split(split)
    except CorpusError as error:
        raise CorpusError(f"tasks.{task}: {error}".replace("data.splits", f"tasks.{task}.splits")) from error


def read_task(name: str, section: TaskSection) -> TaskData:
    """Reads the manifest of a task and takes its items from the training split.

    Raises:
        CorpusError: for a manifest without the column, without splits, or whose splits share speakers.
        ConfigError: for a truth that the task cannot write.
    """
    assert section.manifest is not None
    manifest = Manifest.read(section.manifest)
    if section.map or section.drop:
        manifest = map_classes(manifest, section.map, section.drop)[0]
    if section.splits:
        manifest = select_splits(manifest, section.splits)
    if not has_column(manifest, section.column):
        there = {*(column for u in manifest for column in u.extra), *(c for c in COLUMNS if has_column(manifest, c))}
        raise CorpusError(
            f"tasks.{name}.column: {section.manifest}: " + unknown_name_message("column", section.column, there)
        )
    known = manifest.filter(lambda utterance: answer_of(utterance, section.column) is not None)
    try:
        refuse_overlaps(known, allow=section.allow)
    except CorpusError as error:
        raise CorpusError(f"tasks.{name}: {error}".replace("data.allow=", f"tasks.{name}.allow=")) from error
    plain = SpokenTask(name, "text", section.column)  # reads parts of any answer
    reader = dataclasses.replace(plain, writes=section.writes, items=() if section.writes == "text" else ("-",))
    answers = {u.utterance_id: reader.written(reader.parts(answer_of(u, section.column) or "")) for u in known}
    items = sorted({part for u in _split(known, TRAIN, name) for part in reader.parts(answers[u.utterance_id])})
    _split(known, DEVELOPMENT, name)
    try:
        task = SpokenTask(
            name,
            section.writes,
            section.column,
            items=() if section.writes == "text" else tuple(items),
            size=section.adapter.size,
            joins=section.adapter.joins,
            uses=tuple(section.adapter.uses),
            ctc=section.ctc > 0,
            most_tokens=section.most_tokens,
        )
    except ConfigError as error:
        raise ConfigError(f"tasks.{name}: {error}") from error
    return TaskData(task, known, answers, len(manifest) - len(known))


def read_tasks(recipe: SequenceRecipe) -> list[TaskData]:
    """Reads the data of all tasks."""
    return [read_task(name, section) for name, section in recipe.tasks.items()]
