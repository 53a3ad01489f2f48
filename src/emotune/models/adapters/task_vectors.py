"""Task vectors: each layer goes a learnt part of the way from the encoder to models that were trained from it."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from emotune.errors import ConfigError
from emotune.io.tables import read_json
from emotune.models.adapters.insertion import Inserted
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.folder import CONFIG, WEIGHTS, find_model_folder
from emotune.models.weights import WeightsFile

BELOW = "below the layers"
_HELD_AS = "coefficients"
_KEY = "model.adapter.models"
_PREFIX = "backbone."  # of the encoder's weights in a model of ours
_SHOWN = 3


class Merged(nn.Module):
    """Weight w of a start, merged with those of models trained from it: (1 - sum_i c_i) w + sum_i c_i w_i.

    That is w + sum_i c_i (w_i - w), the task vectors by their coefficients, but w itself where all are 0, and w_i where
    that of model i is 1 and the others 0, to the bit.

    Args:
        coefficients: shape (models,); a layer holds them for all its weights.
        trained: the models' weights, shape (models, *weight).
    """

    trained: Tensor

    def __init__(self, coefficients: nn.Parameter, trained: Tensor) -> None:
        super().__init__()
        self._of_layer = [coefficients]  # in a list, so that they are not registered once more for each weight
        self.register_buffer("trained", trained, persistent=False)

    def forward(self, start: Tensor) -> Tensor:
        (coefficients,) = self._of_layer
        merged = (1 - coefficients.sum()) * start
        for coefficient, weight in zip(coefficients, self.trained, strict=True):
            merged = merged + coefficient * weight
        return merged


def add_task_vectors(
    backbone: Backbone, layers: Sequence[nn.Module], *, models: Sequence[str], initial: float | None = None
) -> Inserted:
    """Merges models that were trained from this encoder into it, each transformer layer by coefficients of its own.

    Where all layers are given, what lies between the front end and the first of them is one layer more. A layer that no
    model changed stays as it is. The front end is the start's.

    Args:
        models: folders of models, runs or encoders, or names on the Hub.
        initial: where each coefficient starts; None = 1 / number of models.

    Raises:
        ConfigError: for a model of another encoder or front end, or where none of them changed a layer.
        ModelError: when there is no such model.

    Reference:
        AdaLTM (2026), arXiv 2603.25041, has the vectors of a recogniser and an emotion model merged into a frozen
        WavLM by learnt coefficients of each layer. Yang et al. (2024), AdaMerging, arXiv 2310.02575, section 3.2.
    """
    found = [_trained_from(backbone, name) for name in models]
    names = {id(parameter): name for name, parameter in backbone.named_parameters()}
    outputs: dict[str, nn.Parameter] = {}
    for place, holder, parameters in _groups(backbone, len(layers)):
        weights = {name: [own[name] for own in found] for name in (names[id(parameter)] for parameter in parameters)}
        changed = {name: trained for name, trained in weights.items() if _differs(backbone, name, trained)}
        if not changed:
            continue
        coefficients = nn.Parameter(torch.full((len(models),), 1 / len(models) if initial is None else initial))
        for name, trained in changed.items():
            parent, _, own_name = name.rpartition(".")
            module = Merged(coefficients, torch.stack(trained))
            parametrize.register_parametrization(backbone.get_submodule(parent), own_name, module, unsafe=True)
        holder.register_parameter(_HELD_AS, coefficients)
        outputs[place] = coefficients
    if not outputs:
        raise ConfigError(f"{_KEY}: {', '.join(models)} did not train these layers of the encoder: nothing to merge.")
    return Inserted(list(outputs.values()), outputs)


def task_coefficients(backbone: Backbone) -> dict[str, list[float]]:
    """Coefficients of each layer by its number, counted from 1, one a model; empty without task vectors."""
    held = [(place, getattr(holder, _HELD_AS, None)) for place, holder, _ in _groups(backbone, backbone.num_layers)]
    return {place: own.tolist() for place, own in held if own is not None}


@torch.no_grad()
def merge_task_vectors(backbone: Backbone) -> None:
    """Turns every merged weight into a plain one that holds the same."""
    for place in [f".{name}" for name, module in backbone.named_modules() if isinstance(module, Merged)]:
        parent, _, name = place.removesuffix(".0").rpartition(".parametrizations.")
        owner = backbone.get_submodule(parent.removeprefix("."))
        _give_own_class(owner)
        parametrize.remove_parametrizations(owner, name, leave_parametrized=True)
    for _, holder, _ in _groups(backbone, backbone.num_layers):
        if hasattr(holder, _HELD_AS):
            delattr(holder, _HELD_AS)


def _give_own_class(module: nn.Module) -> None:
    """Parts a module from its copies: they share the class that PyTorch made for it, and changes of that are all's."""
    shared = type(module)
    own = {name: value for name, value in vars(shared).items() if name not in ("__dict__", "__weakref__")}
    module.__class__ = cast("type[nn.Module]", type(shared.__name__, shared.__bases__, own))


def _groups(backbone: Backbone, top: int) -> Iterator[tuple[str, nn.Module, Sequence[nn.Parameter]]]:
    """Name, holder of the coefficients, and parameters of each group of weights that has coefficients of its own."""
    every, own = backbone.layer_modules(), backbone.layer_parameters()
    if top == len(every):
        front_end = [parameter for module in backbone.front_end() for parameter in module.parameters()]
        elsewhere = {id(parameter) for parameter in [*front_end, *(p for layer in own for p in layer)]}
        yield BELOW, backbone, [parameter for parameter in backbone.parameters() if id(parameter) not in elsewhere]
    for number in range(len(every) - top, len(every)):
        yield str(number + 1), every[number], own[number]


def _differs(backbone: Backbone, name: str, trained: Sequence[Tensor]) -> bool:
    return any(not torch.equal(backbone.get_parameter(name), weight) for weight in trained)


def _trained_from(backbone: Backbone, name: str) -> Mapping[str, Tensor]:
    """Weights of a model's encoder, which must be this one, trained further above its front end."""
    weights, own = _encoder_of(name, backbone), dict(backbone.named_parameters())
    faults = [f"lacks {key}" for key in own if key not in weights]
    faults += [f"has {key}" for key in weights if key not in backbone.state_dict()]
    faults += [
        f"has {key} of shape {list(weights[key].shape)} instead of {list(parameter.shape)}"
        for key, parameter in own.items()
        if key in weights and weights[key].shape != parameter.shape
    ]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ConfigError(
            f"{_KEY}: the encoder of {name} is another than that of model.backbone: it {', '.join(faults[:_SHOWN])}"
            f"{more}. Name models that were trained from the same encoder."
        )
    front_end = {id(parameter) for module in backbone.front_end() for parameter in module.parameters()}
    others = [key for key, p in own.items() if id(p) in front_end and not torch.equal(p, weights[key])]
    if others:
        raise ConfigError(
            f"{_KEY}: {name} was not trained from the encoder of model.backbone, or its front end trained too: its"
            f" {others[0]} differs. Name models that were trained from the same encoder, with train_front_end: false."
        )
    return weights


def _encoder_of(name: str, like: Backbone) -> Mapping[str, Tensor]:
    """Weights of the encoder of one of our models, or of anything that ``model.backbone.checkpoint`` takes."""
    folder = find_model_folder(name).folder
    is_ours = (folder / CONFIG).exists() and "schema" in read_json(folder / CONFIG, "The model's config")
    if not is_ours:
        normed = like.final_norm is not None
        layers = None if normed else like.num_layers
        return load_pretrained(like.model_type, folder, layers=layers, final_norm=normed).state_dict()
    if not (folder / WEIGHTS).exists():
        raise ConfigError(f"{_KEY}: {folder} has no {WEIGHTS}: name the model that it was exported from.")
    file = WeightsFile.open(folder / WEIGHTS)
    mapped = file.mapped([key for key in file.header if key.startswith(_PREFIX)])
    return {key.removeprefix(_PREFIX): weight.float() for key, weight in mapped.items()}
