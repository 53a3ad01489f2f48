"""Joins of the features of conditions with those of the sound."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor, nn


class Join(nn.Module):
    """Args of every join: ``features`` of the sound, ``extra`` of all conditions together."""

    output_size: int

    def __init__(self, features: int, extra: int) -> None:
        super().__init__()


class Concatenation(Join):
    """[sound; conditions]; heads see both."""

    def __init__(self, features: int, extra: int) -> None:
        super().__init__(features, extra)
        self.output_size = features + extra

    def forward(self, features: Tensor, extra: Tensor) -> Tensor:
        """(batch, ..., features) and (batch, extra) -> (batch, ..., features + extra)."""
        return torch.cat([features, _spread(extra, features)], dim=-1)


class FeatureWise(Join):
    """Feature-wise linear modulation: (1 + gamma) x + beta, gamma and beta linear in the conditions, zero at first.

    Reference:
        Perez et al. (2018), FiLM, arXiv 1709.07871, equation 2; 1 + gamma as in its section 7.2.
    """

    def __init__(self, features: int, extra: int) -> None:
        super().__init__(features, extra)
        self.output_size = features
        self.modulation = nn.Linear(extra, 2 * features)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, features: Tensor, extra: Tensor) -> Tensor:
        """(batch, ..., features) and (batch, extra) -> (batch, ..., features)."""
        gamma, beta = _spread(self.modulation(extra), features).chunk(2, dim=-1)
        return (1 + gamma) * features + beta


def _spread(extra: Tensor, features: Tensor) -> Tensor:
    """(batch, size) -> (batch, ..., size), the same for every layer of a clip."""
    if features.ndim == 2:
        return extra
    return extra[:, None, :].expand(-1, features.shape[1], -1)
