"""Discriminator: guesses the group of a clip, such as its corpus, from features that learn to hide it."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from emotune.models.heads.network import HeadNetwork

GROUP = "group"
"""Name of its scores in an output, and of the truth that they are compared with."""


class Discriminator(nn.Module):
    """Pooled features (batch, features) -> scores of the groups (batch, groups), behind a gradient reversal.

    It learns to tell the groups, and what gives the features learns that it cannot. It belongs to training alone and
    is no part of a stored model.

    Args:
        features: size of the pooled vector.
        groups: number of groups.
        hidden_size: of its hidden layer.

    Reference:
        Ganin and Lempitsky (2015), Unsupervised domain adaptation by backpropagation, arXiv 1409.7495, equations 7 to
        9, with lambda 1: the weight of its loss is what it counts. The size of its network is ours.
    """

    def __init__(self, features: int, groups: int, *, hidden_size: int) -> None:
        super().__init__()
        self.network = HeadNetwork(features, groups, hidden_size=hidden_size)

    def forward(self, features: Tensor) -> Tensor:
        return self.network(_Reversal.apply(features))


class _Reversal(torch.autograd.Function):
    """The same forward, the opposite gradient backward."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient
