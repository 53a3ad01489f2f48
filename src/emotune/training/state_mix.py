"""Mixing of what the encoder gives for the clips of a batch, labels with labels: manifold mixup."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor

from emotune.batch import Batch, Mixing


class StateMix:
    """Mixes a share of a batch's clips, each with another one of them of which the same truth is known.

    One share s = max(b, 1 - b), b from Beta(alpha, alpha), is drawn for a batch, so that the truth of a batch sums to
    what it did, and losses have their divisors. Randomness is that of torch's generator.

    Args:
        alpha: small = mostly one clip, large = near halves.
        probability: of a clip to be mixed.
        at: ``states`` = frames of all layers before they are mixed and pooled, ``features`` = pooled vectors.

    Reference:
        Verma et al. (2019), Manifold Mixup, arXiv 1806.05236, section 2: a share for each batch. That it is done
        behind the encoder and not inside it, and that clips of another length are repeated or cut, are ours.
    """

    def __init__(self, *, alpha: float, probability: float, at: Literal["states", "features"]) -> None:
        self.distribution = torch.distributions.Beta(alpha, alpha)
        self.probability = probability
        self.at: Literal["states", "features"] = at

    def __call__(self, batch: Batch) -> Batch:
        """The batch with its plan of mixing, its targets and conditions mixed."""
        drawn = torch.rand(len(batch.waveforms)) < self.probability
        share = float(self.distribution.sample())
        partners = _partners(batch, drawn)
        mixing = Mixing(partners.to(batch.waveforms.device), max(share, 1 - share), self.at)
        targets, conditions = (
            {name: mixing.of(value) for name, value in named.items()} for named in (batch.targets, batch.conditions)
        )
        return dataclasses.replace(batch, targets=targets, conditions=conditions, mixing=mixing)


def _partners(batch: Batch, drawn: Tensor) -> Tensor:
    """A random permutation of the drawn clips among those of which the same is known; others are their own partners."""
    clips = len(drawn)
    partners = torch.arange(clips)
    known = [~torch.isnan(truth).cpu() for truth in batch.targets.values()]
    kinds = torch.cat([torch.zeros(clips, 1, dtype=torch.bool), *known], dim=1).unique(dim=0, return_inverse=True)[1]
    for kind in range(int(kinds.max()) + 1):
        rows = torch.nonzero(drawn & (kinds == kind)).flatten()
        partners[rows] = rows[torch.randperm(len(rows))]
    return partners
