"""The network of a head: standardised pooled features -> dropout -> (hidden layer) -> outputs."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from emotune.errors import ConfigError
from emotune.registry import unknown_name_message

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {"norm_relu": nn.ReLU, "relu": nn.ReLU, "tanh": nn.Tanh}


class Standardize(nn.Module):
    """(x - mean) / std with statistics that are set once from training data; identity until then."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(*shape))
        self.register_buffer("std", torch.ones(*shape))

    def set(self, mean: Tensor, std: Tensor) -> None:
        """Statistics of the training split, each of the features' shape; a constant feature keeps a scale of one."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-8, std, torch.ones_like(std)))

    def fit(self, features: Tensor) -> None:
        """Takes the statistics of features of the training split, shape (utterances, ...)."""
        self.set(features.mean(dim=0), features.std(dim=0, correction=0))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std

    def over_layers(self, features: Tensor) -> Tensor:
        """Standardises features of layers, shape (batch, layers, features), by one mean and scale for all layers.

        So they keep what sets the layers apart. The statistics have shape (layers, features).
        """
        mean = self.mean.mean(dim=0)
        variance = (self.std.square() + (self.mean - mean).square()).mean(dim=0)
        return (features - mean) / variance.sqrt()


class HeadNetwork(nn.Module):
    """Pooled features (batch, features) -> (batch, outputs).

    Args:
        features: size of the pooled vector.
        outputs: number of classes, or of dimensions.
        hidden_size: size of one hidden layer (linear, layer norm, ReLU, dropout); None = a linear head, which can start
            from a probe.
        dropout: share of features dropped in training.
        activation: of the hidden layer; ``norm_relu`` has a layer norm before it, ``relu`` and ``tanh`` have none.
        sigmoid: whether the outputs pass one, into (0, 1).

    Raises:
        ConfigError: for an unknown activation.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        *,
        hidden_size: int | None = None,
        dropout: float = 0.0,
        activation: str = "norm_relu",
        sigmoid: bool = False,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(unknown_name_message("activation", activation, ACTIVATIONS))
        self.dropout = nn.Dropout(dropout)
        self.hidden = None
        if hidden_size is not None:
            norm = [nn.LayerNorm(hidden_size)] if activation == "norm_relu" else []
            steps = (nn.Linear(features, hidden_size), *norm, ACTIVATIONS[activation](), nn.Dropout(dropout))
            self.hidden = nn.Sequential(*steps)
        self.out = nn.Linear(features if hidden_size is None else hidden_size, outputs)
        self.sigmoid = sigmoid

    def forward(self, features: Tensor) -> Tensor:
        features = self.dropout(features)
        if self.hidden is not None:
            features = self.hidden(features)
        outputs = self.out(features)
        return outputs.sigmoid() if self.sigmoid else outputs

    @torch.no_grad()
    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Copies a linear model, weight (outputs, features) and bias (outputs,), into a head without hidden layer.

        What the head sees beyond those features, such as conditions, counts for nothing at first.
        """
        assert self.hidden is None and not self.sigmoid, "only a linear head can start from a linear model"
        self.out.weight.zero_()
        self.out.weight[:, : weight.shape[1]].copy_(weight)
        self.out.bias.copy_(bias)


class LayerHeads(nn.Module):
    """A head for each layer: (batch, layers, features) -> (batch, layers, outputs). Arguments as of ``HeadNetwork``."""

    def __init__(self, layers: int, features: int, outputs: int, **options: Any) -> None:
        super().__init__()
        self.heads = nn.ModuleList(HeadNetwork(features, outputs, **options) for _ in range(layers))

    def forward(self, features: Tensor) -> Tensor:
        return torch.stack([head(features[:, layer]) for layer, head in enumerate(self.heads)], dim=1)
