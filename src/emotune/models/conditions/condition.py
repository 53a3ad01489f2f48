"""What a condition is: something known of a clip beside its sound, defined when it is not known."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Condition(nn.Module):
    """A condition's value -> features; where it is unknown, a vector that is learnt.

    In training each clip's value is taken for unknown with a probability of ``dropout``, so that the model learns to do
    without it.

    Args:
        width: of the value.
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


class Gender(Condition):
    """An embedding for each of ``GENDER_CLASSES``; the value is one for a gender and zero for the other."""

    def __init__(self, width: int = 2, *, size: int = 32, dropout: float = 0.2) -> None:
        super().__init__(width, size=size, dropout=dropout)
        self.embedding = nn.Linear(width, size, bias=False)

    def features(self, value: Tensor) -> Tensor:
        return self.embedding(value)


class Text(Condition):
    """The embedding of a transcript by a frozen text encoder, normalised and projected."""

    def __init__(self, width: int, *, size: int = 256, dropout: float = 0.2) -> None:
        super().__init__(width, size=size, dropout=dropout)
        self.projection = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, size), nn.ReLU())

    def features(self, value: Tensor) -> Tensor:
        return self.projection(value)
