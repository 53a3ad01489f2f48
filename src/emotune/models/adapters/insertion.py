"""Putting adapters in the place of linear layers, and checking that each of them acts."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from emotune.errors import ConfigError
from emotune.models.backbones.base import Backbone
from emotune.registry import unknown_name_message

_NOISE_S = 0.2


@dataclass(frozen=True)
class Inserted:
    """Parameters and layers that an adapter brought.

    Args:
        trained: the parameters that it trains.
        outputs: for each place, by its name in the backbone, a parameter with a gradient from the first step on.
    """

    trained: Sequence[nn.Parameter]
    outputs: Mapping[str, nn.Parameter]


def linears_named(
    backbone: Backbone, layers: Sequence[nn.Module], names: Sequence[str]
) -> Iterator[tuple[str, nn.Module, nn.Linear]]:
    """Linear layers of the given last names inside the given transformer layers: full name, parent, layer.

    Raises:
        ConfigError: for a name that no linear layer has.
    """
    known = {
        name.rsplit(".", 1)[-1]
        for layer in layers
        for name, module in layer.named_modules()
        if isinstance(module, nn.Linear)
    }
    for name in names:
        if name not in known:
            raise ConfigError("model.adapter.targets: " + unknown_name_message("linear layer", name, known))
    full_names = {module: name for name, module in backbone.named_modules()}
    for layer in layers:
        for parent in list(layer.modules()):
            for name, child in list(parent.named_children()):
                if name in names and isinstance(child, nn.Linear):
                    yield full_names[child], parent, child


def replace(parent: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Puts a module where another one is, in the same mode."""
    name = next(name for name, child in parent.named_children() if child is old)
    setattr(parent, name, new.train(old.training))


def check_that_all_act(backbone: Backbone, inserted: Inserted) -> None:
    """Runs a short clip of noise and sees that every adapter has a gradient.

    An encoder that reads a linear layer's weight instead of calling it ignores an adapter silently.

    Raises:
        ConfigError: naming the adapters without effect.
    """
    if not inserted.outputs:
        return
    device = next(backbone.parameters()).device
    samples = max(backbone.min_samples, round(_NOISE_S * 16000))
    was_training, wanted = backbone.training, [parameter.requires_grad for parameter in inserted.trained]
    backbone.eval()
    for parameter in inserted.trained:
        parameter.requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, samples, generator=generator).to(device)
    with torch.enable_grad():
        states = backbone(noise, torch.ones_like(noise, dtype=torch.bool)).states
        directions = torch.randn(states[0].shape, generator=generator).to(device)
        total = torch.stack([(state * directions).sum() for state in states]).sum()
        gradients: list[Tensor | None] = [
            *torch.autograd.grad(total, list(inserted.outputs.values()), allow_unused=True)
        ]
    backbone.train(was_training)
    for parameter, trains in zip(inserted.trained, wanted, strict=True):
        parameter.requires_grad_(trains)
    idle = [
        name
        for name, gradient in zip(inserted.outputs, gradients, strict=True)
        if gradient is None or not bool(gradient.any())
    ]
    if idle:
        raise ConfigError(
            f"model.adapter: {len(idle)} of {len(inserted.outputs)} adapters have no effect on the encoder's output,"
            f" such as the one at {idle[0]}. Choose other targets, or other models."
        )
