"""Second-order pooling: the features' covariance over time."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor, nn

from emotune.models.aggregations.pooling import Pooling, weighted_mean

_SMALLEST = 1e-5  # keeps the gradient of the square root finite


class Covariance(Pooling):
    """Covariance of projected features over the real frames, signed square roots of its upper triangle.

    A standard deviation says how much each feature moves; this says which move together too. Projected to a few
    features first, since the vector grows with their square.

    Args:
        features: of each frame.
        size: features that are projected to.

    Reference:
        Lin et al. (2015), Bilinear CNN models, ICCV, section 3: signed square roots of a second-order pooling. Over
        the frames of a speech encoder, and the projection: ours.
    """

    def __init__(self, features: int, *, size: int = 32) -> None:
        super().__init__(features)
        self.projection = nn.Linear(features, size)
        self.upper = [row * size + column for row in range(size) for column in range(row, size)]
        self.output_size = size * (size + 1) // 2

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        weights = self.weights(sequence, mask)
        projected = self.projection(sequence)
        centred = (projected - weighted_mean(projected, weights)[:, None, :]).masked_fill(~mask[:, :, None], 0)
        covariance = (centred * weights[:, :, None]).transpose(1, 2) @ centred
        values = covariance.flatten(1)[:, self.upper]
        return values / torch.sqrt(values.abs() + _SMALLEST)
