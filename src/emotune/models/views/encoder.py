"""States of another encoder as a view."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from emotune.batch import Batch
from emotune.errors import ConfigError
from emotune.models.aggregations import POOLINGS
from emotune.models.aggregations.layer_mix import WeightedSum
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import HiddenStates
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.views.view import View


class EncoderStates(View):
    """A frozen encoder's states, by a learned mix of its layers and a pooling.

    Args:
        family: an entry of ``BACKBONES``.
        checkpoint: folder or Hub name; None = random weights from ``config``.
        config: keys of a published config.json.
        layers: how many are kept; None = all.
        pooling: an entry of ``POOLINGS``.

    Raises:
        ConfigError: for an encoder that takes clips otherwise normalised than as they are recorded.
    """

    def __init__(
        self,
        *,
        family: str,
        checkpoint: str | None = None,
        config: Mapping[str, Any] | None = None,
        layers: int | None = None,
        pooling: str = "mean_std",
    ) -> None:
        super().__init__()
        if checkpoint is not None:
            self.backbone = load_pretrained(family, checkpoint, layers=layers)
        else:
            self.backbone = BACKBONES[family].from_config(dict(config or {}), layers=layers)
        self.normalize = self.backbone.normalize
        self.backbone.requires_grad_(False)
        self.layer_mix = WeightedSum(self.backbone.num_layers + 1, self.backbone.hidden_size)
        self.pooling = POOLINGS.make(pooling, self.backbone.hidden_size)
        self.output_size = self.pooling.output_size

    def train(self, mode: bool = True) -> EncoderStates:
        """As ``nn.Module.train``, but the encoder stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            states: HiddenStates = self.backbone(batch.waveforms, batch.mask)
        return self.pooling(self.layer_mix(states), states.mask)


def refuse_otherwise_normalised(name: str, view: View, normalize: str) -> None:
    """Refuses a view of an encoder that needs another normalisation of the clips than the model has.

    Raises:
        ConfigError: naming both.
    """
    if isinstance(view, EncoderStates) and view.normalize != normalize:
        raise ConfigError(
            f"views.beside: {name} takes clips normalised as '{view.normalize}', and the model as '{normalize}': the"
            " same sound cannot serve both. Name an encoder that takes the same."
        )
