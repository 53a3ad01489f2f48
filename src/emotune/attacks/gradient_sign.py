"""Attacks under a bound on the largest change: one step or several along the sign of the gradient.

Reference:
    FGSM: Goodfellow et al. (2015), arXiv 1412.6572, section 4. BIM: Kurakin et al. (2017), arXiv 1607.02533, section
    2.2. PGD: Madry et al. (2018), arXiv 1706.06083, section 2.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from emotune.attacks.attack import Attack, Needs, margin_gradient
from emotune.attacks.victim import Victim

PGD_STRIDE = 2.5
"""Length of all steps of PGD together, in units of the bound: from any start it reaches the bound and can turn back."""


def bound_by_snr(clean: Tensor, snr_db: float) -> Tensor:
    """Bounds by the root mean square of each clip over its last axis, (..., samples) -> (..., 1).

    A change of no sample by more than this has at most the power that lies ``snr_db`` under the clip's.
    """
    return clean.double().square().mean(dim=-1, keepdim=True).sqrt().to(clean.dtype) * 10 ** (-snr_db / 20)


def signed_steps(
    gradient: Callable[[Tensor], Tensor],
    clean: Tensor,
    start: Tensor,
    *,
    bound: Tensor | float,
    steps: int,
    stride: float,
    clipped: Callable[[Tensor], Tensor],
) -> Tensor:
    """Steps of ``bound * stride / steps`` along the sign of a gradient, never further from the clean clips than bound.

    Args:
        gradient: of what is to grow, by inputs of any shape.
        clean: of that shape.
        start: likewise, where the first gradient is taken.
        bound: of a change, in the shape of the clips or to be broadcast to it.
        steps: gradients that are taken.
        stride: length of all steps together, in units of the bound.
        clipped: keeps inputs within their valid range.
    """
    changed = start
    for _ in range(steps):
        changed = changed + bound * (stride / steps) * gradient(changed).sign()
        changed = clipped(torch.minimum(torch.maximum(changed, clean - bound), clean + bound))
    return changed


class RandomSign(Attack):
    """No attack but its measure: every number is changed by the whole bound, up or down by chance."""

    needs: ClassVar[Needs] = "decisions"

    def __init__(self, *, epsilon: float | None = None, snr_db: float | None = None) -> None:
        self.epsilon, self.snr_db = epsilon, snr_db

    def bound(self, clean: Tensor) -> Tensor | float:
        """Largest change of a number."""
        if self.snr_db is not None:
            return bound_by_snr(clean, self.snr_db)
        assert self.epsilon is not None
        return self.epsilon

    def perturbed(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor:
        signs = torch.randint(0, 2, victim.clean.shape, generator=generator).to(victim.clean) * 2 - 1
        return victim.clipped(victim.clean + self.bound(victim.clean) * signs)


class FGSM(RandomSign):
    """One step of the bound along the sign of the gradient."""

    needs: ClassVar[Needs] = "gradients"
    steps: int = 1
    stride: float = 1.0

    def start(self, victim: Victim, generator: torch.Generator) -> Tensor:
        """Inputs at which the first gradient is taken."""
        return victim.clean

    def perturbed(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor:
        return signed_steps(
            lambda inputs: margin_gradient(victim, inputs, truth),
            victim.clean,
            self.start(victim, generator),
            bound=self.bound(victim.clean),
            steps=self.steps,
            stride=self.stride,
            clipped=victim.clipped,
        )


class BIM(FGSM):
    """Several steps, the bound together: the basic iterative method. With one step it is FGSM."""

    def __init__(self, *, epsilon: float | None = None, snr_db: float | None = None, steps: int = 10) -> None:
        super().__init__(epsilon=epsilon, snr_db=snr_db)
        self.steps = steps


class PGD(BIM):
    """Several longer steps from a random start within the bound: projected gradient ascent."""

    stride = PGD_STRIDE

    def start(self, victim: Victim, generator: torch.Generator) -> Tensor:
        places = torch.rand(victim.clean.shape, generator=generator).to(victim.clean) * 2 - 1
        return victim.clipped(victim.clean + self.bound(victim.clean) * places)
