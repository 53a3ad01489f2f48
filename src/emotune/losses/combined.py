"""The losses of a recipe together, exact over the micro-batches of an optimiser step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emotune.batch import Output, Targets
from emotune.losses.base import BatchLoss, Loss

_PENALTY = "penalty"


class CombinedLoss(nn.Module):
    """A weighted sum of losses, plus the mean of the model's own penalty where it has one.

    Args:
        losses: name -> (weight, loss).
    """

    def __init__(self, losses: Mapping[str, tuple[float, Loss | BatchLoss]]) -> None:
        super().__init__()
        self.means = nn.ModuleDict({name: loss for name, (_, loss) in losses.items() if isinstance(loss, Loss)})
        self.wholes = nn.ModuleDict({name: loss for name, (_, loss) in losses.items() if isinstance(loss, BatchLoss)})
        self.weights = {name: weight for name, (weight, _) in losses.items()}

    def normalisers(self, targets: Targets) -> dict[str, Tensor]:
        """What each mean over a batch is divided by, from the targets alone; summed over the batches of a step."""
        found = {name: loss.normaliser(targets) for name, loss in self.means.items() if isinstance(loss, Loss)}
        return {**found, _PENALTY: torch.tensor(float(len(targets)), device=targets.device)}

    def mean_losses(self, output: Output, targets: Targets, normalisers: Mapping[str, Tensor]) -> Tensor:
        """This batch's part of the means over a step; a normaliser of zero (no truth at all) gives no loss."""
        terms = [
            self.weights[name] * loss.values_over_layers(output, targets).sum() / _at_least_some(normalisers[name])
            for name, loss in self.means.items()
            if isinstance(loss, Loss)
        ]
        if output.penalty is not None:
            terms.append(output.penalty.sum() / normalisers[_PENALTY])
        return torch.stack(terms).sum() if terms else output.features.sum() * 0

    def whole_losses(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """Losses of all dimensions of a step at once, each shape (batch, dimensions)."""
        return torch.stack([self.weights[name] * loss(prediction, truth) for name, loss in self.wholes.items()]).sum()


def _at_least_some(normaliser: Tensor) -> Tensor:
    return torch.where(normaliser > 0, normaliser, torch.ones_like(normaliser))
