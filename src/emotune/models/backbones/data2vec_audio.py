"""data2vec audio, Base and Large: wav2vec 2.0 with positions from several narrow convolutions in a row.

Between these convolutions padding reads as silence here, so that a clip gives the same states alone and in a batch.

Reference:
    Baevski et al. (2022), data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language,
    arXiv 2202.03555.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.family import Wav2Vec2Family
from emotune.models.backbones.layouts import Layout
from emotune.models.backbones.published import DATA2VEC_AUDIO


class PositionalLayer(nn.Module):
    """A grouped convolution over time, a norm without weights, GELU."""

    def __init__(self, hidden_size: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(hidden_size, hidden_size, kernel, padding=kernel // 2, groups=groups)

    def forward(self, frames: Tensor) -> Tensor:
        """Shape (batch, frames, features) in and out."""
        convolved = self.conv(frames.transpose(1, 2))[:, :, : frames.shape[1]].transpose(1, 2)
        return F.gelu(F.layer_norm(convolved, convolved.shape[-1:]))


class StackedPositions(nn.Module):
    """Position embeddings from positional layers in a row."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        build = partial(
            PositionalLayer,
            settings["hidden_size"],
            settings["conv_pos_kernel_size"],
            settings["num_conv_pos_embedding_groups"],
        )
        self.layers = nn.ModuleList(build() for _ in range(settings["num_conv_pos_embeddings"]))

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Position embedding of each frame, (..., features) in the layout."""
        for layer in self.layers:
            hidden = layout.along_time(layer, hidden)
        return hidden


class Data2VecAudio(Wav2Vec2Family):
    """data2vec audio, its norms after each part of a layer."""

    model_type = "data2vec-audio"
    published_defaults: ClassVar[Mapping[str, Any]] = DATA2VEC_AUDIO

    def _positions(self, settings: Mapping[str, Any]) -> nn.Module:
        return StackedPositions(settings)

    @classmethod
    def _contradictions(cls, settings: Mapping[str, Any]) -> list[str]:
        faults = super()._contradictions(settings)
        if settings["feat_extract_norm"] != "layer" or settings["do_stable_layer_norm"]:
            faults.append("feat_extract_norm is not layer, or do_stable_layer_norm is true: data2vec audio has neither")
        return faults
