"""BitFit: only the biases train."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from emotune.models.adapters.insertion import Inserted
from emotune.models.backbones.base import Backbone


def choose_biases(backbone: Backbone, layers: Sequence[nn.Module]) -> Inserted:
    """The biases of the given transformer layers, those of norms included; nothing is inserted.

    Reference:
        Ben Zaken et al. (2021), BitFit, arXiv 2106.10199.
    """
    named = [pair for layer in layers for pair in layer.named_parameters()]
    return Inserted([parameter for name, parameter in named if name.rsplit(".", 1)[-1] == "bias"], {})
