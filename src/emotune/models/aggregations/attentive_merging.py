"""Attentive merging: layers gated by the clip, concatenated and projected back."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.aggregations.layer_mix import LayerMix
from emotune.models.aggregations.pooling import weighted_mean
from emotune.models.backbones.base import HiddenStates


class AttentiveMerging(LayerMix):
    """Gates in (0, 1) from the layers' time means; the gated layers through a narrow network back to one sequence.

    It merges the outputs of the L transformer layers, not the input of the first. It holds most of its weights in one
    matrix of (L features) x (L features / 4): 157 million parameters for all 24 layers of WavLM Large, 41 million for
    the first 12, which is the published setting. For odd L the inner size of the gates is L/2 rounded down (ours).
    Padding is kept out of the time means, which the authors' code does not do.

    Reference:
        Pan et al. (2024), Attentive Merging of Hidden Embeddings from Pre-trained Speech Model for Anti-spoofing
        Detection, arXiv 2406.10283, and the authors' code.
    """

    def __init__(self, num_states: int, features: int, *, initial: Sequence[float] | None = None) -> None:
        super().__init__(num_states, features, initial=initial)
        layers = num_states - 1
        inner, narrow = max(layers // 2, 1), layers * features // 4
        self.squeeze = nn.Linear(features, 1, bias=False)
        self.excite = nn.Sequential(
            nn.Linear(layers, inner, bias=False), nn.SiLU(), nn.Linear(inner, layers, bias=False), nn.Sigmoid()
        )
        self.project = nn.Sequential(nn.Linear(layers * features, narrow), nn.SiLU(), nn.Linear(narrow, features))

    def gates(self, states: HiddenStates) -> Tensor:
        """Gates of each layer for each clip, shape (batch, layers), each in (0, 1)."""
        share = states.mask.to(states.states[0].dtype)
        share = share / share.sum(dim=1, keepdim=True)
        means = torch.stack([weighted_mean(state, share) for state in states.states[1:]], dim=1)
        return self.excite(F.silu(self.squeeze(means)).squeeze(-1))

    def forward(self, states: HiddenStates) -> Tensor:
        layers = torch.stack(states.states[1:], dim=-1)  # (batch, frames, features, layers)
        gated = layers * self.gates(states)[:, None, None, :]
        return self.project(gated.flatten(2))  # the layer's index runs fastest
