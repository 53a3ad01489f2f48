"""Sparse attack: the few-pixel attack for sound, by differential evolution."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from emotune.attacks.attack import Attack, Needs, lead, level
from emotune.attacks.victim import Victim

_WEIGHT = 0.5
"""of the difference of two candidates"""


class Sparse(Attack):
    """Changes a fixed count of numbers; place and length of each evolve, by the lead that the true class keeps.

    Reference:
        Su et al. (2019), One Pixel Attack, arXiv 1710.08864, section III: children are x_a + 0.5 (x_b - x_c), without
        crossover, and take the place of their parent where they are better.
    """

    needs: ClassVar[Needs] = "scores"

    def __init__(self, *, count: int = 20, change: float = 4.0, population: int = 16, generations: int = 20) -> None:
        self.count = count
        self.change = change
        self.population = population
        self.generations = generations

    @torch.no_grad()
    def perturbed(self, victim: Victim, truth: int, generator: torch.Generator) -> Tensor:
        clean = victim.clean
        length = self.change * level(clean)
        shape = (self.population, min(self.count, clean.numel()))

        def inputs(genes: Tensor) -> Tensor:
            places = (genes[..., 0] * clean.numel()).long().clamp(0, clean.numel() - 1)
            rows = clean.flatten().repeat(len(genes), 1)
            moved = rows.gather(1, places) + length * genes[..., 1].clamp(-1, 1)
            return victim.clipped(rows.scatter(1, places, moved)).view(-1, *clean.shape)

        places = torch.rand(shape, generator=generator)
        signs = torch.randint(0, 2, shape, generator=generator) * 2.0 - 1
        genes = torch.stack([places, signs], dim=-1).to(clean)
        leads = lead(victim.scores(inputs(genes)), truth)
        for _ in range(self.generations):
            if bool((leads < 0).any()):
                break
            order = (
                torch.rand(self.population, self.population, generator=generator).argsort(dim=1)[:, :3].to(clean.device)
            )
            first, second, third = (genes[order[:, n]] for n in range(3))
            children = first + _WEIGHT * (second - third)
            children[..., 0] = children[..., 0] % 1.0
            theirs = lead(victim.scores(inputs(children)), truth)
            better = theirs < leads
            genes = torch.where(better[:, None, None], children, genes)
            leads = torch.where(better, theirs, leads)
        return inputs(genes[leads.argmin()][None])[0]
