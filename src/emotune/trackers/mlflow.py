"""MLflow: figures in its local database, or on the server that its own settings name."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
from mlflow.entities import Metric, Param  # pyright: ignore[reportMissingImports]

from emotune.trackers import PROJECT
from emotune.trackers.tracker import TrackedRun, Tracker

_AT_ONCE = 500  # figures that are written together: each write to a database costs milliseconds
_LONGEST = 6000  # of a setting's text


class MLflowTracker(Tracker):
    """Writes to MLflow's tracking store: ``MLFLOW_TRACKING_URI``, or ``mlflow.db`` in the current folder."""

    def __init__(self, run: TrackedRun) -> None:
        self.client = MlflowClient()
        self.waiting: list[Metric] = []
        if run.key is not None:
            self.run_id = run.key
            self.client.update_run(self.run_id, status="RUNNING")
            return
        found = self.client.get_experiment_by_name(PROJECT)
        experiment = self.client.create_experiment(PROJECT) if found is None else found.experiment_id
        self.run_id = self.client.create_run(experiment, run_name=run.name).info.run_id
        params = [Param(name, str(value)[:_LONGEST]) for name, value in run.settings.items()]
        for start in range(0, len(params), 100):
            self.client.log_batch(self.run_id, params=params[start : start + 100])

    @property
    def key(self) -> str:
        """Id of the run."""
        return self.run_id

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Keeps figures, and writes them where enough have come."""
        now = int(time.time() * 1000)
        self.waiting += [Metric(name, value, now, step) for name, value in figures.items()]
        if len(self.waiting) >= _AT_ONCE or "epoch" in figures:
            self._write()

    def close(self, *, finished: bool) -> None:
        """Writes what waits and sets the status."""
        self._write()
        self.client.set_terminated(self.run_id, status="FINISHED" if finished else "KILLED")

    def _write(self) -> None:
        if self.waiting:
            self.client.log_batch(self.run_id, metrics=self.waiting)
            self.waiting = []
