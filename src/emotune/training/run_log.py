"""What a fine-tuning run tells while it goes on: metrics.jsonl, TensorBoard, and a listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from emotune.io.tables import to_json, write_text
from emotune.schema.run_folder import RunFolder
from emotune.training.loop import processes
from emotune.training.run import Listener


class RunLog:
    """Writes one row an epoch to ``metrics.jsonl`` and every figure to TensorBoard, and tells the listener."""

    def __init__(self, run: RunFolder, listener: Listener) -> None:
        self.run = run
        self.listener = listener
        self.writer: SummaryWriter | None = None

    def step(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        if self.writer is None:  # what an interrupted run wrote after its last checkpoint is written anew
            self.writer = SummaryWriter(str(self.run.path / "tensorboard"), purge_step=done)
        for name, value in figures.items():
            self.writer.add_scalar(name, value, done)
        self.listener.step(done, total)

    def history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The rows of all epochs so far."""
        write_text(self.run.metrics, "".join(to_json(row, indent=None) + "\n" for row in rows))

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The rows of all epochs so far, the last of them new."""
        self.history(rows)
        for name, value in rows[-1].items():
            if self.writer is not None and name.startswith("development_"):
                self.writer.add_scalar(name.replace("_", "/", 1), value, rows[-1]["step"])
        self.listener.epoch(rows[-1])

    def say(self, message: str) -> None:
        self.listener.say(message)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class OtherProcess:
    """What a process that is not the first tells: only what happens to itself."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def step(self, done: int, total: int, figures: Mapping[str, float]) -> None: ...

    def history(self, rows: Sequence[Mapping[str, Any]]) -> None: ...

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> None: ...

    def say(self, message: str) -> None:
        self.listener.say(f"process {processes.number()}: {message}")

    def close(self) -> None: ...
