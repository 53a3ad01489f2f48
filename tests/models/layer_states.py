"""What transformers' encoders compute at each layer."""

from typing import Any

from torch import Tensor


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
