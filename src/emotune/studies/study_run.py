"""One step of a study with one seed: its folder, whether it is finished, and its development scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotune.config.recipe import Recipe
from emotune.evaluation import scores
from emotune.protocols.run import POOLED, Kind
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import DEVELOPMENT


@dataclass(frozen=True, eq=False)
class StudyRun:
    """One step with one seed, in ``folder``; ``results`` are the names that its scored or predicted parts lie under."""

    step: str
    seed: int
    folder: Path
    recipe: Recipe
    kind: Kind
    results: tuple[str, ...]

    @property
    def title(self) -> str:
        """The run's name for people."""
        return f"{self.step}, seed {self.seed}"

    @property
    def fault(self) -> Path:
        """The file that says why the run failed the last time; it is missing where the run did not fail."""
        return self.folder.with_name(f"{self.folder.name}.error.txt")

    @property
    def error(self) -> str | None:
        """The reason of a failure, None without one; of a fault that nobody foresaw the last line of the traceback."""
        if not self.fault.exists():
            return None
        said = self.fault.read_text(encoding="utf-8").strip()
        return said.splitlines()[-1] if said.startswith("Traceback") else said

    @property
    def finished(self) -> bool:
        """Tells if it is trained, and everything that is to be scored has been."""
        run = RunFolder(self.folder)
        return run.finished and all(is_scored(run, name) for name in self.results)

    @property
    def has_folds(self) -> bool:
        """Tells if several folds each trained a model, whose tests are pooled."""
        return self.recipe.protocol is not None and self.results == (POOLED,)

    def development_score(self, metric: str) -> float:
        """On the development split, a mean over folds where there are several; NaN where it cannot be had."""
        return float(np.mean(list(self.development_scores(metric).values())))

    def development_scores(self, metric: str) -> dict[str, float]:
        """The development score of each fold, by its folder's name; of the run itself where there are no folds.

        Pre-training, which has no labels, has none (NaN).
        """
        run = RunFolder(self.folder)
        if self.recipe.pretrains:
            return {run.path.name: float("nan")}
        folds = [path.parent for path in sorted(run.path.glob("*/provenance.json"))]
        inner = [run] if self.recipe.protocol is None else [RunFolder(path) for path in folds]
        return {one.path.name: development_score(one, metric) for one in inner}


def development_score(run: RunFolder, metric: str) -> float:
    """A finished run's score on development; NaN where it is undefined."""
    split = Manifest.read(run.manifest).split(DEVELOPMENT)
    return scores(split, Predictions.read(run.predictions(DEVELOPMENT))).get(metric, float("nan"))


def tested_manifest(run: RunFolder, name: str) -> Manifest:
    """Truth that results of that name are scored against: a split, or, after several pooled folds, everything."""
    manifest = Manifest.read(run.manifest)
    part = manifest.filter(lambda utterance: utterance.split == name)
    return manifest if name == POOLED and not len(part) else part


def is_scored(run: RunFolder, name: str) -> bool:
    """Says of a result whether it has been scored, or predicted where it has no labels."""
    if (run.results(name) / "report.html").exists():
        return True
    if not run.predictions(name).exists():
        return False
    return all(utterance.split != name for utterance in Manifest.read(run.manifest))
