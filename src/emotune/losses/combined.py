"""The losses of a recipe together, exact over the micro-batches of an optimiser step."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emotune.batch import Output, Targets
from emotune.losses.base import BatchLoss, Loss

PENALTY = "penalty"


class CombinedLoss(nn.Module):
    """A weighted sum of losses, plus the mean of the model's own penalty where it has one.

    Args:
        losses: name -> (weight, loss).
    """

    def __init__(self, losses: Mapping[str, tuple[float, Loss | BatchLoss]]) -> None:
        super().__init__()
        self.modules_by_name = nn.ModuleDict({name: loss for name, (_, loss) in losses.items()})
        self.weights = {name: weight for name, (weight, _) in losses.items()}

    @property
    def means(self) -> dict[str, Loss]:
        """The losses that are means over utterances."""
        return {name: loss for name, loss in self.modules_by_name.items() if isinstance(loss, Loss)}

    @property
    def wholes(self) -> dict[str, BatchLoss]:
        """The losses of a whole step at once."""
        return {name: loss for name, loss in self.modules_by_name.items() if isinstance(loss, BatchLoss)}

    @property
    def truths(self) -> set[str]:
        """Names of the truth that is learnt from."""
        return {loss.truth for loss in [*self.means.values(), *self.wholes.values()]}

    def normalisers(self, targets: Targets) -> dict[str, Tensor]:
        """Divisors of each mean over a batch, from the targets alone; summed over the batches of a step."""
        found = {name: loss.normaliser(targets[loss.truth]) for name, loss in self.means.items()}
        any_truth = next(iter(targets.values()))
        return {**found, PENALTY: torch.tensor(float(len(any_truth)), device=any_truth.device)}

    def mean_losses(self, output: Output, targets: Targets, normalisers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """This batch's part of each mean over a step; a normaliser of zero (no truth at all) gives no loss."""
        found = {
            name: self.weights[name] * loss.of_batch(output, targets).sum() / at_least_some(normalisers[name])
            for name, loss in self.means.items()
        }
        if output.penalty is not None:
            found[PENALTY] = output.penalty.sum() / normalisers[PENALTY]
        return found

    def whole_loss(self, name: str, prediction: Tensor, truth: Tensor) -> Tensor:
        """A loss of all predictions of a step at once, weighted; each shape (batch, outputs)."""
        return self.weights[name] * self.wholes[name](prediction, truth)


def at_least_some(normaliser: Tensor) -> Tensor:
    """A divisor of sums: one where there is nothing to divide by."""
    return torch.where(normaliser > 0, normaliser, torch.ones_like(normaliser))
