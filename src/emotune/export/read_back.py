"""An exported model as one that can be trained: its graph's weights in a PyTorch model again."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn.utils import parametrize

from emotune.errors import ConfigError, ModelError
from emotune.export.weights import read_weights
from emotune.models.emotion_model import EmotionModel
from emotune.models.exported import CURE, read_exported
from emotune.models.folder import GRAPH
from emotune.models.store import StoredModel

_NAMED_AT_MOST = 3


def read_back(folder: Path) -> StoredModel:
    """Builds the model that a folder was exported from, with the weights of its graph.

    Those of an export in eight bits are rounded: a start for training, not the model itself.

    Raises:
        ModelError: for a damaged folder, or a graph that does not hold every weight as it was, since the exporter has
            computed something from it.
    """
    exported = read_exported(folder)
    config = {**exported.config, "adapter": None}
    try:
        model = EmotionModel.from_config(config)
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder} does not describe a model: {error} {CURE}") from error
    found = {name: torch.from_numpy(value.copy()) for name, value in read_weights(folder / GRAPH).items()}
    folded = [
        (module, f"{place}.", name)
        for place, module in model.named_modules()
        if parametrize.is_parametrized(module)
        for name in module.parametrizations  # pyright: ignore[reportGeneralTypeIssues]
    ]
    plain = {name: value for name, value in model.state_dict().items() if ".parametrizations." not in name}
    expected = plain | {place + name: getattr(module, name) for module, place, name in folded}
    unfit = [name for name, value in expected.items() if name not in found or found[name].shape != value.shape]
    if unfit:
        more = f" and {len(unfit) - _NAMED_AT_MOST} more" if len(unfit) > _NAMED_AT_MOST else ""
        raise ModelError(
            f"{folder / GRAPH} does not hold {', '.join(unfit[:_NAMED_AT_MOST])}{more} as the model had it, so that"
            " training cannot go on from it. Name the run or model folder that it was exported from."
        )
    model.load_state_dict({name: found[name] for name in plain}, strict=False)
    for module, place, name in folded:
        setattr(module, name, found[place + name])
    preprocessing = exported.source_preprocessing
    return StoredModel(model.eval(), preprocessing, exported.calibration, exported.config, exported.fingerprint)
