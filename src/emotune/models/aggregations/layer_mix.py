"""Layer mixes: hidden states of every layer -> one sequence."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emotune.errors import ConfigError
from emotune.models.backbones.base import HiddenStates


class LayerMix(nn.Module, ABC):
    """Layer mix: the hidden states of all layers to one sequence.

    Args:
        num_states: layers kept + 1; state 0 is the input of the first layer.
        features: of each state.
        initial: first weights of the states; only a weighted sum takes them.

    Raises:
        ConfigError: if another mix is given ``initial``.
    """

    takes_initial = False

    def __init__(self, num_states: int, features: int, *, initial: Sequence[float] | None = None) -> None:
        super().__init__()
        if initial is not None and not self.takes_initial:
            raise ConfigError("model.layer_mix_initial goes with layer_mix: weighted_sum; leave it out (null).")
        self.num_states = num_states

    @abstractmethod
    def forward(self, states: HiddenStates) -> Tensor:
        """States, each (batch, frames, features), to (batch, frames, features)."""


class Last(LayerMix):
    """The raw output of the last layer kept: keep k layers to use layer k."""

    def forward(self, states: HiddenStates) -> Tensor:
        return states.states[-1]


class WeightedSum(LayerMix):
    """sum_l softmax(a)_l h_l with learned scalars a, as in SUPERB (Yang et al. 2021, arXiv 2105.01051).

    Args:
        num_states: number of states mixed.
        features: of each state.
        initial: where the weights start, one positive share a state; None = all equal.
    """

    takes_initial = True

    def __init__(self, num_states: int, features: int, *, initial: Sequence[float] | None = None) -> None:
        super().__init__(num_states, features, initial=initial)
        given = [1.0 / num_states] * num_states if initial is None else list(initial)
        if len(given) != num_states or not all(share > 0 for share in given):
            raise ConfigError(
                f"model.layer_mix_initial must be {num_states} positive numbers (input of layer 1, then each layer),"
                f" got {list(initial or [])}; null starts with equal ones."
            )
        shares = torch.tensor(given, device="cpu")  # a few numbers, though the model be built without memory
        self.logits = nn.Parameter(torch.log(shares / shares.sum()))

    def forward(self, states: HiddenStates) -> Tensor:
        weights = torch.softmax(self.logits, dim=0)
        mixed = weights[0] * states.states[0]
        for weight, state in zip(weights[1:], states.states[1:], strict=True):
            mixed = mixed + weight * state
        return mixed
