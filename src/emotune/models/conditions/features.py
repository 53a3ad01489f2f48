"""Features of a condition's vectors, with a learnt one for what is unknown."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor, nn


class ConditionFeatures(nn.Module):
    """Maps a condition's vector to features; where it is unknown, they are a vector that is learnt.

    In training each clip's value is taken for unknown with a probability of ``dropout``, so that the model learns to do
    without it.

    Args:
        width: of the vector.
        size: of the features.
        dropout: in [0, 1].
    """

    def __init__(self, width: int, *, size: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        self.width = width
        self.size = size
        self.dropout = dropout
        self.unknown = nn.Parameter(torch.randn(size) / size**0.5)

    def features(self, value: Tensor) -> Tensor:
        """(batch, width) -> (batch, size), for known values."""
        raise NotImplementedError

    def forward(self, value: Tensor) -> Tensor:
        """Values, shape (batch, width), a row with NaN where unknown, to features of shape (batch, size)."""
        known = ~torch.isnan(value).any(dim=1, keepdim=True)
        if self.training and self.dropout:
            known = known & (torch.rand(len(value), 1, device=value.device) >= self.dropout)
        features = self.features(torch.nan_to_num(value, nan=0.0))
        return torch.where(known, features, self.unknown.to(features.dtype))


class Embedding(ConditionFeatures):
    """An embedding for each of some classes; the vector is one for a class and zero for the others."""

    def __init__(self, width: int, *, size: int = 32, dropout: float = 0.2) -> None:
        super().__init__(width, size=size, dropout=dropout)
        self.embedding = nn.Linear(width, size, bias=False)

    def features(self, value: Tensor) -> Tensor:
        return self.embedding(value)


class Projection(ConditionFeatures):
    """The vector of a frozen encoder, normalised and projected."""

    def __init__(self, width: int, *, size: int = 256, dropout: float = 0.2) -> None:
        super().__init__(width, size=size, dropout=dropout)
        self.projection = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, size), nn.ReLU())

    def features(self, value: Tensor) -> Tensor:
        return self.projection(value)
