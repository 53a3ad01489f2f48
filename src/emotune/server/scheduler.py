"""Scheduler: one engine that the clips of many clients share, by turns and in common batches."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ModelError
from emotune.inference.engine import Engine, EngineError, EngineOutput
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace
from emotune.server.cancellation import Cancellation, Cancelled

Conditions = Sequence[Mapping[str, FloatArray]]
_ALIKE = 0.7
"""Clips share a batch where the shortest has at least this share of the longest one's samples: the rest is padding."""
_CLIENTS = 1000  # whose use is remembered


class Priority(IntEnum):
    """Order of work: sound that is being spoken before recordings."""

    STREAM = 0
    RECORDING = 1


@dataclass(frozen=True)
class Asker:
    """Request, stream or job that asks a model.

    Args:
        client: whose it is; clients take turns.
        priority: of its clips.
        cancellation: ends its waiting.
    """

    client: str
    priority: Priority = Priority.RECORDING
    cancellation: Cancellation = field(default_factory=Cancellation)


@dataclass(eq=False)
class _Call:
    """Clips of one batch of one asker, until all are answered."""

    asker: Asker
    number: int
    waveforms: Sequence[FloatArray]
    conditions: Conditions
    following: int = 0  # the first clip that no thread has taken
    outputs: dict[int, EngineOutput] = field(default_factory=dict[int, EngineOutput])
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def end(self, error: BaseException) -> None:
        """Ends it without answers."""
        self.error = self.error or error
        self.done.set()

    def answer(self, position: int, output: EngineOutput) -> None:
        """Takes the answer to one clip."""
        self.outputs[position] = output
        if len(self.outputs) == len(self.waveforms):
            self.done.set()


@dataclass(frozen=True)
class _Clip:
    call: _Call
    position: int

    @property
    def samples(self) -> int:
        return len(self.call.waveforms[self.position])


class Scheduler:
    """Runs the clips of many askers on one engine, with one copy of the weights.

    Streams go first. Among equals the client comes next whose clips have taken the least seconds of sound so far, so
    that one with many clips cannot hold up another; among its calls, the oldest. Threads sleep while there is nothing
    to do.

    Args:
        engine: that runs clips.
        threads: that call it at a time.
        batch_seconds: longest padded batch in audio-seconds; None = clip by clip, where the engine gains nothing from
            batches. Answers are the same.
        wait_s: longest that a clip waits for others of a batch while less than that is there.
        observe: told of each run: clips, audio-seconds, and seconds that it took.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        threads: int,
        batch_seconds: float | None = None,
        wait_s: float = 0.0,
        observe: Callable[[int, float, float], None] = lambda clips, audio_s, took_s: None,
    ) -> None:
        self.engine = engine
        self._rate = engine.preprocessing.sampling_rate_hz
        self._most = 0 if batch_seconds is None else round(batch_seconds * self._rate)
        self._wait_s = wait_s
        self._observe = observe
        self._lock = threading.Lock()
        self._some = threading.Condition(self._lock)
        self._calls: list[_Call] = []  # that have clips which no thread has taken
        self._numbers = itertools.count()
        self._used: dict[str, float] = {}  # audio-seconds by client, on a common clock that begins with each visit
        self._clock = 0.0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"model {number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def engine_for(self, asker: Asker) -> Engine:
        """The engine as one asker sees it."""
        return _SharedEngine(self, asker)

    @property
    def waiting(self) -> int:
        """Clips that no thread has taken."""
        with self._lock:
            return sum(len(call.waveforms) - call.following for call in self._calls)

    def run(self, asker: Asker, waveforms: Sequence[FloatArray], conditions: Conditions) -> EngineOutput:
        """Answers to prepared clips, once it is their turn.

        Raises:
            Cancelled: when nobody waits for them any more.
            EngineError: when memory does not suffice for one of them.
            ModelError: when the scheduler was closed.
        """
        call = _Call(asker, next(self._numbers), waveforms, conditions)
        with self._lock:
            if self._closed:
                raise ModelError("The server is about to end.")
            self._calls.append(call)
            self._used[asker.client] = max(self._used.get(asker.client, 0.0), self._clock)
            if len(self._used) > _CLIENTS:  # who asks again later begins with the clock
                here = {call.asker.client for call in self._calls}
                self._used = {name: used for name, used in self._used.items() if name in here or used > self._clock}
            self._some.notify(len(waveforms))
        with asker.cancellation.calling(lambda: self._drop(call, Cancelled())):
            call.done.wait()
        if call.error is not None:
            raise call.error
        found = [call.outputs[position] for position in range(len(waveforms))]
        return EngineOutput(
            np.concatenate([output.probabilities for output in found]),
            np.concatenate([output.dimensions for output in found]),
            np.concatenate([output.embeddings for output in found]),
        )

    def close(self) -> None:
        """Ends the threads once they have done what they are doing; what waits gets an error."""
        with self._lock:
            self._closed = True
            calls, self._calls = self._calls, []
            self._some.notify_all()
        for call in calls:
            call.end(ModelError("The server is about to end."))
        for thread in self._threads:
            thread.join(timeout=5)

    def _drop(self, call: _Call, error: BaseException) -> None:
        with self._lock:
            if call in self._calls:
                self._calls.remove(call)
        call.end(error)

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._run(batch)

    def _next_batch(self) -> list[_Clip] | None:
        """Clips that are run next, as soon as there are any; None where it is closed."""
        with self._lock:
            while not self._calls and not self._closed:
                self._some.wait()
            if self._most and self._wait_s:
                self._wait_for_more()
            while not self._calls and not self._closed:  # another thread was faster
                self._some.wait()
            return None if self._closed else self._taken()

    def _wait_for_more(self) -> None:
        """Waits a little for clips that share the batch; not where a stream waits."""
        until = time.monotonic() + self._wait_s
        while self._calls and not self._closed:
            waiting = sum(map(len, (clip for call in self._calls for clip in call.waveforms[call.following :])))
            left = until - time.monotonic()
            is_urgent = any(call.asker.priority is Priority.STREAM for call in self._calls)
            if left <= 0 or waiting >= self._most or is_urgent:
                return
            self._some.wait(left)

    def _taken(self) -> list[_Clip]:
        """Takes the next clip, and those that share its batch."""
        batch = [self._take(min(self._calls, key=self._turn))]
        if not self._most:
            return batch
        shortest = longest = batch[0].samples
        for call in sorted(self._calls, key=self._turn):
            while call.following < len(call.waveforms):
                samples = len(call.waveforms[call.following])
                low, high = min(shortest, samples), max(longest, samples)
                if low < _ALIKE * high or high * (len(batch) + 1) > self._most:
                    break
                shortest, longest = low, high
                batch.append(self._take(call))
        return batch

    def _turn(self, call: _Call) -> tuple[int, float, int]:
        return call.asker.priority, self._used[call.asker.client], call.number

    def _take(self, call: _Call) -> _Clip:
        clip = _Clip(call, call.following)
        call.following += 1
        client = call.asker.client
        self._clock = max(self._clock, self._used[client])
        self._used[client] += clip.samples / self._rate
        if call.following == len(call.waveforms):
            self._calls.remove(call)
            if not self._calls:  # everyone begins anew
                self._used.clear()
                self._clock = 0.0
        return clip

    def _run(self, batch: Sequence[_Clip]) -> None:
        """Runs a batch; one that cannot be run is run clip by clip, so that nobody fails for another's clip."""
        began = time.monotonic()
        waveforms = [clip.call.waveforms[clip.position] for clip in batch]
        conditions = [clip.call.conditions[clip.position] for clip in batch if clip.call.conditions]
        try:
            output = self.engine.run(waveforms, conditions)
        except EngineError as error:
            if len(batch) == 1:
                self._drop(batch[0].call, EngineError(str(error)))
            for clip in batch if len(batch) > 1 else ():
                self._run([clip])
            return
        except BaseException as error:  # a thread that ended would leave its clips unanswered
            for clip in batch:
                self._drop(clip.call, error)
            return
        self._observe(len(batch), sum(map(len, waveforms)) / self._rate, time.monotonic() - began)
        for row, clip in enumerate(batch):
            clip.call.answer(clip.position, _row(output, row))


def _row(output: EngineOutput, row: int) -> EngineOutput:
    embeddings = output.embeddings[row : row + 1] if len(output.embeddings) else output.embeddings
    return EngineOutput(output.probabilities[row : row + 1], output.dimensions[row : row + 1], embeddings)


class _SharedEngine:
    """An ``Engine`` over a scheduler's, for one asker."""

    concurrency = 1

    def __init__(self, scheduler: Scheduler, asker: Asker) -> None:
        self._scheduler, self._asker = scheduler, asker
        engine = scheduler.engine
        self.label_space: LabelSpace = engine.label_space
        self.preprocessing: Preprocessing = engine.preprocessing
        self.calibration: Calibration = engine.calibration
        self.fingerprint: str | None = engine.fingerprint
        self.conditions: Mapping[str, Mapping[str, Any]] = engine.conditions

    def run(self, waveforms: Sequence[FloatArray], conditions: Conditions = ()) -> EngineOutput:
        """Runs prepared clips among those of others."""
        return self._scheduler.run(self._asker, waveforms, conditions)

    def answers_to(self, embeddings: NDArray[np.floating], conditions: Conditions = ()) -> EngineOutput:
        """Runs what comes behind the pooling, at once: it costs next to nothing."""
        return self._scheduler.engine.answers_to(embeddings, conditions)
