"""1 - CCC per dimension, over the whole batch."""

from __future__ import annotations

import torch
from torch import Tensor

from emotune.batch import Output, Targets
from emotune.losses.base import Loss, LossSum


class CCCLoss(Loss):
    """Mean over dimensions of 1 - CCC, from the biased moments of the batch; unknown values (NaN) do not count.

    A dimension with fewer than two known values in the batch gives no loss. The loss belongs to a batch, not to
    utterances, so it cannot be summed over micro-batches.

    Reference: Lin (1989), Biometrics 45(1), equation 1.
    """

    additive = False

    def __init__(self, *, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, output: Output, targets: Targets) -> LossSum:
        assert output.dimensions is not None and targets.dimensions is not None
        losses = []
        for column in range(targets.dimensions.shape[1]):
            truth = targets.dimensions[:, column]
            known = ~torch.isnan(truth)
            if int(known.sum()) >= 2:
                losses.append(1 - self._ccc(truth[known].float(), output.dimensions[known, column].float()))
        total = torch.stack(losses).mean() if losses else output.dimensions.sum() * 0
        return LossSum(total, self.normaliser(targets))

    def normaliser(self, targets: Targets) -> Tensor:
        assert targets.dimensions is not None
        return torch.ones((), device=targets.dimensions.device)

    def _ccc(self, truth: Tensor, prediction: Tensor) -> Tensor:
        truth_mean, prediction_mean = truth.mean(), prediction.mean()
        covariance = ((truth - truth_mean) * (prediction - prediction_mean)).mean()
        spread = truth.var(correction=0) + prediction.var(correction=0) + (truth_mean - prediction_mean) ** 2
        return 2 * covariance / (spread + self.epsilon)
