"""Log of a training run: metrics.jsonl and TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch.utils.tensorboard import SummaryWriter

from emotune.io.tables import to_json, write_text
from emotune.runtime.listener import Listener, Listeners, Row
from emotune.schema.run_folder import RunFolder
from emotune.training.loop import processes


class RunLog(Listener):
    """Writes one row an epoch to ``metrics.jsonl`` and every figure to TensorBoard."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.writer: SummaryWriter | None = None

    def step(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        if self.writer is None:  # what an interrupted run wrote after its last checkpoint is written anew
            self.writer = SummaryWriter(str(self.run.path / "tensorboard"), purge_step=done)
        for name, value in figures.items():
            self.writer.add_scalar(name, value, done)

    def continues(self, rows: Sequence[Row]) -> None:
        write_text(self.run.metrics, "".join(to_json(row, indent=None) + "\n" for row in rows))

    def epoch(self, rows: Sequence[Row]) -> None:
        self.continues(rows)
        for name, value in rows[-1].items():
            if self.writer is not None and name.startswith("development_"):
                self.writer.add_scalar(name.replace("_", "/", 1), value, rows[-1]["step"])

    def close(self) -> None:
        """Closes TensorBoard's file."""
        if self.writer is not None:
            self.writer.close()


class OtherProcess(Listener):
    """Passes on what a process that is not the first says of itself."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def say(self, message: str) -> None:
        self.listener.say(f"process {processes.number()}: {message}")


@contextmanager
def logged(
    run: RunFolder, listener: Listener, trackers: AbstractContextManager[Sequence[Listener]] | None = None
) -> Iterator[Listener]:
    """Log of a run, trackers and the caller's listener; in other processes than the first the last of these alone.

    Args:
        run: whose folder holds the log.
        listener: of the caller.
        trackers: begin with the log and end before it does; None = there are none.
    """
    if not processes.is_first():
        yield OtherProcess(listener)
        return
    log = RunLog(run)
    try:
        with trackers or nullcontext(()) as begun:
            yield Listeners(log, *begun, listener)
    finally:
        log.close()
