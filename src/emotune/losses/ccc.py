"""1 - CCC per dimension, over the whole batch."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor

from emotune.losses.base import BatchLoss


class CCCLoss(BatchLoss):
    """Mean over dimensions of 1 - CCC, from the biased moments of the batch; unknown values (NaN) do not count.

    A dimension with fewer than two known values in the batch gives no loss.

    Reference: Lin (1989), Biometrics 45(1), equation 1.
    """

    head = truth = "dimensions"

    def __init__(self, *, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, prediction: Tensor, truth: Tensor) -> Tensor:
        losses: list[Tensor] = []
        for column in range(truth.shape[1]):
            known = ~torch.isnan(truth[:, column])
            if int(known.sum()) >= 2:
                losses.append(1 - self._ccc(truth[known, column].float(), prediction[known, column].float()))
        return torch.stack(losses).mean() if losses else prediction.sum() * 0

    def _ccc(self, truth: Tensor, prediction: Tensor) -> Tensor:
        truth_mean, prediction_mean = truth.mean(), prediction.mean()
        covariance = ((truth - truth_mean) * (prediction - prediction_mean)).mean()
        spread = truth.var(correction=0) + prediction.var(correction=0) + (truth_mean - prediction_mean) ** 2
        return 2 * covariance / (spread + self.epsilon)
