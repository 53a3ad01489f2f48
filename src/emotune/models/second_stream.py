"""Second encoder of a model: mean pooled, projected, and joined to the pooled sound of the first."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError
from emotune.models.aggregations import LAYER_MIXES
from emotune.models.aggregations.pooling import Mean
from emotune.models.backbones.base import Backbone, HiddenStates
from emotune.models.backbones.remembered import RememberedStates
from emotune.models.normalisation import normalized


class SecondStream(nn.Module):
    """Encoder beside the first: layer mix, mean over time, linear projection, ReLU.

    It hears the clip as the first one does. Where it needs clips that are normalised, and the first does not, it
    normalises them itself.

    Args:
        backbone: an entry of ``BACKBONES``, loaded or with random weights.
        layer_mix: an entry of ``LAYER_MIXES``, by name or as ``{name: ..., **options}``.
        size: features that the pooled vector is projected to.
        normalizes: whether it normalises each clip.

    Reference:
        MEDUSA (Interspeech 2025 challenge) projects the mean of each of its encoders to 512 and joins them; that the
        projection is one layer is ours.
    """

    remembered: RememberedStates | None = None

    def __init__(
        self,
        backbone: Backbone,
        *,
        layer_mix: str | Mapping[str, Any] = "weighted_sum",
        size: int = 512,
        normalizes: bool = False,
    ) -> None:
        super().__init__()
        self.options: dict[str, Any] = {"layer_mix": layer_mix, "size": size, "normalizes": normalizes}
        self.backbone = backbone
        self.layer_mix = LAYER_MIXES.make(layer_mix, backbone.num_layers + 1, backbone.hidden_size, initial=None)
        self.pooling = Mean(backbone.hidden_size)
        self.projection = nn.Linear(backbone.hidden_size, size)
        self.output_size = size

    def states(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        """States of its encoder for padded clips, both of shape (batch, samples)."""
        if self.options["normalizes"]:
            waveforms = normalized(waveforms, mask, variance_floor=Preprocessing.variance_floor)
        return (self.remembered or self.backbone)(waveforms, mask)

    def pooled(self, states: HiddenStates) -> Tensor:
        """Features for its encoder's states, shape (batch, size)."""
        return F.relu(self.projection(self.pooling(self.layer_mix(states), states.mask)))

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but the weights, as plain JSON; ``EmotionModel.from_config`` builds the stream again."""
        return {"backbone": self.backbone.config, **self.options}


def second_normalizes(first: Backbone, second: Backbone) -> bool:
    """Tells whether the second encoder normalises clips that come to it as the first one needs them.

    Raises:
        ConfigError: where it would need them as they were before.
    """
    if first.normalize == second.normalize:
        return False
    if first.normalize == "clip":
        raise ConfigError(
            f"model.second: {second.model_type} hears clips as they are, and for {first.model_type} they are normalised"
            " before. Let them change places: the one that hears clips as they are is model.backbone."
        )
    return True
