"""All conditions of a model, joined to its pooled features."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor, nn

from emotune.conditions import CONDITIONS
from emotune.errors import ConfigError
from emotune.models.conditions import JOINS
from emotune.models.conditions.features import ConditionFeatures


class Joined(nn.Module):
    """Pooled features and the vectors of conditions -> what the heads see.

    Args:
        features: size of the pooled vector.
        conditions: name, an entry of ``CONDITIONS``, to its options and, where an encoder makes its vectors, their
            ``width``.
        join: an entry of ``JOINS``.

    Raises:
        ConfigError: for an unknown name, or a condition without the width of its vectors.
    """

    def __init__(
        self, features: int, conditions: Mapping[str, Mapping[str, Any]], join: str | Mapping[str, Any]
    ) -> None:
        super().__init__()
        made = {name: features_of(name, about) for name, about in conditions.items()}
        self.widths = {name: own.width for name, own in made.items()}
        self.conditions = nn.ModuleDict(made)
        self.join = JOINS.make(join, features, sum(own.size for own in made.values()))
        self.output_size: int = self.join.output_size

    def forward(self, features: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Features (batch, ..., features) with vectors (batch, width) by name; one that is not there is unknown."""
        unknown = features.new_full((features.shape[0], 1), torch.nan)
        own = [
            condition(values.get(name, unknown.expand(-1, self.widths[name])))
            for name, condition in self.conditions.items()
        ]
        return self.join(features, torch.cat(own, dim=1))


def features_of(name: str, about: Mapping[str, Any]) -> ConditionFeatures:
    """The module that makes features of a condition, with random weights.

    Args:
        name: an entry of ``CONDITIONS``.
        about: ``width`` and the options that the module takes; what else is there says where the value comes from.

    Raises:
        ConfigError: for an unknown name or a missing option.
    """
    condition = CONDITIONS[name]()
    options = {key: about[key] for key in condition.feature_options if key in about}
    width = about.get("width", condition.width)
    try:
        return resolve_name(condition.features)(**options, **({} if width is None else {"width": width}))
    except TypeError as error:  # one whose encoder says how wide its vectors are, without that
        raise ConfigError(f"Condition '{name}' lacks an option: {error}.") from error
