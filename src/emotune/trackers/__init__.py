"""Trackers: listeners that keep a run's figures in the store of another program; see ``Tracker``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.trackers.tracker import Tracker

PROJECT = "emotune"
"""Experiment or project under which all runs are kept."""

TRACKERS: Registry[type[Tracker]] = Registry(
    "tracker",
    {
        "mlflow": "emotune.trackers.mlflow:MLflowTracker",
        "trackio": "emotune.trackers.trackio:TrackioTracker",
        "wandb": "emotune.trackers.wandb:WandbTracker",
    },
    extra={name: name for name in ("mlflow", "trackio", "wandb")},
)
