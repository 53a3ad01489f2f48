"""JSMA: a few numbers, those to which the classes answer most."""

from __future__ import annotations

import torch
from torch import Tensor

from emotune.attacks.attack import Attack, jacobian, level
from emotune.attacks.victim import Victim


class JSMA(Attack):
    """Changes the most salient numbers by a fixed length, each once, until the class is another one.

    It heads for the best of the wrong classes. A number is salient where that class's score and the sum of all others
    answer to it in opposite directions: |dz_t| * |sum of dz_k|.

    Reference:
        Papernot et al. (2016), arXiv 1511.07528, equation 8, here upwards and downwards, and several numbers between
        two looks at the gradient.
    """

    def __init__(self, *, share: float = 0.05, together: float = 0.005, change: float = 1.0) -> None:
        self.share = share
        self.together = together
        self.change = change

    def perturbed(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor:
        clean = victim.clean.flatten()
        most = max(1, int(self.share * clean.numel()))
        at_once = max(1, int(self.together * clean.numel()))
        length = self.change * level(victim.clean)
        changed, untouched, used = clean.clone(), torch.ones_like(clean, dtype=torch.bool), 0
        target: int | None = None
        while True:
            scores, gradients = jacobian(victim, changed.view_as(victim.clean))
            if int(scores.argmax()) != truth or used >= most:
                return changed.view_as(victim.clean)
            if target is None:
                target = int(
                    scores.masked_fill(torch.arange(len(scores), device=scores.device) == truth, -torch.inf).argmax()
                )
            towards = gradients[target].flatten()
            others = gradients.flatten(1).sum(dim=0) - towards
            salience = torch.where(untouched & (towards * others < 0), towards.abs() * others.abs(), -1.0)
            values, places = salience.topk(min(at_once, most - used))
            places = places[values > 0]
            if not len(places):
                return changed.view_as(victim.clean)
            changed[places] = victim.clipped(clean[places] + length * towards[places].sign())
            untouched[places] = False
            used += len(places)
