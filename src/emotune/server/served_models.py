"""Models that the service answers with: loaded once, shared by all clients."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotune.audio import FloatArray
from emotune.conditions.sources import Known
from emotune.errors import ConfigError
from emotune.inference.adaptation.folder import is_adapted, read_adapted
from emotune.inference.conditioner import Conditioner, Given
from emotune.inference.known_models import licence_at
from emotune.inference.loading import load
from emotune.inference.predictor import Predictor
from emotune.io.hub import is_hub_name
from emotune.models.folder import find_model_folder
from emotune.models.installed import is_plain
from emotune.server.problems import Problem
from emotune.server.scheduler import Asker, Scheduler
from emotune.server.settings import Settings
from emotune.timelines.formats.json_document import scales_to_json

DEFAULT = "mini"
_NAME = re.compile(r"[\w.@+-]+(/[\w.@+-]+)?")
_COVERAGES = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)

Observer = Callable[[str, int, float, float], None]
"""Told of each run of a model: its name, clips, audio-seconds, seconds that it took."""


@dataclass(frozen=True)
class ServedModel:
    """A model that is loaded.

    Args:
        name: by which clients ask for it.
        predictor: as it was loaded.
        scheduler: shares its engine.
        licence: as its card states it.
        conditioner: that of the predictor, for many threads.
    """

    name: str
    predictor: Predictor
    scheduler: Scheduler
    licence: str | None
    conditioner: Conditioner = field(repr=False)

    def predictor_for(
        self, asker: Asker, *, coverage: float | None = None, threshold: float | None = None
    ) -> Predictor:
        """Predictor of one request, stream or job; it costs nothing to make.

        Args:
            asker: whose clips they are.
            coverage: see ``emotune.load``.
            threshold: least confidence of an answer, in place of a coverage.

        Raises:
            ModelError: for a coverage, when the model does not know its confidence.
        """
        predictor = Predictor(
            self.scheduler.engine_for(asker),
            batch_seconds=self.predictor.batch_seconds,
            coverage=coverage,
            conditioner=self.conditioner,
            name=self.name,
            adaptation=self.predictor.adaptation,
        )
        if threshold is not None:
            predictor.answered_from = threshold
        return predictor

    def check_coverage(self, coverage: float | None) -> None:
        """Refuses a coverage, before any work, when the model does not know its confidence.

        Raises:
            ModelError: then.
        """
        if coverage is not None:
            self.predictor.engine.calibration.threshold(coverage)

    def to_json(self) -> dict[str, Any]:
        """Description for answers."""
        preprocessing = self.predictor.engine.preprocessing
        return {
            "name": self.name,
            "fingerprint": self.predictor.fingerprint,
            "licence": self.licence,
            **scales_to_json(self.predictor.label_space),
            "conditions": list(self.predictor.conditioner.about),
            "max_duration_s": preprocessing.max_duration_s,
            "preprocessing": {"sampling_rate_hz": preprocessing.sampling_rate_hz},
        }

    def thresholds(self) -> dict[str, float]:
        """Least confidence by the share of clips that it answers; none where the model does not know."""
        calibration = self.predictor.engine.calibration
        return {f"{share:g}": calibration.threshold(share) for share in _COVERAGES} if calibration.thresholds else {}


class ServedModels(Mapping[str, ServedModel]):
    """Models by name, the first being the default."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._models = {model.name: model for model in models}

    def __getitem__(self, name: str) -> ServedModel:
        return self._models[name]

    def __iter__(self):
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @property
    def default(self) -> ServedModel:
        """Model of those who name none."""
        return next(iter(self._models.values()))

    def named(self, name: str | None) -> ServedModel:
        """The model that a client asks for.

        Raises:
            Problem: when there is none of that name.
        """
        if name is None:
            return self.default
        if name not in self._models:
            known = f"There is no model '{name[:100]}' here, but {', '.join(self._models)}."
            raise Problem("option", known, errors=[{"field": "query.model", "message": known}])
        return self._models[name]

    def close(self) -> None:
        """Ends their threads."""
        for model in self._models.values():
            model.scheduler.close()


def load_models(names: Sequence[str], settings: Settings, observe: Observer) -> ServedModels:
    """Loads models, each given as ``emotune.load`` has it, or as ``NAME=MODEL``.

    Raises:
        ConfigError: for two of one name, or a name that cannot stand in an address.
        ModelError: for a model that cannot be loaded.
    """
    named = [_name_and_model(name) for name in names or [DEFAULT]]
    for name, model in named:
        if sum(name == other for other, _ in named) > 1:
            raise ConfigError(f"Two models would be called '{name}'. Call {model} otherwise: NAME={model}.")
        if not _NAME.fullmatch(name):
            raise ConfigError(f"'{name}' cannot be the name of a served model. Call it otherwise: NAME={model}.")
    return ServedModels([_loaded(name, model, settings, observe) for name, model in named])


def _name_and_model(given: str) -> tuple[str, str]:
    name, equals, model = given.partition("=")
    if equals and "/" not in name:
        if not name or not model:
            raise ConfigError(f"'{given}': expected MODEL or NAME=MODEL, such as mini or mine=runs/mine.")
        return name, model
    if is_hub_name(given):
        return given.partition(":")[2].partition("@")[0], given
    return given if is_plain(given) else Path(given).absolute().name, given


def _loaded(name: str, model: str, settings: Settings, observe: Observer) -> ServedModel:
    predictor = load(model, device=settings.device, threads=1)
    together = _batch_seconds(predictor)
    scheduler = Scheduler(
        predictor.engine,
        threads=settings.threads if _is_on_cpu(predictor) else 1,
        batch_seconds=together,
        wait_s=settings.batch_wait_s if together else 0.0,
        observe=lambda clips, audio_s, took_s: observe(name, clips, audio_s, took_s),
    )
    parent = read_adapted(Path(model)).parent if is_adapted(model) else model
    licence = licence_at(find_model_folder(parent).folder)
    return ServedModel(name, predictor, scheduler, licence, _OneAtATime(predictor.conditioner))


def _is_on_cpu(predictor: Predictor) -> bool:
    device = getattr(predictor.engine, "device", None)  # of PyTorch; onnxruntime has the CPU alone
    return device is None or device.type == "cpu"


def _batch_seconds(predictor: Predictor) -> float | None:
    """Length of common batches; None for onnxruntime, which runs the clips of a batch one by one on a CPU anyway."""
    from emotune.inference.onnx_engine import OnnxEngine  # noqa: PLC0415 (a model of PyTorch needs none of it)

    return None if isinstance(predictor.engine, OnnxEngine) else predictor.batch_seconds


class _OneAtATime(Conditioner):
    """The same conditioner for many threads: its recognisers and encoders hear one clip after another."""

    def __init__(self, of: Conditioner) -> None:
        super().__init__(of.about, sources=of.sources, predictors=of.predictors, encoders=of.encoders, notes=of.notes)
        self._lock = threading.Lock()

    def __call__(self, known: Sequence[Known], sounds: Sequence[FloatArray | None]) -> list[Given]:
        with self._lock:
            return super().__call__(known, sounds)
