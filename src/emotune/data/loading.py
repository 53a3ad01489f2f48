"""Batches of training examples, prepared by processes of our own while the model works on those before.

Each process gets every n-th batch and answers over a pipe, so the order is that of one process. They leave Ctrl-C to
the process that started them, and end when it closes the pipes or dies.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from types import TracebackType

import torch

from emotune.batch import Batch
from emotune.data.dataset import EmotionDataset, Example, collate
from emotune.errors import EmotuneError, ModelError
from emotune.runtime import interruption

Keys = list[tuple[int, int]]
_AHEAD = 2  # batches that each process is asked for before the first of them is fetched
_PATIENCE_S = 1.0  # for what a process is doing when it is to end


class Loading:
    """Gives batches, in the order in which they are asked for; a context, at whose end its processes end.

    Args:
        dataset: examples by (epoch, index).
        workers: processes that prepare them; 0 = this one does.
    """

    def __init__(self, dataset: EmotionDataset, *, workers: int) -> None:
        self.dataset = dataset
        self.count = workers
        self._workers: list[_LoadingWorker] = []

    def batches(self, keys: Sequence[Keys]) -> Iterator[Batch]:
        """One batch for each list of keys.

        Raises:
            EmotuneError: as the dataset does, for a recording that cannot be used.
            ModelError: when the system ends a process.
        """
        if not self.count:
            yield from (collate([self.dataset[key] for key in own]) for own in keys)
            return
        if not self._workers:
            self._start()
        asked = 0
        for number in range(len(keys)):
            while asked < min(len(keys), number + _AHEAD * self.count):
                self._workers[asked % self.count].ask(keys[asked])
                asked += 1
            yield collate(self._workers[number % self.count].answer())

    def _start(self) -> None:
        with interruption.put_off(), interruption.held_back():
            for _ in range(self.count):
                self._workers.append(_LoadingWorker(self.dataset, [worker.connection for worker in self._workers]))

    def __enter__(self) -> Loading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.connection.close()
        until = time.monotonic() + _PATIENCE_S
        for worker in self._workers:
            worker.end(until)
        self._workers.clear()


class _LoadingWorker:
    """A process and our end of its pipe."""

    def __init__(self, dataset: EmotionDataset, others: Sequence[Connection]) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        ours = [*others, self.connection]  # a fork holds them open, and none would see its pipe closed
        self.process = multiprocessing.Process(target=_prepare, args=(dataset, theirs, ours), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, keys: Keys) -> None:
        try:
            self.connection.send(keys)
        except OSError as error:
            raise self._ended() from error

    def answer(self) -> list[Example]:
        try:
            found = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(found, Exception):
            raise found
        return found

    def _ended(self) -> ModelError:
        self.process.join(_PATIENCE_S)
        return ModelError(
            f"A process that prepares clips has ended (code {self.process.exitcode}). The system may have run out of"
            " memory: try fewer train.workers. The same command continues."
        )

    def end(self, until: float) -> None:
        self.process.join(max(0.0, until - time.monotonic()))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _prepare(dataset: EmotionDataset, connection: Connection, others: Sequence[Connection]) -> None:
    """Answers each list of keys with their examples, until the pipe is closed."""
    interruption.ignore()
    for other in others:
        other.close()
    torch.set_num_threads(1)
    while True:
        try:
            keys = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: list[Example] | Exception = [dataset[key] for key in keys]
        except EmotuneError as error:
            answer = error
        except Exception:  # others might not even be pickled
            answer = RuntimeError(traceback.format_exc())
        try:
            connection.send(answer)
        except OSError:
            return
