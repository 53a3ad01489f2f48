"""Attacks of Carlini and Wagner: the smallest change by descent on its size and on the lead of the true class.

The valid range is kept by clipping after each step, the first of their three ways, not by a change of variables.

Reference:
    Carlini and Wagner (2017), arXiv 1608.04644, sections V and VI; the loss is their f_6.
"""

from __future__ import annotations

import torch
from torch import Tensor

from emotune.attacks.attack import Attack, lead, level
from emotune.attacks.victim import Victim

_FIRST_WEIGHT = 0.01
_STRONGEST_WEIGHT = 1e4
_PENALTY = 10.0
"""of the mean share by which numbers go beyond the bound"""
_TOLERANCE = 1.01


class CarliniWagnerL2(Attack):
    """Smallest mean square, relative to the clip's own; the weight of the classes against it comes by bisection."""

    def __init__(self, *, rounds: int = 4, steps: int = 30, rate: float = 0.003, confidence: float = 0.0) -> None:
        self.rounds = rounds
        self.steps = steps
        self.rate = rate
        self.confidence = confidence

    def perturbed(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor:
        best, least = victim.clean, torch.inf
        low, high, weight, scale = 0.0, torch.inf, _FIRST_WEIGHT, level(victim.clean)
        if int(victim.decisions(victim.clean[None])) != truth:
            return victim.clean
        for _ in range(self.rounds):
            found = False
            change = torch.zeros_like(victim.clean)
            moments = Descent(change, self.rate * scale)
            for _ in range(self.steps):
                size, gap, gradient = self._looked(victim, change, truth, weight, scale)
                if gap < 0 and gap + self.confidence <= 0:
                    found = True
                    if size < least:
                        best, least = victim.clean + change, size
                change = victim.clipped(victim.clean + moments.step(change, gradient)) - victim.clean
            low, high = (low, weight) if found else (weight, high)
            weight = min((low + high) / 2 if high < torch.inf else weight * 10, _STRONGEST_WEIGHT)
        return victim.clipped(best)

    def _looked(
        self, victim: Victim, change: Tensor, truth: int, weight: float, scale: float
    ) -> tuple[float, float, Tensor]:
        """Size of a change, lead that it leaves to the true class, and the gradient of both together."""
        with torch.enable_grad():
            leaf = change.detach().requires_grad_(True)
            gap = lead(victim.scores((victim.clean + leaf)[None]), truth)[0]
            size = (leaf / scale).square().mean()
            (gradient,) = torch.autograd.grad(size + weight * (gap + self.confidence).clamp(min=0), leaf)
        return float(size.detach()), float(gap.detach()), gradient


class CarliniWagnerLinf(CarliniWagnerL2):
    """Smallest largest change: what lies beyond a bound is penalised, and the bound shrinks while it succeeds."""

    def __init__(
        self,
        *,
        rounds: int = 8,
        steps: int = 30,
        rate: float = 0.003,
        confidence: float = 0.0,
        shrink: float = 0.7,
    ) -> None:
        super().__init__(rounds=rounds, steps=steps, rate=rate, confidence=confidence)
        self.shrink = shrink

    def perturbed(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor:
        scale = level(victim.clean)
        best, bound = victim.clean, self.rate * scale * self.steps
        if int(victim.decisions(victim.clean[None])) != truth:
            return victim.clean
        for _ in range(self.rounds):
            found = self._within(victim, truth, bound, scale)
            if found is None:
                break
            best, largest = found, float((found - victim.clean).abs().max())
            bound = min(bound, largest) * self.shrink
        return victim.clipped(best)

    def _within(self, victim: Victim, truth: int, bound: float, scale: float) -> Tensor | None:
        """Clip that another class is answered to, changed by no more than a bound and its tolerance, or None."""
        change = torch.zeros_like(victim.clean)
        moments = Descent(change, min(self.rate * scale, bound / 4))
        for _ in range(self.steps):
            with torch.enable_grad():
                leaf = change.detach().requires_grad_(True)
                gap = lead(victim.scores((victim.clean + leaf)[None]), truth)[0]
                beyond = (leaf.abs() / bound - 1).clamp(min=0).mean()
                (gradient,) = torch.autograd.grad((gap + self.confidence).clamp(min=0) + _PENALTY * beyond, leaf)
            is_within = float(change.abs().max()) <= bound * _TOLERANCE
            if is_within and float(gap.detach()) < 0 and float(gap.detach()) + self.confidence <= 0:
                return victim.clean + change
            change = victim.clipped(victim.clean + moments.step(change, gradient)) - victim.clean
        return None


class Descent:
    """Adam on one tensor (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1)."""

    def __init__(self, like: Tensor, rate: float) -> None:
        self.rate, self.steps = rate, 0
        self.first, self.second = torch.zeros_like(like), torch.zeros_like(like)

    def step(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Value after a step down the gradient, all of one shape."""
        self.steps += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient.square()
        mean, spread = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        return value - self.rate * mean / (spread.sqrt() + 1e-12)
