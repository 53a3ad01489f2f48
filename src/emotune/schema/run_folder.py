"""Run folder: recipe, provenance, model, metrics and results of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from emotune.errors import TableError
from emotune.io.tables import read_json, read_rows
from emotune.schema.calibration import Calibration

PRE_TRAINED = "pre-trained"
"""Kind of a run that has learnt without labels."""
_SHOWN = 6


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder, which need not exist yet."""

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
    def heard_before(self) -> Path:
        """Contents of the recordings that models heard which the run learnt from, one a line; absent without any."""
        return self.path / "heard_before.txt"

    def recordings_before(self) -> set[str]:
        """The lines of ``heard_before.txt``."""
        return set(self.heard_before.read_text(encoding="utf-8").split()) if self.heard_before.exists() else set()

    @property
    def metrics(self) -> Path:
        """One line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of an unfinished run; removed when it ends."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"

    @property
    def encoder(self) -> Path:
        """The finished encoder of pre-training, in place of a model."""
        return self.path / "encoder"

    @property
    def encoder_before(self) -> Path:
        """The encoder as it was before pre-training, to tell what that added."""
        return self.path / "encoder_before"

    def results(self, split: str) -> Path:
        """Predictions and report of one split."""
        return self.path / split

    def predictions(self, split: str) -> Path:
        """The prediction table of one split."""
        return self.results(split) / "predictions.csv"

    @property
    def finished(self) -> bool:
        """Tells whether the run is finished."""
        return self.provenance.exists() and bool(read_json(self.provenance, "Provenance").get("finished"))

    def history(self) -> list[dict[str, Any]]:
        """The rows of ``metrics.jsonl``, none where there is no such file."""
        return read_rows(self.metrics) if self.metrics.exists() else []

    def calibration(self) -> Calibration | None:
        """Calibration of the run's model; None without a model."""
        config = self.model / "config.json"
        if not config.exists():
            return None
        return Calibration.from_json(read_json(config, "The model's config").get("calibration"))

    def training_prior(self) -> dict[str, float] | None:
        """Class -> share in the model's training data; None without a model or if unrecorded.

        Raises:
            TableError: if it is damaged.
        """
        return prior_in(self.model / "config.json")

    def information(self) -> dict[str, Any]:
        """Provenance of the run, for reports.

        Raises:
            TableError: when this is no run folder.
        """
        if not self.path.exists():
            raise TableError(f"{self.path} does not exist. Give a run folder.")
        if not self.provenance.exists():
            raise TableError(f"{self.path} is not a run folder: it has no {self.provenance.name}.")
        return read_json(self.provenance, "Provenance")


def run_around(folder: Path) -> RunFolder | None:
    """The run that a folder with its model or encoder lies in; None where its manifest or provenance is not there."""
    run = RunFolder(folder.absolute().parent)
    return run if run.manifest.is_file() and run.provenance.is_file() else None


@dataclass(frozen=True)
class LoneModel(RunFolder):
    """Folder of a model without the run that made it: what it was trained on is not known.

    Args:
        name: by which the model is known to its users.
    """

    name: str = ""

    @property
    def model(self) -> Path:
        """The folder itself."""
        return self.path

    def information(self) -> dict[str, Any]:
        """The model's name in place of a recipe's."""
        return {"recipe": self.name or self.path.name}


def prior_in(config: Path) -> dict[str, float] | None:
    """Class -> share that a model was taught, by its config; None without one or if unrecorded.

    Raises:
        TableError: if it is damaged.
    """
    found = read_json(config, "The model's config").get("training_prior") if config.exists() else None
    if found is None:
        return None
    shares = cast(dict[Any, Any], found) if isinstance(found, dict) else None
    if shares is None or not all(isinstance(x, int | float) and 0 <= x <= 1 for x in shares.values()):
        raise TableError(f"{config}: training_prior must hold the share of each class, in [0, 1]. Train again.")
    return {str(name): float(share) for name, share in shares.items()}


def runs_with_models(path: Path) -> list[Path]:
    """The run folders with a model inside the folder of a protocol or a study; none in that of a single run."""
    found = [*path.glob("*/model/config.json"), *path.glob("runs/*/*/model/config.json")]
    return sorted((file.parents[1] for file in found), key=lambda run: (len(str(run)), str(run)))


def pretraining_in(path: Path) -> list[RunFolder]:
    """The run of pre-training in a folder, or those of a protocol's folds inside it; none where it holds others."""
    run = RunFolder(path)
    if run.provenance.is_file() and run.information().get("kind") == PRE_TRAINED:
        return [run]
    if not run.recipe.is_file():  # a folder of runs that have nothing to do with each other
        return []
    folds = [RunFolder(file.parent) for file in sorted(path.glob("*/provenance.json"))]
    return folds if all(fold.information().get("kind") == PRE_TRAINED for fold in folds) else []


def after_pretraining(path: Path) -> str:
    """A command that goes on from a run of pre-training, or from those of a protocol's folds.

    Raises:
        TableError: if it is damaged.
    """
    import yaml  # noqa: PLC0415 (a prediction needs none)

    run, folds = pretraining_in(path)[0], RunFolder(path)
    about: Any = yaml.safe_load(folds.recipe.read_text(encoding="utf-8")) if folds.recipe.is_file() else None
    protocol = cast("Mapping[str, Any]", about).get("protocol") if isinstance(about, dict) else None
    data = f"{f'protocol={protocol} ' if protocol else ''}data.manifest=FILE"
    if run.encoder.is_dir():
        encoder = run.encoder if run.path == path else path / "{fold}" / run.encoder.name
        kind = read_json(run.encoder / "config.json", "The encoder's config").get("model_type")
        backbone = f"model.backbone.name={kind} model.backbone.checkpoint={encoder}"
        return f"emotune probe general/frozen_encoder {data} {backbone}"
    return f'emotune train pretraining/few_labels {data} model.start={path} "model.backbone={{train: none}}"'


def why_no_model(path: Path) -> str:
    """Explains what a path without a model is, and which path to name instead."""
    expected = "expected a model folder, or a run folder with a finished model inside"
    if path.is_file():
        return f"{path} is a file; {expected}."
    if (pretrained := pretraining_in(path)) and all(run.finished for run in pretrained):
        each = "is a run of pre-training" if pretrained[0].path == path else "holds a run of pre-training a fold"
        return (
            f"{path} {each}, and predicts nothing yet. Teach it your labels, then evaluate what comes of that:"
            f" {after_pretraining(path)}"
        )
    runs = runs_with_models(path)
    if runs:
        names = ", ".join(str(run.relative_to(path)) for run in runs[:_SHOWN])
        more = f" and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
        each = "fold" if runs[0].parent == path else "run of a study"
        return f"{path} holds one model a {each}: {names}{more}. Name one of them, such as {runs[0]}."
    about = RunFolder(path).information() if RunFolder(path).provenance.exists() else {}
    kind = str(about.get("kind", ""))
    if about.get("finished") and kind.endswith((" out", " baseline")):
        return (
            f"{path} is a run that keeps no model ({kind}). Name a run of `emotune train`, or of a probe without"
            " probe.leave_out."
        )
    if "finished" in about and not about["finished"]:
        return f"{path} is a run that has not finished: its model comes at the end. The same command continues it."
    return f"{path} is a folder without config.json; {expected}."
