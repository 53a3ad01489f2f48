"""VARAN: every layer has its own head, and each clip decides how much each layer counts."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.errors import ConfigError

MOST_HEADS = 16


class LayerPosterior(nn.Module):
    """q(layer | clip): self-attention across the layers' pooled vectors, a score each, softmax.

    The attention has 16 heads, or, where 16 does not divide the features, the largest divisor below it (ours). It reads
    the vectors standardised with training statistics over all layers together (ours: raw ones saturate the softmax, and
    vectors standardised layer by layer would hide which layer is which).

    Args:
        layers: transformer layers, L.
        features: of each pooled vector.
        beta: weight of the divergence from the prior.
        prior: ``chi2``, ``geometric`` or ``uniform``; see ``log_prior_over_layers``.
        parameter: degrees of freedom of chi2, or success probability of the geometric prior.

    Reference:
        VARAN (2025), arXiv 2508.12061, and its released configuration: chi2 with 35 degrees of freedom, beta .05.
    """

    log_prior: Tensor

    def __init__(
        self, layers: int, features: int, *, beta: float = 0.05, prior: str = "chi2", parameter: float = 35.0
    ) -> None:
        super().__init__()
        self.beta = beta
        self.heads = next(heads for heads in range(MOST_HEADS, 0, -1) if features % heads == 0)
        self.projection = nn.Linear(features, 3 * features)
        self.score = nn.Linear(features, 1)
        log_prior = log_prior_over_layers(prior, layers, parameter=parameter).float()
        self.register_buffer("log_prior", log_prior, persistent=False)

    def forward(self, pooled: Tensor) -> Tensor:
        """Posterior, shape (batch, layers), from pooled vectors, shape (batch, layers, features)."""
        query, key, value = self.projection(pooled).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return torch.softmax(self.score(attended).squeeze(-1), dim=1)

    def penalty(self, posterior: Tensor) -> Tensor:
        """Penalty beta KL(prior || posterior) of each clip, shape (batch,)."""
        divergence = self.log_prior.exp() * (self.log_prior - posterior.clamp(min=1e-12).log())
        return self.beta * divergence.sum(dim=1)


def log_prior_over_layers(prior: str, layers: int, *, parameter: float = 35.0) -> Tensor:
    """The logarithm of a distribution over layers 1..L, shape (layers,).

    It is chi2's density or the geometric weights there, normalised.

    That the density is read at the layer's number is ours. With 35 degrees of freedom it rises over all 24 layers of
    WavLM Large; for models of few layers fewer degrees suit better.

    Raises:
        ConfigError: for an unknown prior, or a parameter out of its range.

    >>> log_prior_over_layers("geometric", 3, parameter=0.5).exp()
    tensor([0.5714, 0.2857, 0.1429], dtype=torch.float64)
    """
    number = torch.arange(1, layers + 1, dtype=torch.float64, device="cpu")  # also in a model without memory
    if prior == "uniform":
        log_weights = torch.zeros_like(number)
    elif prior == "chi2" and parameter > 0:
        log_weights = (parameter / 2 - 1) * number.log() - number / 2
    elif prior == "geometric" and 0 < parameter < 1:
        log_weights = (number - 1) * math.log1p(-parameter)
    else:
        raise ConfigError(
            f"model.varan: prior {prior!r} with parameter {parameter:g}. Known: chi2 with a parameter above 0 (degrees"
            " of freedom), geometric with one in (0, 1), uniform."
        )
    return torch.log_softmax(log_weights, dim=0)
