"""LoRA: a low-rank change beside a frozen linear layer."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.errors import ConfigError
from emotune.models.adapters.insertion import Inserted, linears_named, replace
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.product import bias_of, product


class LoRALinear(nn.Linear):
    """W x + b + (alpha / rank) B A dropout(x), with B zero at the start; W and b keep their names and values.

    Args:
        base: the linear layer whose weights it takes over.
        rank: rows of A, shape (rank, inputs), and columns of B, shape (outputs, rank).
        alpha: the scale is alpha / rank.
        dropout: of what goes into A.

    Reference:
        Hu et al. (2021), LoRA, arXiv 2106.09685, section 4.1.
    """

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float, dropout: float) -> None:
        super().__init__(base.in_features, base.out_features, bias=bias_of(base) is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.scale = alpha / rank
        self.dropout = nn.Dropout(dropout)
        self.lora_a = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.lora_b = nn.Parameter(base.weight.new_zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, input: Tensor) -> Tensor:
        change = F.linear(F.linear(self.dropout(input), self.lora_a), self.lora_b)
        return product(input, self.weight, self.bias) + self.scale * change

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain linear layer that gives the same, dropout aside."""
        linear = nn.Linear(self.in_features, self.out_features, bias=bias_of(self) is not None, device="meta")
        linear.weight, linear.bias = nn.Parameter(self.weight + self.scale * self.lora_b @ self.lora_a), self.bias
        return linear


def add_lora(
    backbone: Backbone,
    layers: Sequence[nn.Module],
    *,
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: Sequence[str] = ("q_proj", "v_proj"),
) -> Inserted:
    """Puts LoRA on the linear layers of the given names, such as q_proj, in the given transformer layers.

    Raises:
        ConfigError: for a name that no linear layer has, or a rank below one.
    """
    if rank < 1:
        raise ConfigError(f"model.adapter.rank is {rank}, expected a whole number from 1.")
    trained, outputs = [], {}
    for name, parent, linear in linears_named(backbone, layers, targets):
        adapted = LoRALinear(linear, rank=rank, alpha=alpha, dropout=dropout)
        replace(parent, linear, adapted)
        trained += [adapted.lora_a, adapted.lora_b]
        outputs[name] = adapted.lora_b
    return Inserted(trained, outputs)


def merge_lora(backbone: Backbone) -> None:
    """Turns every LoRA layer into a plain one that gives the same."""
    for parent in list(backbone.modules()):
        for child in list(parent.children()):
            if isinstance(child, LoRALinear):
                replace(parent, child, child.merged())
