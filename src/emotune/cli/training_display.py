"""Progress of training in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emotune.cli.console import err, progress_bar
from emotune.runtime.listener import Listener, Row

_SHOWN = ("development_loss", "development_uar", "development_macro_f1", "development_ccc", "development_score")


class TrainingDisplay(Listener):
    """A bar over all steps and one line an epoch, on standard error."""

    def __init__(self) -> None:
        self.bar = progress_bar(disable=not err.is_terminal, transient=True)
        self.task = self.scoring_task = None

    def __enter__(self) -> TrainingDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def step(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task("training", total=total)
        self.bar.update(self.task, completed=done)
        if done == total:
            self.bar.stop()

    def scoring(self, done: int, total: int) -> None:
        if self.scoring_task is None:
            self.bar.start()
            self.scoring_task = self.bar.add_task("scoring", total=total)
        self.bar.update(self.scoring_task, completed=done)
        if done == total:
            self.bar.remove_task(self.scoring_task)
            self.scoring_task = None
            if self.bar.finished:
                self.bar.stop()

    def epoch(self, rows: Sequence[Row]) -> None:
        row = rows[-1]
        names = [name for name in _SHOWN if name in row] or [name for name in row if name.startswith("development_")]
        figures = [f"{name.removeprefix('development_')} {row[name]:.3f}" for name in names]
        err.print(
            f"epoch {row['epoch']}: train loss {row['train_loss']:.3f}; development {', '.join(figures)};"
            f" {row['seconds']:.0f} s",
            markup=False,
        )

    def say(self, message: str) -> None:
        err.print(message, markup=False)
