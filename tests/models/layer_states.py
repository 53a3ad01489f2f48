"""What transformers' encoders compute at each layer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def raw_states(model: Any, waveforms: Tensor) -> list[Tensor]:
    """Input of the first layer and each layer's output, caught at the layers: `hidden_states` differs by version."""
    states: list[Tensor] = []
    layers = list(model.encoder.layers)
    hooks = [layers[0].register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))]
    hooks += [
        layer.register_forward_hook(lambda _, __, out: states.append(out[0] if isinstance(out, tuple) else out))
        for layer in layers
    ]
    model(waveforms)
    for hook in hooks:
        hook.remove()
    return states


def assert_same_gradients(
    model: nn.Module, expected: Sequence[Tensor], backbone: nn.Module, found: Sequence[Tensor]
) -> None:
    """Compares the gradients of all weights for one weighted sum of all states."""
    weight = torch.randn(expected[0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for states in (expected, found):
        torch.stack([(state * weight).sum() for state in states]).sum().backward()
    theirs = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name, parameter in backbone.named_parameters():
        torch.testing.assert_close(
            parameter.grad, theirs[name], rtol=1e-6, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}"
        )
