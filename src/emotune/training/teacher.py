"""Teachers: models whose answers to training utterances others learn from, worked out once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.errors import ConfigError, CorpusError, ModelError
from emotune.inference.embeddings.embed import embedded
from emotune.inference.embeddings.embedder import embedder_of
from emotune.inference.known_models import licence_at
from emotune.inference.loading import load
from emotune.inference.predictor import items_of
from emotune.io.array_cache import array_path, read_array, write_array
from emotune.models.folder import find_model_folder
from emotune.runtime.progress import Progress
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.training.loop import processes

FloatArray = NDArray[np.float32]
Named = tuple[str, FloatArray]


class Teacher:
    """A trained model that is asked what it says of utterances.

    Args:
        name: as ``emotune.load`` has it.
        cache: a folder for its answers, by the content of the recording.

    Raises:
        ModelError: when there is no such model.
    """

    def __init__(self, name: str, *, cache: Path) -> None:
        self.name = name
        try:
            self.predictor = load(name)
        except ModelError as error:
            raise ModelError(f"task.teacher: {error}") from error
        self.fingerprint, self.space = self.predictor.fingerprint, self.predictor.label_space
        self.cache = cache.expanduser()

    @property
    def licence(self) -> str:
        """Licence that it states."""
        return licence_at(find_model_folder(self.name).folder) or "unknown"

    def check(self, space: LabelSpace) -> None:
        """Sees that it knows what a student is to learn.

        Raises:
            ConfigError: naming what it does not know.
        """
        classes = [name for name in space.classes if name not in self.space.classes]
        if classes:
            raise ConfigError(
                f"task.teacher: {self.name} knows {', '.join(self.space.classes) or 'no classes'}, and not"
                f" {', '.join(classes)}. Leave these out with data.drop, rename them with data.map, or take another"
                " teacher."
            )
        dimensions = [name for name in space.dimensions if name not in self.space.dimensions]
        if dimensions:
            raise ConfigError(
                f"task.teacher: {self.name} knows {', '.join(self.space.dimensions) or 'no dimensions'}, and not"
                f" {', '.join(dimensions)}. Leave these out of data.dimensions, or set task.dimensions to 0."
            )

    def forget(self) -> None:
        """Gives its memory back, once it has answered."""
        del self.predictor

    def answers(self, manifest: Manifest, *, progress: Progress) -> FloatArray:
        """Probabilities of its classes, then unit-scale dimensions, shape (utterances, classes + dimensions).

        Raises:
            CorpusError: for an utterance that it has no answer to.
        """
        scales = self.space.dimensions

        def asked(part: Manifest) -> Iterator[Named]:
            found = self.predictor.predict_manifest(part, progress=progress)
            for row in found:
                self._refuse(row.utterance_id, row.error)
                units = [scale.to_unit(row.dimensions[name]) for name, scale in scales.items()]
                yield row.utterance_id, np.array([*row.probabilities.values(), *units], dtype=np.float32)

        return self._kept("answers", manifest, asked, len(self.space.classes) + len(scales))

    def embeddings(self, manifest: Manifest, *, progress: Progress) -> FloatArray:
        """Pooled features before its heads, shape (utterances, features).

        Raises:
            CorpusError: for an utterance that it cannot embed.
        """
        embedder = embedder_of(self.name)

        def asked(part: Manifest) -> Iterator[Named]:
            items = items_of(part)
            for own in progress(embedded(embedder, items), total=len(items), title="embedding"):
                self._refuse(own.utterance_id, own.error)
                yield own.utterance_id, own.vectors.reshape(-1)

        return self._kept("embeddings", manifest, asked, None)

    def _refuse(self, utterance_id: str, error: str | None) -> None:
        if error is not None:
            raise CorpusError(
                f"task.teacher: {self.name} has no answer to {utterance_id}: {error} Leave it out of the manifest, or"
                " cut it with data.too_long."
            )

    def _kept(
        self, kind: str, manifest: Manifest, asked: Callable[[Manifest], Iterator[Named]], size: int | None
    ) -> FloatArray:
        """Rows of all utterances, those that are not in the cache worked out by all processes together."""

        def own_part(utterances: Sequence[Utterance]) -> list[FloatArray]:
            paths = {u.utterance_id: self._path(kind, u) for u in utterances}
            found = {name: read_array(path, (size,)) if path else None for name, path in paths.items()}
            missing = manifest.replace_utterances([u for u in utterances if found[u.utterance_id] is None])
            for name, values in asked(missing) if len(missing) else ():
                found[name] = values
                if (path := paths[name]) is not None:
                    write_array(path, values)
            return [values for values in found.values() if values is not None]

        return np.stack(processes.shared_out(manifest.utterances, own_part))

    def _path(self, kind: str, utterance: Utterance) -> Path | None:
        """Place of a row in the cache; None where an answer depends on more than the recording."""
        if self.fingerprint is None or self.predictor.conditioner.about or not utterance.content_sha256:
            return None
        key = hashlib.sha256(f"{kind} {self.fingerprint}".encode()).hexdigest()[:24]
        return array_path(self.cache / key, utterance.content_sha256)


def model_name(name: str) -> str:
    """The last part of a model's name or folder, so that a page names no folder of anybody's."""
    return name.rstrip("/").rpartition("/")[2]


def mean_answers(teachers: Mapping[Teacher, float], space: LabelSpace, answers: Sequence[FloatArray]) -> FloatArray:
    """Weighted mean of teachers' answers in the terms of a student, shape (utterances, classes + dimensions).

    Of classes that the student does not have it is silent: the others sum to one, and are NaN where the teachers hold
    those it lacks to be more likely.

    Args:
        teachers: with their shares, summing to one.
        space: the student's.
        answers: of each teacher, as ``Teacher.answers`` gives them.
    """
    total: Any = 0.0
    for (teacher, share), values in zip(teachers.items(), answers, strict=True):
        known = [*teacher.space.classes, *teacher.space.dimensions]
        columns = [known.index(name) for name in (*space.classes, *space.dimensions)]
        total = total + share * values[:, columns].astype(np.float64)
    size = len(space.classes)
    mass = total[:, :size].sum(axis=1, keepdims=True)
    shares = np.where(mass > 0.5, total[:, :size] / np.maximum(mass, 1e-12), np.nan)  # a tie counts as less likely
    return np.concatenate([shares, total[:, size:]], axis=1).astype(np.float32)
