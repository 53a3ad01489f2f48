"""Bottleneck adapters: a small network behind the last linear layer of a sublayer."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from emotune.errors import ConfigError
from emotune.models.adapters.insertion import Inserted, linears_named, replace
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.product import bias_of, product
from emotune.registry import unknown_name_message


class BottleneckLinear(nn.Linear):
    """h + U ReLU(D h) with h = W x + b, and U zero at the start; W and b keep their names and values.

    Behind the last linear layer of a sublayer and before the residual sum, as Houlsby et al. have it.

    Args:
        base: the linear layer whose weights it takes over.
        size: of the bottleneck.

    Reference:
        Houlsby et al. (2019), Parameter-Efficient Transfer Learning for NLP, arXiv 1902.00751, section 2.1.
    """

    def __init__(self, base: nn.Linear, *, size: int) -> None:
        super().__init__(base.in_features, base.out_features, bias=bias_of(base) is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.down = nn.Linear(base.out_features, size)
        self.up = nn.Linear(size, base.out_features)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, input: Tensor) -> Tensor:
        hidden = product(input, self.weight, self.bias)
        return hidden + self.up(F.relu(self.down(hidden)))


def add_bottleneck(
    backbone: Backbone, layers: Sequence[nn.Module], *, size: int = 64, after: Sequence[str] = ("feed_forward",)
) -> Inserted:
    """Puts bottleneck adapters into the given transformer layers.

    Args:
        size: of the bottleneck.
        after: the sublayers: feed_forward, attention, or both, which is Houlsby et al.'s two a layer.

    Raises:
        ConfigError: for an unknown sublayer or a size below one.
    """
    if size < 1:
        raise ConfigError(f"model.adapter.size is {size}, expected a whole number from 1.")
    for sublayer in after:
        if sublayer not in backbone.sublayer_ends:
            raise ConfigError(
                "model.adapter.after: " + unknown_name_message("sublayer", sublayer, backbone.sublayer_ends)
            )
    trained, outputs = [], {}
    for name, parent, linear in linears_named(
        backbone, layers, [backbone.sublayer_ends[sublayer] for sublayer in after]
    ):
        adapted = BottleneckLinear(linear, size=size)
        replace(parent, linear, adapted)
        trained += [*adapted.down.parameters(), *adapted.up.parameters()]
        outputs[name] = adapted.up.bias
    return Inserted(trained, outputs)
