"""DeepFool: step by step to the nearest boundary between classes, each taken for a plane."""

from __future__ import annotations

import torch
from torch import Tensor

from emotune.attacks.attack import Attack, jacobian
from emotune.attacks.victim import Victim


class DeepFool(Attack):
    """Smallest change in the Euclidean norm, were the model linear; for a linear one, exactly that.

    A clip whose class it cannot change stays as it is.

    Reference:
        Moosavi-Dezfooli et al. (2016), arXiv 1511.04599, algorithm 2.
    """

    def __init__(self, *, steps: int = 30, overshoot: float = 0.02) -> None:
        self.steps = steps
        self.overshoot = overshoot

    def perturbed(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor:
        change = torch.zeros_like(victim.clean)
        changed = victim.clean
        for _ in range(self.steps):
            scores, gradients = jacobian(victim, changed)
            if int(scores.argmax()) != truth:
                return changed
            gaps, ways = scores - scores[truth], gradients - gradients[truth]
            norms = ways.flatten(1).norm(dim=1).clamp(min=1e-12)
            distances = gaps.abs() / norms
            distances[truth] = torch.inf
            nearest = int(distances.argmin())
            # a little more than the distance: on the very boundary the true class would still be answered
            change = change + (distances[nearest] * 1.0001 + 1e-9) / norms[nearest] * ways[nearest]
            changed = victim.clipped(victim.clean + (1 + self.overshoot) * change)
        return changed if int(victim.decisions(changed[None])) != truth else victim.clean
