"""A worker process of ``WorkerEngine``: ``python -m emotune.inference.worker FOLDER``."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import BinaryIO

from emotune.allocator import keep_freed_memory
from emotune.errors import EmotuneError


def main() -> None:
    """Load the model, answer what it is, then answer each batch of waveforms until the input ends."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not mix with the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes our input
    keep_freed_memory()
    try:
        import torch  # noqa: PLC0415 (after the allocator is set)

        from emotune.inference.torch_engine import TorchEngine  # noqa: PLC0415

        torch.set_num_threads(1)
        engine = TorchEngine.load(sys.argv[1], device="cpu")
    except (EmotuneError, ImportError) as error:
        send(error, answers)
        return
    send((engine.label_space, engine.preprocessing, engine.fingerprint), answers)
    while True:
        try:
            waveforms = pickle.load(requests)
        except EOFError:
            return
        try:
            send(engine.run(waveforms), answers)
        except EmotuneError as error:
            send(error, answers)


def send(answer: object, answers: BinaryIO) -> None:
    pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
    answers.flush()


if __name__ == "__main__":
    main()
