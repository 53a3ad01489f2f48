"""Methods of the library PEFT, put on our encoders by the library itself."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from emotune.errors import ConfigError
from emotune.models.adapters.insertion import Inserted, linears_named, replace
from emotune.models.backbones.base import Backbone
from emotune.runtime.extras import needs

METHODS = ("dora", "rslora", "ia3")
_NAME = "default"  # under which PEFT keeps one adapter of many


def add_peft(
    backbone: Backbone,
    layers: Sequence[nn.Module],
    *,
    method: str = "dora",
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: Sequence[str] = ("q_proj", "v_proj"),
) -> Inserted:
    """Puts an adapter of PEFT on the linear layers of the given names in the given transformer layers.

    Args:
        method: ``dora`` learns directions and lengths of the rows of a weight apart, ``rslora`` scales a LoRA by the
            root of its rank, ``ia3`` learns one factor for each output.
        rank: of the first two.
        alpha: likewise.
        dropout: likewise.
        targets: last parts of the names of linear layers.

    Raises:
        ConfigError: for a name that no linear layer has, an unknown method, or without the package.

    Reference:
        Liu et al. (2024), DoRA, arXiv 2402.09353. Kalajdzievski (2023), rsLoRA, arXiv 2312.03732. Liu et al. (2022),
        IA3, arXiv 2205.05638.
    """
    if method not in METHODS:
        raise ConfigError(f"model.adapter.method is '{method}', expected one of {', '.join(METHODS)}.")
    with needs("peft", "model.adapter.name: peft"):
        import peft  # noqa: PLC0415 (an extra of its own)
    names = [name for name, _, _ in linears_named(backbone, layers, targets)]
    if method == "ia3":
        config: Any = peft.IA3Config(target_modules=names, feedforward_modules=[])
    else:
        lora: dict[str, Any] = {"r": rank, "lora_alpha": alpha, "lora_dropout": dropout}
        config = peft.LoraConfig(target_modules=names, use_dora=method == "dora", use_rslora=method == "rslora", **lora)
    wanted = {name: parameter.requires_grad for name, parameter in backbone.named_parameters()}
    peft.inject_adapter_in_model(config, backbone, adapter_name=_NAME)
    trained = {name: parameter for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(name in trained or wanted[name.replace(".base_layer.", ".")])
    end = "ia3_l" if method == "ia3" else "lora_B"  # what has a gradient from the first step on
    outputs = {name: parameter for name, parameter in trained.items() if f".{end}." in name}
    return Inserted(list(trained.values()), outputs)


def merge_peft(backbone: Backbone) -> None:
    """Turns every layer of PEFT into the plain one that gives the same."""
    from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: PLC0415 (an extra of its own)

    for parent in list(backbone.modules()):
        for child in list(parent.children()):
            if isinstance(child, BaseTunerLayer):
                child.merge()
                replace(parent, child, child.get_base_layer())
