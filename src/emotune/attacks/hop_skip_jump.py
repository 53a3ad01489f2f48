"""HopSkipJump: along the boundary between classes, towards the clean clip, from nothing but the answered class."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from emotune.attacks.attack import Attack, Needs, level
from emotune.attacks.victim import Victim

_STARTS = (0.3, 1.0, 3.0, 10.0, 30.0)
"""levels of the noise that the search may start from, relative to the clip"""
_TRIES = 8
"""noises of each level"""
_HALVINGS = 10
_AT_ONCE = 16


class HopSkipJump(Attack):
    """Nearest clip of another class in the Euclidean norm, as far as the queries allow.

    It starts from noise that is loud enough to change the answer; where none is, the clip stays as it is.

    Reference:
        Chen et al. (2020), HopSkipJumpAttack, arXiv 1904.02144, algorithm 2 and equation 16.
    """

    needs: ClassVar[Needs] = "decisions"

    def __init__(self, *, iterations: int = 8, queries: int = 24) -> None:
        self.iterations = iterations
        self.queries = queries

    @torch.no_grad()
    def perturbed(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor:
        clean = victim.clean
        if self._is_wrong(victim, clean[None], truth)[0]:
            return clean
        found = self._noisy(victim, truth, generator)
        if found is None:
            return clean
        found = self._on_boundary(victim, found, truth)
        for number in range(1, self.iterations + 1):
            distance = float((found - clean).norm())
            direction = self._direction(victim, found, truth, distance, number, generator)
            step = distance / number**0.5
            for _ in range(_HALVINGS):
                moved = victim.clipped(found + step * direction)
                if self._is_wrong(victim, moved[None], truth)[0]:
                    nearer = self._on_boundary(victim, moved, truth)
                    found = nearer if float((nearer - clean).norm()) < distance else found
                    break
                step /= 2
        return found

    def _is_wrong(self, victim: Victim, inputs: Tensor, truth: int) -> Tensor:
        rows = [victim.decisions(part) for part in inputs.split(_AT_ONCE)]
        return torch.cat(rows) != truth

    def _noisy(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor | None:
        """Clip under a noise of the lowest level at which one of several changes its answer."""
        for relative in _STARTS:
            noises = torch.randn((_TRIES, *victim.clean.shape), generator=generator).to(victim.clean)
            moved = victim.clipped(victim.clean + relative * level(victim.clean) * noises)
            wrong = self._is_wrong(victim, moved, truth)
            if bool(wrong.any()):
                return moved[wrong][0]
        return None

    def _on_boundary(self, victim: Victim, wrong: Tensor, truth: int) -> Tensor:
        """Last wrong clip on the way from a wrong one to the clean one, by bisection."""
        low, high = 0.0, 1.0  # shares of the wrong clip: right, wrong
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            mixed = victim.clean + middle * (wrong - victim.clean)
            low, high = (low, middle) if self._is_wrong(victim, mixed[None], truth)[0] else (middle, high)
        return victim.clean + high * (wrong - victim.clean)

    def _direction(
        self, victim: Victim, found: Tensor, truth: int, distance: float, number: int, generator: torch.Generator
    ) -> Tensor:
        """Estimate of the way into the wrong classes, of length 1: where random steps lead, less their mean."""
        count = round(self.queries * number**0.5)
        steps = torch.randn((count, *found.shape), generator=generator).to(found)
        steps /= steps.flatten(1).norm(dim=1).view(-1, *[1] * found.ndim)
        wrong = self._is_wrong(victim, victim.clipped(found + 0.05 * distance * steps), truth).to(found) * 2 - 1
        weights = wrong if bool((wrong == wrong[0]).all()) else wrong - wrong.mean()
        way = (weights.view(-1, *[1] * found.ndim) * steps).mean(dim=0)
        return way / way.norm().clamp(min=1e-12)
