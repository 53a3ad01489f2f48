"""Trackio: figures in its local database, shown by ``trackio show``, or where its own settings send them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping

import trackio  # pyright: ignore[reportMissingImports]
from trackio import context_vars  # pyright: ignore[reportMissingImports]

from emotune.trackers import PROJECT
from emotune.trackers.tracker import TrackedRun, Tracker


class TrackioTracker(Tracker):
    """Writes to trackio's folder: ``TRACKIO_DIR``, or its own in the home folder.

    Nothing leaves this machine but where ``TRACKIO_SPACE_ID`` or ``TRACKIO_SERVER_URL`` is set, which trackio obeys.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.name = run.key or run.name
        with contextlib.redirect_stdout(io.StringIO()):
            self.run = trackio.init(
                project=PROJECT,
                name=self.name,
                config=dict(run.settings),
                resume="never" if run.key is None else "allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    @property
    def key(self) -> str:
        """Name of the run."""
        return self.run.name

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Keeps figures; trackio writes them in the background."""
        self.run.log(dict(figures), step=step)

    def close(self, *, finished: bool) -> None:
        """Waits for what is not written yet; trackio's current run would be ended again at exit, and not quietly."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.run.finish()
        if context_vars.current_run.get() is self.run:
            context_vars.current_run.set(None)
