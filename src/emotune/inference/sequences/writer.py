"""Writer: what a sequence model writes of clips, task by task."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emotune import audio
from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing, batches_under
from emotune.batch import pad
from emotune.errors import AudioError, ConfigError, ModelError
from emotune.inference.items import Item
from emotune.inference.torch_engine import usable_device
from emotune.models.sequences.decoding import answers
from emotune.models.sequences.sequence_model import SequenceModel
from emotune.models.sequences.store import load_sequences
from emotune.registry import unknown_name_message
from emotune.runtime.out_of_memory import is_out_of_memory
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest

_POOLED = 256  # clips that are decoded before the first of them is written, so that batches hold equal lengths


@dataclass(frozen=True)
class Written:
    """Answers to one clip.

    Args:
        utterance_id: of the clip.
        answers: task -> what was written.
        probabilities: of tasks that write a label, label -> probability, summing to one.
        error: why there are no answers; None where there are.
    """

    utterance_id: str
    answers: Mapping[str, str] = field(default_factory=dict[str, str])
    probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    error: str | None = None


class Writer:
    """Writes the answers of a sequence model to clips.

    Args:
        model: in evaluation mode, on its device.
        preprocessing: what clips pass before it.
        batch_seconds: longest padded batch.
    """

    def __init__(self, model: SequenceModel, preprocessing: Preprocessing, *, batch_seconds: float = 40.0) -> None:
        self.model, self.preprocessing, self.batch_seconds = model, preprocessing, batch_seconds

    @property
    def tasks(self) -> list[str]:
        """Names of the model's tasks."""
        return list(self.model.tasks)

    def write(
        self, clips: Sequence[tuple[str, FloatArray | AudioError]], *, tasks: Sequence[str] | None = None
    ) -> list[Written]:
        """Answers to clips, in their order.

        Args:
            clips: id and samples at 16 kHz, shape (samples,), or why there are none.
            tasks: which ones; None = all.

        Raises:
            ConfigError: for a task that the model does not have.
        """
        wanted = self.tasks if tasks is None else list(tasks)
        for name in wanted:
            if name not in self.model.tasks:
                raise ConfigError(unknown_name_message("task", name, self.model.tasks))
        rows: dict[int, Written] = {}
        ready: list[tuple[int, FloatArray]] = []
        for place, (key, samples) in enumerate(clips):
            try:
                if isinstance(samples, AudioError):
                    raise samples
                ready.append((place, self.preprocessing(samples)))
            except AudioError as error:
                rows[place] = Written(key, error=f"{key}: {error}")
        ready.sort(key=lambda pair: len(pair[1]))
        limit = self.batch_seconds * self.preprocessing.sampling_rate_hz
        for batch in batches_under(ready, samples_of=lambda pair: len(pair[1]), limit=limit):
            found = self._of_batch([samples for _, samples in batch], wanted)
            for (place, _), (texts, probabilities) in zip(batch, found, strict=True):
                rows[place] = Written(clips[place][0], texts, probabilities)
        return [rows[place] for place in range(len(clips))]

    def _of_batch(
        self, waveforms: Sequence[FloatArray], tasks: Sequence[str]
    ) -> Iterator[tuple[dict[str, str], dict[str, dict[str, float]]]]:
        """Answers and probabilities of each clip, by task."""
        device = next(self.model.parameters()).device
        batch = pad(waveforms).to(device)
        try:
            found = {name: answers(self.model, name, batch.waveforms, batch.mask) for name in tasks}
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise ModelError("There is not enough memory for a batch: lower --batch-seconds.") from error
        for clip in range(len(waveforms)):
            probabilities = {
                name: dict(zip(self.model.tasks[name].task.items, of.probabilities[clip].tolist(), strict=True))
                for name, of in found.items()
                if of.probabilities is not None
            }
            yield {name: of.texts[clip] for name, of in found.items()}, probabilities

    def write_manifest(
        self, manifest: Manifest, *, tasks: Sequence[str] | None = None, progress: Progress = silent
    ) -> list[Written]:
        """Answers to the utterances of a manifest, in their order."""
        found: list[Written] = []
        clips = manifest.clips_of(manifest.utterances, max_duration_s=self.preprocessing.longest_decoded_s)
        pool: list[tuple[str, FloatArray | AudioError]] = []
        both = zip(manifest.utterances, clips, strict=True)
        for utterance, clip in progress(both, total=len(manifest), title="writing"):
            pool.append((utterance.utterance_id, clip if isinstance(clip, AudioError) else clip.samples))
            if len(pool) == _POOLED:
                found += self.write(pool, tasks=tasks)
                pool.clear()
        return [*found, *self.write(pool, tasks=tasks)]

    def write_items(
        self, items: Sequence[Item], *, tasks: Sequence[str] | None = None, progress: Progress = silent
    ) -> list[Written]:
        """Answers to recordings, in their order; a bad one has its error."""
        found: list[Written] = []
        pool: list[tuple[str, FloatArray | AudioError]] = []
        for item in progress(items, total=len(items), title="writing"):
            pool.append((item.utterance_id, self._decoded(item)))
            if len(pool) == _POOLED:
                found += self.write(pool, tasks=tasks)
                pool.clear()
        return [*found, *self.write(pool, tasks=tasks)]

    def _decoded(self, item: Item) -> FloatArray | AudioError:
        if item.error is not None:
            return AudioError(item.error)
        segment = audio.Segment(item.start_s, item.end_s, item.channel)
        try:
            ((_, heard),) = audio.clips(item.source, [segment], max_duration_s=self.preprocessing.longest_decoded_s)
        except AudioError as error:
            return error
        return heard if isinstance(heard, AudioError) else heard.samples


def load(
    base: str | Path,
    *,
    adapters: Sequence[str | Path] | None = None,
    device: str | None = None,
    batch_seconds: float = 40.0,
) -> Writer:
    """Loads a sequence model for prediction.

    Args:
        base: a run of ``emotune train`` or its model folder, or the folder of an encoder-decoder.
        adapters: files of adapters in place of the run's own.
        device: where to run; None = a GPU where there is one.
        batch_seconds: longest padded batch.

    Raises:
        ModelError: for what is no such model, or adapters that do not fit it.
    """
    stored = load_sequences(base, adapters=adapters)
    chosen = usable_device(device)
    return Writer(stored.model.to(chosen), stored.preprocessing, batch_seconds=batch_seconds)
