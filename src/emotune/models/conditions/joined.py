"""All conditions of a model, joined to its pooled features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from emotune.errors import ConfigError
from emotune.models.conditions.condition import Condition
from emotune.models.conditions.tables import CONDITIONS, JOINS

_OPTIONS = ("width", "size", "dropout")  # of a condition; the others say where its value comes from


class Joined(nn.Module):
    """Pooled features and the values of conditions -> what the heads see.

    Args:
        features: size of the pooled vector.
        conditions: name, an entry of ``CONDITIONS``, to its options.
        join: an entry of ``JOINS``.

    Raises:
        ConfigError: for an unknown name, or a condition without the width of its value.
    """

    def __init__(self, features: int, conditions: Mapping[str, Mapping[str, Any]], join: str) -> None:
        super().__init__()
        made = {name: _condition(name, about) for name, about in conditions.items()}
        self.widths = {name: condition.width for name, condition in made.items()}
        self.conditions = nn.ModuleDict(made)
        self.join = JOINS[join](features, sum(condition.size for condition in made.values()))
        self.output_size: int = self.join.output_size

    def forward(self, features: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Features (batch, ..., features) with values (batch, width) by name; one that is not there is unknown."""
        unknown = features.new_full((len(features), 1), torch.nan)
        own = [
            condition(values.get(name, unknown.expand(-1, self.widths[name])))
            for name, condition in self.conditions.items()
        ]
        return self.join(features, torch.cat(own, dim=1))


def _condition(name: str, about: Mapping[str, Any]) -> Condition:
    options = {key: about[key] for key in _OPTIONS if key in about}
    try:
        return CONDITIONS[name](**options)
    except TypeError as error:  # a text condition without the width of its embedding
        raise ConfigError(f"Condition '{name}' lacks an option: {error}.") from error
