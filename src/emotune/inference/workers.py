"""Runs a model in several single-thread processes: on a CPU that beats one process with as many threads."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from emotune.audio import FloatArray
from emotune.errors import ConfigError, ModelError
from emotune.inference.engine import EngineOutput


class WorkerEngine:
    """An ``Engine`` over worker processes, each with the model in memory and one thread.

    Args:
        folder: the model folder.
        workers: how many processes; at most one a core is of use.

    Raises:
        ModelError: when a worker cannot load the model, with its reason, or ends unexpectedly.
    """

    def __init__(self, folder: str | Path, *, workers: int) -> None:
        if workers < 1:
            raise ConfigError(f"workers must be at least 1, got {workers}.")
        self.concurrency = workers
        self._workers = [_Worker(str(folder)) for _ in range(workers)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        try:
            for worker in self._workers:
                self.label_space, self.preprocessing, self.fingerprint = worker.answer()
                self._idle.put(worker)
        except BaseException:
            self.close()
            raise

    def run(self, waveforms: Sequence[FloatArray]) -> EngineOutput:
        """As ``TorchEngine.run``; may be called from as many threads as there are workers."""
        worker = self._idle.get()
        try:
            worker.ask(list(waveforms))
            return worker.answer()
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> WorkerEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        for worker in getattr(self, "_workers", []):
            worker.close()


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Worker:
    """One process: pickled requests on its standard input, pickled answers on its standard output."""

    def __init__(self, folder: str) -> None:
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "emotune.inference.worker", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | one_thread,
        )

    def ask(self, waveforms: list[FloatArray]) -> None:
        assert self.process.stdin is not None
        try:
            pickle.dump(waveforms, self.process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says why

    def answer(self) -> Any:
        assert self.process.stdout is not None
        try:
            found = pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError) as error:
            code = self.process.wait()
            raise ModelError(
                f"A worker process ended with code {code} before its work was done; out of memory, perhaps: try fewer"
                " workers or batch seconds."
            ) from error
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
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
