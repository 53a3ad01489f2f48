"""The network of a head: standardised pooled features -> dropout -> (hidden layer) -> outputs."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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
    """

    def __init__(self, features: int, outputs: int, *, hidden_size: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.hidden = (
            None
            if hidden_size is None
            else nn.Sequential(
                nn.Linear(features, hidden_size), nn.LayerNorm(hidden_size), nn.ReLU(), nn.Dropout(dropout)
            )
        )
        self.out = nn.Linear(features if hidden_size is None else hidden_size, outputs)

    def forward(self, features: Tensor) -> Tensor:
        features = self.dropout(features)
        if self.hidden is not None:
            features = self.hidden(features)
        return self.out(features)

    @torch.no_grad()
    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Copies a linear model, weight (outputs, features) and bias (outputs,), into a head without hidden layer.

        What the head sees beyond those features, such as conditions, counts for nothing at first.
        """
        assert self.hidden is None, "only a linear head can start from a linear model"
        self.out.weight.zero_()
        self.out.weight[:, : weight.shape[1]].copy_(weight)
        self.out.bias.copy_(bias)


class LayerHeads(nn.Module):
    """A head for each layer: (batch, layers, features) -> (batch, layers, outputs). Arguments as of ``HeadNetwork``."""

    def __init__(
        self, layers: int, features: int, outputs: int, *, hidden_size: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            HeadNetwork(features, outputs, hidden_size=hidden_size, dropout=dropout) for _ in range(layers)
        )

    def forward(self, features: Tensor) -> Tensor:
        return torch.stack([head(features[:, layer]) for layer, head in enumerate(self.heads)], dim=1)
