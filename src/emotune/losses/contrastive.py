"""Contrastive loss between views of the same clips."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from itertools import combinations
from typing import Literal

import torch
from torch import Tensor

SameSpeaker = Literal["keep", "leave_out", "only"]
UNKNOWN_SPEAKER = -1


class PairwiseInfoNCE(torch.nn.Module):
    """Mean over all pairs of views of the symmetric InfoNCE: each clip is told from the others of the step, both ways.

    For views u and v with unit vectors, l_ij = u_i v_j / t, a clip's loss is log(exp(l_ii) + sum_j w_ij exp(l_ij)) -
    l_ii over its negatives j, and likewise with u and v exchanged; half of both counts. Where all vectors are equal, it
    is the logarithm of the number of clips. A clip without negatives has a loss of zero, and the same clip drawn again
    is none.

    Args:
        temperature: t.
        hardness: b of w_ij, proportional to exp(b l_ij) with a mean of 1 over a clip's negatives; 0 = all alike.
        same_speaker: negatives of a clip's own speaker are kept, left out, or the only ones; unknown speakers are all
            different.

    Reference:
        van den Oord et al. (2018), arXiv 1807.03748, equation 4; over pairs of views: Khaertdinov et al. (2024), arXiv
        2406.07900 (read in its abstract; the temperature and the mean are ours). Hard negatives: Robinson et al.
        (2021), arXiv 2010.04592, section 3, without its correction for false negatives.
    """

    def __init__(self, *, temperature: float = 0.1, hardness: float = 0.0, same_speaker: SameSpeaker = "keep") -> None:
        super().__init__()
        self.temperature = temperature
        self.hardness = hardness
        self.same_speaker = same_speaker

    def forward(self, views: Tensor, clips: Tensor, speakers: Tensor) -> Tensor:
        """A scalar.

        Args:
            views: unit vectors, shape (batch, views, width).
            clips: number of each clip, shape (batch,).
            speakers: likewise, ``UNKNOWN_SPEAKER`` where unknown.
        """
        negatives = self._negatives(clips, speakers)
        losses = [
            (
                self._one_way(views[:, one], views[:, other], negatives)
                + self._one_way(views[:, other], views[:, one], negatives)
            )
            / 2
            for one, other in combinations(range(views.shape[1]), 2)
        ]
        return torch.stack(losses).mean()

    def _negatives(self, clips: Tensor, speakers: Tensor) -> Tensor:
        """Negatives of each clip, shape (batch, batch)."""
        others = clips[:, None] != clips[None, :]
        same = (speakers[:, None] == speakers[None, :]) & (speakers[:, None] != UNKNOWN_SPEAKER)
        if self.same_speaker == "leave_out":
            return others & ~same
        return others & same if self.same_speaker == "only" else others

    def _one_way(self, anchors: Tensor, candidates: Tensor, negatives: Tensor) -> Tensor:
        likeness = anchors @ candidates.T / self.temperature
        positive = likeness.diagonal()
        masked = likeness.masked_fill(~negatives, -torch.inf)
        alone = ~negatives.any(dim=1)
        masked = masked.masked_fill(alone[:, None], 0)  # no negatives: any finite numbers, which do not count below
        spread = torch.logsumexp((1 + self.hardness) * masked, dim=1)
        if self.hardness:
            counts = negatives.sum(dim=1).clamp(min=1).to(likeness)
            spread = spread + counts.log() - torch.logsumexp(self.hardness * masked, dim=1)
        losses = torch.logaddexp(positive, spread) - positive
        return torch.where(alone, torch.zeros_like(losses), losses).mean()
