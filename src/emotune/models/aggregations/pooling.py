"""Poolings over time: a masked sequence -> one vector an utterance. Padding never changes the result."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.product import dense

_LAYER_NORM_FLOOR = 1e-5
_SMALLEST_VARIANCE = 1e-5  # keeps the gradient of the square root finite; Odyssey 2024 baseline's value


def weighted_mean(sequence: Tensor, weights: Tensor) -> Tensor:
    """sum_t w_t h_t; sequence (batch, frames, features), weights (batch, frames) of sum one -> (batch, features)."""
    return torch.einsum("btf,bt->bf", sequence, weights)


def weighted_std(sequence: Tensor, weights: Tensor, mean: Tensor) -> Tensor:
    """sqrt(max(sum_t w_t (h_t - mean)^2, 1e-5)), biased; shapes as in ``weighted_mean``."""
    variance = torch.einsum("btf,bt->bf", (sequence - mean[:, None, :]) ** 2, weights)
    return torch.sqrt(variance.clamp(min=_SMALLEST_VARIANCE))


def weighted_mean_std(sequence: Tensor, weights: Tensor) -> Tensor:
    """Mean and standard deviation side by side, (batch, 2 * features); shapes as in ``weighted_mean``."""
    mean = weighted_mean(sequence, weights)
    return torch.cat([mean, weighted_std(sequence, weights, mean)], dim=1)


class Pooling(nn.Module, ABC):
    """Pools (batch, frames, features) under a mask (batch, frames), True = real, to (batch, output_size)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.output_size = features

    def weights(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """Weights of the frames, (batch, frames), zero on padding, summing to one: here all real frames alike."""
        share = mask.to(sequence.dtype)
        return share / share.sum(dim=1, keepdim=True)

    @abstractmethod
    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor: ...


class Mean(Pooling):
    """Average over the real frames."""

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return weighted_mean(sequence, self.weights(sequence, mask))


class Std(Pooling):
    """Standard deviation over the real frames: how much the features move, not where they lie."""

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        weights = self.weights(sequence, mask)
        return weighted_std(sequence, weights, weighted_mean(sequence, weights))


class NormedMean(Pooling):
    """Mean over the real frames of a sequence brought to zero mean and unit variance, all frames and features together.

    As in SpeechBrain's emotion recipe: one mean and one variance a clip, no weight and no bias.
    """

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        weights = self.weights(sequence, mask)
        mean = weighted_mean(sequence, weights)
        centre = mean.mean(dim=1, keepdim=True)
        spread = weighted_mean((sequence - centre[:, None, :]) ** 2, weights).mean(dim=1, keepdim=True)
        return (mean - centre) * torch.rsqrt(spread + _LAYER_NORM_FLOOR)


class ProjectedMean(Pooling):
    """Mean over the real frames behind a small network that sees each frame alone, with ReLU between its layers.

    Args:
        features: of each frame.
        sizes: outputs of its layers.
    """

    def __init__(self, features: int, *, sizes: Sequence[int] = (256, 256, 256)) -> None:
        super().__init__(features)
        widths = [features, *sizes]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.output_size = widths[-1]

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            sequence = dense(layer, sequence if number == 0 else F.relu(sequence))
        return weighted_mean(sequence, self.weights(sequence, mask))


class RefinedMean(Pooling):
    """Mean over the real frames, to each of which a small network adds something; at first nothing, as a plain mean.

    Frames reach the network normalised, since encoders differ in how large their states are.

    Args:
        features: of each frame.
        hidden_size: of the network's hidden layer.
    """

    def __init__(self, features: int, *, hidden_size: int = 256) -> None:
        super().__init__(features)
        self.inner, self.outer = nn.Linear(features, hidden_size), nn.Linear(hidden_size, features)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        normed = F.layer_norm(sequence, sequence.shape[-1:])
        refined = sequence + dense(self.outer, F.relu(dense(self.inner, normed)))
        return weighted_mean(refined, self.weights(sequence, mask))


class MeanStd(Pooling):
    """Mean and standard deviation side by side."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.output_size = 2 * features

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return weighted_mean_std(sequence, self.weights(sequence, mask))


class AttentivePooling(Pooling):
    """Self-attentive mean: w = softmax_t(a^T tanh(S h_t + b)).

    Reference: Okabe et al. (2018), Attentive statistics pooling, arXiv 1803.10963, equations 1-3.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.projection = nn.Linear(features, features)
        self.score = nn.Linear(features, 1, bias=False)

    def weights(self, sequence: Tensor, mask: Tensor) -> Tensor:
        scores = self.score(torch.tanh(self.projection(sequence))).squeeze(-1)
        return torch.softmax(scores.masked_fill(~mask, float("-inf")), dim=1)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return weighted_mean(sequence, self.weights(sequence, mask))


class AttentiveStats(AttentivePooling):
    """Attentive statistics pooling: mean and standard deviation under the attention weights.

    Reference: Okabe et al. (2018), arXiv 1803.10963, equations 5 and 6; used by the Odyssey 2024 challenge baseline.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.output_size = 2 * features

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        return weighted_mean_std(sequence, self.weights(sequence, mask))
