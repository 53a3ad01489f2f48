"""Runs a model in several single-thread processes: on a CPU that beats one process with as many threads."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.audio import FloatArray
from emotune.choices import Precision
from emotune.errors import ConfigError, EmotuneError, ModelError
from emotune.inference.engine import ANSWERS_TO, RUN, Description, EngineError, EngineOutput
from emotune.runtime.memory_allocator import FEW_KERNELS


class WorkerEngine:
    """An ``Engine`` over worker processes, each with the model in memory and one thread.

    Args:
        folder: the model folder; a worker that is replaced later finds it from any working folder.
        workers: how many processes; at most one a core is of use.
        precision: see ``emotune.load``.

    Raises:
        ModelError: when a worker cannot load the model, with its reason, or ends unexpectedly.
    """

    fingerprint: str | None
    conditions: Mapping[str, Mapping[str, Any]]

    def __init__(self, folder: str | Path, *, workers: int, precision: Precision = "fp32") -> None:
        if workers < 1:
            raise ConfigError(f"workers must be at least 1, got {workers}.")
        self.concurrency = workers
        self._arguments = (str(Path(folder).absolute()), precision)
        self._closed = False
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = {_Worker(*self._arguments) for _ in range(workers)}
        try:
            for worker in self._workers:
                about = worker.description()
                self.label_space, self.preprocessing, self.calibration = (
                    about.label_space,
                    about.preprocessing,
                    about.calibration,
                )
                self.fingerprint, self.conditions = about.fingerprint, about.conditions
                self._idle.put(worker)
        except BaseException:
            self.close()
            raise

    def run(self, waveforms: Sequence[FloatArray], conditions: Sequence[Mapping[str, FloatArray]] = ()) -> EngineOutput:
        """Runs a batch as ``TorchEngine.run`` does, from as many threads as there are workers.

        Raises:
            ModelError: when the workers are closed.
        """
        return self._ask(RUN, list(waveforms), conditions)

    def answers_to(
        self, embeddings: NDArray[np.floating], conditions: Sequence[Mapping[str, FloatArray]] = ()
    ) -> EngineOutput:
        """Runs what comes behind the pooling, as ``TorchEngine.answers_to`` does.

        Raises:
            ModelError: when the workers are closed.
        """
        return self._ask(ANSWERS_TO, np.asarray(embeddings), conditions)

    def _ask(self, method: str, inputs: Any, conditions: Sequence[Mapping[str, FloatArray]]) -> EngineOutput:
        if self._closed:
            raise ModelError(f"The workers of {self._arguments[0]} were closed; load the model again.")
        worker = self._idle.get()
        try:
            answer = worker.answer_to((method, inputs, list(conditions)))
        except BaseException:  # it ended, or an interrupt left its answer to be read by whoever asks next
            self._replace(worker)
            raise
        self._idle.put(worker)
        if isinstance(answer, EmotuneError):
            raise answer
        return answer

    def _replace(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        worker.kill()
        if not self._closed:
            worker = _Worker(*self._arguments)
            self._workers.add(worker)
            self._idle.put(worker)

    def close(self) -> None:
        """Ends the processes."""
        self._closed = True
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> WorkerEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        for worker in getattr(self, "_workers", ()):
            worker.close()


class _Worker:
    """One process: pickled requests on its standard input, pickled answers on its standard output."""

    def __init__(self, folder: str, precision: Precision) -> None:
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._description: Description | None = None
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "emotune.inference.jobs.worker",
                folder,
                precision,
            ],  # -P: no modules of the working folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=FEW_KERNELS | os.environ | one_thread,
        )

    def description(self) -> Description:
        """Description of the model, once it is loaded."""
        if self._description is not None:
            return self._description
        answer = self._answer()
        if isinstance(answer, EmotuneError):
            raise answer
        self._description = answer
        return answer

    def answer_to(self, request: tuple[str, Any, list[Mapping[str, FloatArray]]]) -> EngineOutput | EmotuneError:
        """Output for a batch, or the error."""
        self.description()
        assert self.process.stdin is not None
        try:
            pickle.dump(request, self.process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            self.process.stdin.flush()
        except (OSError, ValueError):
            pass  # the process has ended: the answer says how
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        try:
            return pickle.load(self.process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            code = self.process.wait()
            cure = " The system may have run out of memory: try fewer workers or batch seconds." if code == -9 else ""
            raise EngineError(f"A worker process ended with code {code} before its work was done.{cure}") from error

    def kill(self) -> None:
        """Ends the process whatever it is doing."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """Ends the process once it has done what it is doing, at the latest after five seconds."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            try:
                self.process.stdin.close()  # the end of its input ends the process
            except OSError:
                self.process.kill()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
