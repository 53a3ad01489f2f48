"""The run folder: one place for all that a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.calibration import Calibration
from emotune.errors import TableError
from emotune.tables import read_json, read_rows


@dataclass(frozen=True)
class RunFolder:
    """Where things lie in a run folder; it need not exist yet."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def provenance(self) -> Path:
        """Versions, git state, fingerprints, seed, times; written at the start and again at the end."""
        return self.path / "provenance.json"

    @property
    def manifest(self) -> Path:
        """The utterances as the run saw them, with their splits."""
        return self.path / "manifest.csv"

    @property
    def metrics(self) -> Path:
        """One line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Of an unfinished run; removed when it has ended."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"

    def results(self, split: str) -> Path:
        """Predictions and report of one split."""
        return self.path / split

    def predictions(self, split: str) -> Path:
        """The prediction table of one split."""
        return self.results(split) / "predictions.csv"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.provenance.exists() and bool(read_json(self.provenance, "Provenance").get("finished"))

    def history(self) -> list[dict[str, Any]]:
        """The rows of ``metrics.jsonl``, none where there is no such file."""
        return read_rows(self.metrics) if self.metrics.exists() else []

    def calibration(self) -> Calibration | None:
        """What the run's model knows of its confidence; None where there is no model."""
        config = self.model / "config.json"
        if not config.exists():
            return None
        return Calibration.from_json(read_json(config, "The model's config").get("calibration"))

    def training_prior(self) -> dict[str, float] | None:
        """Class -> share that the run's model was taught; None where there is no model, or it does not say."""
        config = self.model / "config.json"
        found = read_json(config, "The model's config").get("training_prior") if config.exists() else None
        if found is None:
            return None
        if not isinstance(found, dict) or not all(isinstance(x, int | float) and 0 <= x <= 1 for x in found.values()):
            raise TableError(f"{config}: training_prior must hold the share of each class, in [0, 1]. Train again.")
        return {str(name): float(share) for name, share in found.items()}

    def information(self) -> dict[str, Any]:
        """What the provenance says, for reports.

        Raises:
            TableError: when this is no run folder.
        """
        if not self.path.exists():
            raise TableError(f"{self.path} does not exist. Give a run folder.")
        if not self.provenance.exists():
            raise TableError(f"{self.path} is not a run folder: it has no {self.provenance.name}.")
        return read_json(self.provenance, "Provenance")
