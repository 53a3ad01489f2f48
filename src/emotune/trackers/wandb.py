"""Weights & Biases without a network: figures in a file of the run folder, for ``wandb sync``."""

from __future__ import annotations

from collections.abc import Mapping

import wandb  # pyright: ignore[reportMissingImports]

from emotune.trackers import PROJECT
from emotune.trackers.tracker import TrackedRun, Tracker


class WandbTracker(Tracker):
    """Writes ``wandb/offline-run-*/run-*.wandb`` of the run folder; nothing is sent until ``wandb sync`` sends it.

    Nothing of the machine, the code or the repository is kept in it.
    """

    def __init__(self, run: TrackedRun) -> None:
        quiet = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
        )
        self.run = wandb.init(
            project=PROJECT,
            name=run.name,
            id=run.key,
            dir=str(run.folder),
            config=dict(run.settings),
            mode="offline",
            reinit="create_new",
            settings=quiet,
        )

    @property
    def key(self) -> str:
        """Id of the run; a part after an interruption has it too, for ``wandb sync --append``."""
        return self.run.id

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Keeps figures."""
        self.run.log(dict(figures), step=step)

    def close(self, *, finished: bool) -> None:
        """Closes the file."""
        self.run.finish(exit_code=0 if finished else 1)
