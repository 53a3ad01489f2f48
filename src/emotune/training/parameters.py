"""Parameters of an emotion model: how many train, at which rate, and from which epoch on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from emotune.config.training import TrainSection, UnfreezeSection
from emotune.models.emotion_model import EmotionModel
from emotune.training.loop.trainer import Groups

_ENCODERS = ("backbone.", "second.backbone.")
_PARTS = ("front end", "encoder", "adapter", "aggregation", "conditions", "heads")


def count_parameters(model: EmotionModel) -> dict[str, Any]:
    """Parameters in all, those that train, and these by part."""
    front_end = {id(p) for own in model.encoders for module in own.front_end() for p in module.parameters()}

    def part_of(name: str, parameter: nn.Parameter) -> str:
        if name in model.adapter_parameters:
            return "adapter"
        if id(parameter) in front_end:
            return "front end"
        if name.startswith(_ENCODERS):
            return "encoder"
        if name.startswith("joined."):
            return "conditions"
        return "aggregation" if name.startswith(("layer_mix.", "pooling.", "second.")) else "heads"

    parts: dict[str, int] = dict.fromkeys(_PARTS, 0)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parts[part_of(name, parameter)] += parameter.numel()
    return {**parameter_counts(model), "trainable_by_part": parts}


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Parameters in all, and those that train."""
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
    }


def groups_by_rate(model: nn.Module, rate: Callable[[str, nn.Parameter], float], train: TrainSection) -> Groups:
    """Parameters that train with the learning rate of each, by name and parameter; no weight decay on vectors."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = train.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate(name, parameter), decay), []).append(parameter)
    return [{"params": params, "lr": lr, "weight_decay": decay} for (lr, decay), params in groups.items()]


def parameter_groups(model: EmotionModel, train: TrainSection) -> Groups:
    """Encoder, adapter, layer mix and heads with their learning rates; no weight decay on vectors (biases, norms, mix).

    With ``train.layer_decay`` d, layer l of L trains at encoder_lr d^(L - l), and what lies before the first layer at
    encoder_lr d^L, as in Clark et al. (2020), ELECTRA, arXiv 2003.10555, appendix A.
    """
    below: dict[int, int] = {}  # layers above each parameter of an encoder
    for encoder in model.encoders:
        layers = encoder.layer_parameters()
        below |= {id(parameter): len(layers) for parameter in encoder.parameters()}
        below |= {id(parameter): len(layers) - n for n, layer in enumerate(layers, start=1) for parameter in layer}

    def rate(name: str, parameter: nn.Parameter) -> float:
        if name in model.adapter_parameters:
            return train.adapter_lr
        if name.startswith(_ENCODERS):
            return train.encoder_lr * train.layer_decay ** below[id(parameter)]
        return train.mix_lr if name.startswith(("layer_mix.", "second.layer_mix.")) else train.head_lr

    return groups_by_rate(model, rate, train)


class GradualUnfreezing:
    """Before each epoch, let the layers train whose turn has come.

    What the recipe freezes for good stays frozen. What lies before the first layer joins with it.

    Reference:
        Howard and Ruder (2018), ULMFiT, arXiv 1801.06146, section 3.3: one layer more each epoch, from the top.
    """

    def __init__(self, model: EmotionModel, unfreeze: UnfreezeSection) -> None:
        self.unfreeze = unfreeze
        self.trained = [
            (encoder, [parameter for parameter in encoder.parameters() if parameter.requires_grad])
            for encoder in model.encoders
        ]

    def begin_epoch(self, epoch: int) -> None:
        """Freezes what does not train in an epoch, counted from 0, and unfreezes the rest."""
        for encoder, trained in self.trained:
            layers = encoder.layer_parameters()
            frozen = layers[: len(layers) - self.layers_open(epoch, len(layers))]
            shut = {id(parameter) for layer in frozen for parameter in layer}
            if frozen:
                inside = {id(parameter) for layer in layers for parameter in layer}
                shut |= {id(parameter) for parameter in trained if id(parameter) not in inside}
            for parameter in trained:
                parameter.requires_grad_(id(parameter) not in shut)

    def layers_open(self, epoch: int, layers: int) -> int:
        """Count of the top layers that train in an epoch, counted from 0."""
        if self.unfreeze.stages:
            begun = [count for first, count in self.unfreeze.stages.items() if first <= epoch]
            return min(layers, max(begun, default=0))
        if epoch < self.unfreeze.start_epoch:
            return 0
        if self.unfreeze.layers_per_epoch is None:
            return layers
        return min(layers, (epoch - self.unfreeze.start_epoch + 1) * self.unfreeze.layers_per_epoch)
