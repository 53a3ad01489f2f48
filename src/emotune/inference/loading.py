"""Loading of a model for prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from emotune.choices import Precision
from emotune.conditions.known import known_of
from emotune.errors import ConfigError, ModelError
from emotune.inference.adaptation.folder import FILE, is_adapted, read_adapted
from emotune.inference.conditioner import conditioner_of
from emotune.inference.engine import Engine
from emotune.inference.engines import engine_of
from emotune.inference.predictor import POOL_BATCHES, Predictor
from emotune.models.exported import is_exported
from emotune.models.folder import ModelFolder, find_model_folder, training_duration_in
from emotune.runtime.listener import Listener
from emotune.schema.labels import LabelSpace
from emotune.schema.utterance import Utterance


def load(
    model: str | Path,
    *,
    device: str | None = None,
    batch_seconds: float = 40.0,
    workers: int | None = None,
    threads: int | None = None,
    precision: Precision = "fp32",
    coverage: float | None = None,
    conditions: Mapping[str, str] | None = None,
    helpers: Mapping[str, str | None] | None = None,
    scored: Iterable[Utterance] | None = None,
) -> Predictor:
    """Loads a model folder, exported or not, or the model of a run folder, for prediction.

    Args:
        model: a model folder, a run folder that holds one under ``model``, the folder of an adapted model, or
            ``hf:owner/name[@revision]`` on the Hugging Face Hub; no other name is looked for there.
        device: where to run, such as ``cpu`` or ``cuda``; None = a GPU where there is one.
        batch_seconds: longest padded batch in audio-seconds.
        workers: processes of one thread each, on the CPU: the fastest way through many recordings there, with a copy of
            the model in each. None = this process with all its threads.
        threads: of this process, where there are no workers; None = one a core.
        precision: of the encoder's products. ``fp32`` = exact; ``int8`` = whole numbers of eight bits, on a CPU with
            VNNI instructions; ``bf16`` = half as many bits, on a GPU, and on a CPU that was measured to gain by it.
        coverage: see ``Predictor``.
        conditions: condition -> where its value comes from (given, predicted, unknown, wrong); default as in training.
        helpers: ``gender_model``, ``asr`` or ``text_encoder`` -> what takes the place of the one that the model folder
            names. What it names and cannot be had here leaves its condition unknown, and
            ``Predictor.conditioner.notes`` says so.
        scored: the utterances that the model will be scored on: what one of them needs must then be had.

    Raises:
        ConfigError: for a precision or a device that cannot be had.
        ModelError: when there is no model, or any of its weights is missing, new or misshapen; when a model cannot be
            had that makes a condition of what is scored.
    """
    adapted = read_adapted(Path(model)) if is_adapted(model) else None
    found = find_model_folder(model) if adapted is None else _parent(adapted.parent, Path(model))
    if workers is not None:
        if device not in (None, "cpu"):
            raise ConfigError(f"workers run on the CPU; leave out either workers or device '{device}'.")
        from emotune.inference.jobs.workers import WorkerEngine  # noqa: PLC0415 (one process needs none)

        engine: Engine = WorkerEngine(found.folder, workers=workers, precision=precision)
    else:
        engine = engine_of(found.folder, device=device, threads=threads, precision=precision)
    refuse_headless(engine.label_space, found.name)
    if adapted is not None:
        adapted.check_parent(engine.fingerprint, engine.label_space.classes, Path(model))
    conditioner = conditioner_of(
        engine.conditions,
        partial(load, device=device),
        sources=conditions,
        helpers=helpers,
        scored=None if scored is None else [known_of(utterance) for utterance in scored],
    )
    one_by_one = workers is None and is_exported(found.folder)
    return Predictor(
        engine,
        batch_seconds=batch_seconds,
        coverage=coverage,
        conditioner=conditioner,
        name=found.name if adapted is None else str(Path(model).absolute()),
        adaptation=None if adapted is None else adapted.adaptation,
        pool_batches=1 if one_by_one else POOL_BATCHES,
        training_duration_s=training_duration_in(found.folder),
    )


def load_and_say(model: str, listener: Listener, loading: Mapping[str, Any]) -> Predictor:
    """Loads a model with options of ``load``, and says what it has to do without."""
    predictor = load(model, **loading)
    for note in predictor.conditioner.notes:
        listener.say(f"warning: {note}")
    return predictor


def _parent(name: str, folder: Path) -> ModelFolder:
    """The model that an adapted one was made of."""
    try:
        return find_model_folder(name)
    except ModelError as error:
        raise ModelError(
            f"{folder} is an adapted model whose parent cannot be had: {error} Put the parent back, or change"
            f" parent.name in {folder / FILE} where it has moved."
        ) from error


def refuse_headless(space: LabelSpace, name: str) -> None:
    """Refuses a model that predicts nothing.

    Args:
        space: what it predicts.
        name: of the model.

    Raises:
        ModelError: when there are neither classes nor dimensions.
    """
    if not space.classes and not space.dimensions:
        raise ModelError(
            f"{name} is a pre-trained model without heads, which predicts nothing yet: train it on labels with"
            f" `emotune train RECIPE model.start={name}`, or see what it hears with `emotune embed`."
        )
