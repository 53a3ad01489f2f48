"""A worker process of ``WorkerEngine``: ``python -m emotune.inference.jobs.worker FOLDER PRECISION``."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path
from typing import BinaryIO, cast

from emotune.choices import Precision
from emotune.errors import EmotuneError, ModelError
from emotune.inference.engine import ANSWERS_TO, Description
from emotune.inference.engines import engine_of
from emotune.runtime.memory_allocator import keep_freed_memory


def main() -> None:
    """Loads the model, sends its description, then answers each batch of waveforms until the input ends."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not mix with the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes our input
    keep_freed_memory()
    folder, precision = sys.argv[1:]
    try:
        engine = engine_of(
            Path(folder), device="cpu", threads=1, precision=cast(Precision, precision), shared=True
        )  # imports torch, after the allocator is set
    except Exception as error:
        send(_clean(error), answers)
        return
    send(Description.of(engine), answers)
    while True:
        try:
            method, inputs, conditions = pickle.load(requests)
        except (EOFError, pickle.UnpicklingError):  # the parent has closed our input, or was killed while it wrote
            return
        try:
            answer = (engine.answers_to if method == ANSWERS_TO else engine.run)(inputs, conditions)
        except Exception as error:
            answer = _clean(error)
        try:
            send(answer, answers)
        except BrokenPipeError:  # the parent is gone
            os._exit(1)


def _clean(error: Exception) -> EmotuneError:
    """An error that the parent can show: others might not even be pickled."""
    return error if isinstance(error, EmotuneError) else ModelError(f"A worker failed: {type(error).__name__}: {error}")


def send(answer: object, answers: BinaryIO) -> None:
    """Writes a pickled answer and flushes it."""
    pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


if __name__ == "__main__":
    main()
