"""Adapting of a model to recordings without labels: the work of `emotune adapt`, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotune.errors import ConfigError, ModelError
from emotune.inference.adaptation.adaptation import adaptation_to, classes_of
from emotune.inference.adaptation.folder import FILE, AdaptedModel, is_adapted
from emotune.inference.adaptation.groups import check_way
from emotune.inference.inputs import Inputs
from emotune.inference.loading import load_and_say
from emotune.io.tables import check_file
from emotune.models.folder import CONFIG, find_model_folder
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.predictions import Predictions
from emotune.schema.prior import estimated_prior
from emotune.schema.run_folder import prior_in


@dataclass(frozen=True)
class AdaptedFiles:
    """Outcome of an adapting.

    Args:
        model: as it was written.
        predictions: answers of the adapted model to the recordings.
    """

    model: AdaptedModel
    predictions: Predictions


def adapt_files(
    model: str,
    inputs: Inputs,
    output: Path,
    *,
    by: str = "auto",
    listener: Listener | None = None,
    progress: Progress = silent,
    **loading: Any,
) -> AdaptedFiles:
    """Adapts a model to recordings without labels, and writes a small folder that ``emotune.load`` takes.

    Args:
        model: as ``emotune.load`` has it; not an adapted one.
        inputs: recordings such as the model will hear.
        output: the folder to write.
        by: ``speaker``, ``recording``, or ``auto``: by speaker where that is known, else by recording.
        listener: told of the columns taken and of files passed over.
        progress: shows how far the work is.
        loading: options of ``emotune.load``.

    Raises:
        EmotuneError: for inputs, a model or an output that cannot be used, and where no recording can.
    """
    listener = listener or Listener()
    check_way(by)
    if is_adapted(model):
        raise ConfigError(f"{model} is an adapted model already: name the one that it was made of, and adapt that.")
    check_output_folder(output)
    inputs.say_columns(listener)
    items = inputs.listed(listener)
    predictor = load_and_say(model, listener, loading)
    classes = classes_of(predictor.label_space)
    plain = predictor.predict_items(items, progress=progress)
    if len(plain.failed) == len(plain):
        raise ConfigError(f"No recording can be used to adapt the model: {plain.failed[0].error}")
    adaptation = adaptation_to(plain, items, by=by)
    rows = adaptation.answers(plain, items, answered_from=predictor.answered_from)
    config = find_model_folder(model).folder / CONFIG
    prior = _estimated(rows, classes, prior_in(config))
    if predictor.engine.fingerprint is None:
        raise ModelError(f"{model} has no fingerprint, so that an adapted model could not name it.")
    adapted = AdaptedModel(predictor.name, predictor.engine.fingerprint, adaptation, prior)
    adapted.write(output)
    return AdaptedFiles(adapted, rows)


def check_output_folder(folder: Path) -> None:
    """Refuses a folder that holds something else than an adapted model, before any work is done.

    Raises:
        ConfigError: naming what to do.
        TableError: where it may not be written.
    """
    if folder.is_dir() and any(folder.iterdir()) and not is_adapted(folder):
        raise ConfigError(f"{folder} holds other files; name a new folder for the adapted model.")
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; name a new folder for the adapted model.")
    check_file(folder / FILE)


def _estimated(rows: Predictions, classes: tuple[str, ...], taught: Mapping[str, float] | None) -> dict[str, float]:
    """Shares of the classes in the recordings; a model that does not say what it was taught counts as balanced."""
    shares = [max((taught or {}).get(name, 0.0), 0.0) for name in classes]
    trained = shares if min(shares) > 0 else [1.0] * len(classes)
    answers = [[row.probabilities[name] for name in classes] for row in rows if row.probabilities]
    return dict(zip(classes, estimated_prior(np.array(answers), trained).tolist(), strict=True))
