"""Prediction, the same for users, for development scores during training and for evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from emotune import audio
from emotune.audio.channels import EACH, Channels
from emotune.audio.preprocessing import batches_under
from emotune.conditions.known import known_of
from emotune.errors import AudioError, ConfigError
from emotune.inference.adaptation.adaptation import Adaptation
from emotune.inference.adaptation.folder import adapted_fingerprint
from emotune.inference.conditioner import Conditioner, Given
from emotune.inference.engine import Engine, EngineError, EngineOutput
from emotune.inference.items import Item, holds_several, items_given
from emotune.inference.long_clips import LongClips
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest, checked
from emotune.schema.predictions import Prediction, Predictions

if TYPE_CHECKING:
    from emotune.inference.timeline.recording import TimelineRule
    from emotune.timelines import Timeline
    from emotune.timelines.diarisation import SpeakerTurns

_POOL = 512  # items that are decoded and sorted by length at a time; see _pool_seconds
POOL_BATCHES = 5
"""Batches of a pool where clips are run together: padding and idle workers are few then."""

Answer = tuple[NDArray[np.floating], NDArray[np.floating]] | str
"""Probabilities and unit-scale dimensions of a clip, or why there are none."""


class Predictor:
    """Predicts emotions with a loaded model.

    Args:
        engine: what runs the model.
        batch_seconds: longest padded batch in audio-seconds; a batch's size never changes a result, only the speed.
        coverage: answer about this share of clips, and say 'uncertain' to those that the model is least confident of;
            the threshold is that of the development split. None = answer all.
        conditioner: finds what the model is given beside the sound; None = what the items know.
        name: by which the model is found again.
        adaptation: shifts that move the answers; None = the plain answers.
        pool_batches: batches of sound that are decoded and sorted by length at a time, for each thread of the engine;
            two pools are in memory, one that is run and the next.
        training_duration_s: see ``LongClips``.

    Raises:
        ModelError: for a coverage, when the model does not know its confidence.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        batch_seconds: float = 40.0,
        coverage: float | None = None,
        conditioner: Conditioner | None = None,
        name: str = "",
        adaptation: Adaptation | None = None,
        pool_batches: int = POOL_BATCHES,
        training_duration_s: float | None = None,
    ) -> None:
        if not batch_seconds > 0:
            raise ConfigError(f"batch_seconds must be above 0, got {batch_seconds}.")
        self.engine = engine
        self.batch_seconds = batch_seconds
        self.conditioner = conditioner or Conditioner(engine.conditions)
        self.name = name
        self.adaptation = adaptation
        self.pool_batches = pool_batches
        self.training_duration_s = training_duration_s
        self.answered_from = 0.0 if coverage is None else engine.calibration.threshold(coverage)

    @property
    def label_space(self) -> LabelSpace:
        """Classes and dimensions that are predicted."""
        return self.engine.label_space

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the model, and of what it is adapted by."""
        return adapted_fingerprint(self.engine.fingerprint, self.adaptation)

    @property
    def identity(self) -> dict[str, str]:
        """``name``, and as ``revision`` the first 12 digits of the model's fingerprint."""
        return {"name": self.name, "revision": str(self.fingerprint)[:12]}

    @overload
    def predict(  # pyright: ignore[reportOverlappingOverload] (what is in a list is not one recording)
        self, source: list[Any] | Iterator[Any], sampling_rate_hz: int | None = None, *, channel: Channels = "mix"
    ) -> Predictions: ...

    @overload
    def predict(self, source: Any, sampling_rate_hz: int | None = None, *, channel: Literal["each"]) -> Predictions: ...

    @overload
    def predict(
        self, source: Any, sampling_rate_hz: int | None = None, *, channel: audio.Channel = "mix"
    ) -> Prediction: ...

    def predict(
        self, source: Any, sampling_rate_hz: int | None = None, *, channel: Channels = "mix"
    ) -> Prediction | Predictions:
        """Predicts one recording, or many.

        Args:
            source: a path, encoded bytes, a binary file, samples of shape (samples,), (samples, channels) or (channels,
                samples) together with ``sampling_rate_hz``, ``(samples, sampling_rate_hz)``, ``{"array": ...,
                "sampling_rate": ...}``, ``{"bytes": ..., "path": ...}`` or a decoder as Hugging Face datasets give
                them; or a list, a column of such a data set, or a generator of such.
            sampling_rate_hz: of samples given as an array, alone or among many.
            channel: ``mix`` = the mean of all channels, a number = that one, the first being 0; ``each`` = a row for
                every channel, with the ids ``name#ch0`` and so on.

        Returns:
            A ``Prediction`` with all classes; for many recordings, or each channel, ``Predictions`` in their order,
            where a bad recording is a row with its ``error``.

        Raises:
            AudioError: when a single recording cannot be used.
        """
        long = LongClips(self.training_duration_s)
        found = dict(self.stream(items_given(source, sampling_rate_hz, channel), long=long))
        long.log()
        rows = tuple(found[position] for position in range(len(found)))
        if holds_several(source):
            return self.table(rows)
        if rows[0].error is not None and (channel != EACH or len(rows) == 1):
            raise AudioError(rows[0].error)
        return self.table(rows) if channel == EACH else rows[0]

    def table(self, rows: Iterable[Prediction]) -> Predictions:
        """Rows as a table that says by which model, and from which confidence, they were answered."""
        return Predictions(tuple(rows), self.label_space, self.fingerprint, uncertain_below=self.answered_from)

    def timeline(
        self,
        source: Any,
        sampling_rate_hz: int | None = None,
        *,
        channel: Channels = "mix",
        speakers: SpeakerTurns | None = None,
        rule: TimelineRule | None = None,
    ) -> Timeline:
        """Emotions of one recording of any length, from moment to moment; see ``inference.timeline.recording``."""
        from emotune.inference.timeline.recording import timeline_of  # noqa: PLC0415 (most programs make none)

        return timeline_of(self, source, sampling_rate_hz, channel=channel, speakers=speakers, rule=rule)

    def predict_manifest(self, manifest: Manifest, *, progress: Progress = silent) -> Predictions:
        """Predicts every utterance of a manifest, in its order."""
        predictions = self.predict_items(items_of(manifest), progress=progress)
        return dataclasses.replace(predictions, manifest_fingerprint=manifest.fingerprint())

    def predict_items(
        self, items: Sequence[Item], *, progress: Progress = silent, long: LongClips | None = None
    ) -> Predictions:
        """Predicts items in order; a failure becomes an error row, and the rest goes on."""
        rows: list[Prediction | None] = [None] * len(items)
        for position, row in progress(self.stream(items, long=long), total=len(items), title="predicting"):
            rows[position] = row
        return self.table(row for row in rows if row is not None)

    def stream(
        self, items: Iterable[Item], *, pool_items: int = _POOL, long: LongClips | None = None
    ) -> Iterator[tuple[int, Prediction]]:
        """Yields each item's position and prediction as they come, with only a pool of items in memory."""
        decoded, long = self._decoded(enumerate(items), pool_items), long or LongClips(None)
        with _threads(1) as ahead:  # decodes while the engine works
            coming = ahead.submit(self._next_pool, decoded, pool_items, long)
            while (pool := coming.result()).size:
                coming = ahead.submit(self._next_pool, decoded, pool_items, long)
                yield from pool.failed
                ready, failed = self._conditioned(pool.ready)
                yield from failed
                limit = self.batch_seconds * self.engine.preprocessing.sampling_rate_hz
                batches = list(batches_under(ready, samples_of=lambda clip: len(clip.waveform), limit=limit))
                batches.reverse()  # the longest first: at the end the workers become idle together
                for batch, answers in zip(batches, self._answers_to(batches), strict=True):
                    for clip, answer in zip(batch, answers, strict=True):
                        yield clip.position, self._prediction(clip, answer)
                del pool, ready, batches  # else three pools are held at a time

    @property
    def _pool_seconds(self) -> float:
        """Seconds of sound after which a pool is full."""
        return self.pool_batches * self.batch_seconds * self.engine.concurrency

    def _decoded(
        self, numbered: Iterator[tuple[int, Item]], together: int
    ) -> Iterator[tuple[int, Item, audio.Clip | AudioError]]:
        """The sound of items as it comes; of those that are near each other, a recording's segments in one pass."""
        groups: dict[str, list[tuple[int, Item]]] = {}
        waiting = 0
        for position, item in numbered:
            if item.error is not None or not isinstance(item.source, str | Path):
                yield from self._decoded_together([(position, item)])  # what is in memory already waits for nothing
                continue
            groups.setdefault(str(item.source), []).append((position, item))
            waiting += 1
            if waiting == together:
                yield from self._decoded_groups(groups)
                waiting = 0
        yield from self._decoded_groups(groups)

    def _decoded_groups(
        self, groups: dict[str, list[tuple[int, Item]]]
    ) -> Iterator[tuple[int, Item, audio.Clip | AudioError]]:
        """The sound of items that are grouped by their recording; the groups are gone then."""
        for source in list(groups):
            yield from self._decoded_together(groups.pop(source))

    def _decoded_together(
        self, group: Sequence[tuple[int, Item]]
    ) -> Iterator[tuple[int, Item, audio.Clip | AudioError]]:
        """The sound of items that share their source."""
        first = group[0][1]
        if first.error is not None:
            yield *group[0], AudioError(first.error)
            return
        for number, heard in audio.clips(
            first.source,
            [audio.Segment(item.start_s, item.end_s, item.channel) for _, item in group],
            sampling_rate_hz=self.engine.preprocessing.sampling_rate_hz,
            max_duration_s=self.engine.preprocessing.longest_decoded_s,
            with_content=any(item.content_sha256 is not None for _, item in group),
        ):
            position, item = group[number]
            yield position, item, checked(heard, item.content_sha256, item.utterance_id)

    def _next_pool(
        self, decoded: Iterator[tuple[int, Item, audio.Clip | AudioError]], most: int, long: LongClips
    ) -> _Pool:
        """The next items, prepared and sorted by length, and the rows of those that cannot be used."""
        pool, seconds = _Pool([], []), 0.0
        while pool.size < most and seconds < self._pool_seconds and (following := next(decoded, None)) is not None:
            position, item, heard = following
            try:
                clip = self._prepare(position, item, heard)
                pool.ready.append(clip)
                own_s = len(clip.waveform) / self.engine.preprocessing.sampling_rate_hz
                long.hear(item.utterance_id, own_s)
                seconds += own_s
            except AudioError as error:
                pool.failed.append((position, Prediction(item.utterance_id, error=str(error), extra=item.extra)))
        pool.ready.sort(key=lambda clip: len(clip.waveform))
        return pool

    def _conditioned(self, clips: Sequence[_Clip]) -> tuple[list[_Clip], list[tuple[int, Prediction]]]:
        """Adds the side information to clips, and drops the samples that it was predicted from.

        Gives the clips, and error rows for clips whose conditions cannot be predicted; a batch that fails is halved
        until the faulty clip is found.
        """
        if not clips or not self.conditioner.about:
            return list(clips), []
        try:
            given = self.conditioner([clip.item.known for clip in clips], [clip.sound for clip in clips])
        except Exception as error:  # recognisers and encoders raise what they like
            reason = f"its conditions cannot be predicted: {str(error) or type(error).__name__}"
        else:
            whole = [dataclasses.replace(clip, given=own, sound=None) for clip, own in zip(clips, given, strict=True)]
            return whole, []
        if len(clips) == 1:
            return [], [(clips[0].position, self._prediction(clips[0], reason))]
        middle = len(clips) // 2
        (first, first_failed), (second, second_failed) = map(self._conditioned, (clips[:middle], clips[middle:]))
        return first + second, first_failed + second_failed

    def _answers_to(self, batches: Sequence[Sequence[_Clip]]) -> Iterator[list[Answer]]:
        """Engine's output for each batch, in order."""
        if self.engine.concurrency == 1:
            yield from map(self._answers, batches)
            return
        with _threads(self.engine.concurrency) as threads:
            yield from threads.map(self._answers, batches)

    def _answers(self, clips: Sequence[_Clip]) -> list[Answer]:
        """Engine's output for a batch, which is halved after two failures until the faulty clip is found."""
        output = self._tried_twice(clips)
        if not isinstance(output, str):
            return list(zip(output.probabilities, output.dimensions, strict=True))
        if len(clips) > 1:
            middle = len(clips) // 2
            return self._answers(clips[:middle]) + self._answers(clips[middle:])
        silence = np.zeros(self.engine.preprocessing.min_samples, dtype=np.float32)
        if isinstance(self._tried_twice([dataclasses.replace(clips[0], waveform=silence)]), str):  # not the clip then
            raise EngineError(output)
        return [output]

    def _tried_twice(self, clips: Sequence[_Clip]) -> EngineOutput | str:
        """Engine's output, or the reason of its failure; the error itself would hold memory."""
        reason = ""
        conditions = [clip.given.values for clip in clips if clip.given is not None]
        for _ in range(2):
            try:
                return self.engine.run([clip.waveform for clip in clips], conditions)
            except EngineError as error:
                reason = str(error)
        return reason

    def _prepare(self, position: int, item: Item, heard: audio.Clip | AudioError) -> _Clip:
        """The clip as the model takes it, and its sound where conditions are to be predicted from it."""
        if isinstance(heard, AudioError):
            raise heard
        try:
            waveform = self.engine.preprocessing(heard.samples)
            warning = None if (found := heard.unheard) is None else str(found)
            sound = heard.samples if self.conditioner.needs_sound(item.known) else None
            return _Clip(position, item, waveform, warning, sound)
        except AudioError as error:
            raise AudioError(f"{item.utterance_id}: {error}") from error

    def _prediction(self, clip: _Clip, answer: Answer) -> Prediction:
        space, item = self.label_space, clip.item
        if isinstance(answer, str):
            error = f"{item.utterance_id}: {answer}"
            return Prediction(item.utterance_id, error=error, extra=item.extra, warning=clip.warning)
        if not all(np.isfinite(values).all() for values in answer):
            error = f"{item.utterance_id}: the model's output is not finite; the model folder holds broken weights."
            return Prediction(item.utterance_id, error=error, extra=item.extra, warning=clip.warning)
        probabilities = dict(zip(space.classes, map(float, answer[0]), strict=True))
        dimensions = {
            name: scale.from_unit(float(value))
            for (name, scale), value in zip(space.dimensions.items(), answer[1], strict=True)
        }
        uncertain = max(probabilities.values(), default=1.0) < self.answered_from
        row = Prediction(
            item.utterance_id,
            probabilities,
            dimensions,
            conditions_used=clip.given and clip.given.used,
            uncertain=uncertain,
            extra=item.extra,
            warning=clip.warning,
        )
        if self.adaptation is None:
            return row
        return self.adaptation.answer(row, item, answered_from=self.answered_from)


def items_of(manifest: Manifest) -> list[Item]:
    """Utterances of a manifest as items, in their order."""
    return [
        Item(
            u.utterance_id,
            manifest.path_of(u),
            u.start_s,
            u.end_s,
            content_sha256=u.content_sha256,
            known=known_of(u),
            channel=u.heard_channel,
            speaker=u.speaker,
            corpus=u.corpus,
        )
        for u in manifest
    ]


@contextmanager
def _threads(count: int) -> Generator[ThreadPoolExecutor]:
    """Threads that nobody waits for when the block is left early, as by Ctrl-C."""
    threads = ThreadPoolExecutor(count)
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Clip:
    position: int
    item: Item
    waveform: audio.FloatArray
    warning: str | None
    sound: audio.FloatArray | None = None
    given: Given | None = None


@dataclass(frozen=True)
class _Pool:
    """Clips that are ready, and rows of items that cannot be used, with their positions."""

    ready: list[_Clip]
    failed: list[tuple[int, Prediction]]

    @property
    def size(self) -> int:
        return len(self.ready) + len(self.failed)
