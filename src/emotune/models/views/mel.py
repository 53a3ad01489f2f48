"""A log-mel spectrogram under a small convolutional network as a view."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.batch import Batch
from emotune.models.aggregations.pooling import Mean
from emotune.models.backbones.base import mask_of
from emotune.models.backbones.log_mel import WINDOW, log_mel, mel_frame_count
from emotune.models.views.view import View

_KERNEL = 5
_STEPS = 3


class Mel(View):
    """Three convolutions over time, each halving the frames, with a norm over the channels of each frame; their mean.

    Args:
        features: channels of the last convolution; those before have half and a quarter.
        bins: of the spectrogram.
    """

    def __init__(self, *, features: int = 256, bins: int = 80) -> None:
        super().__init__()
        self.output_size, self.bins = features, bins
        widths = [bins, *(max(1, features >> step) for step in reversed(range(_STEPS)))]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(own, following, _KERNEL, stride=2, padding=_KERNEL // 2) for own, following in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths[1:])
        self.pooling = Mean(features)

    def forward(self, batch: Batch) -> Tensor:
        waveforms = F.pad(batch.waveforms, (0, max(0, WINDOW - batch.waveforms.shape[1])))
        lengths = batch.mask.sum(dim=1).clamp(min=WINDOW)
        frames = log_mel(waveforms, lengths, bins=self.bins)
        counts = mel_frame_count(lengths)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            counts = torch.div(counts + 1, 2, rounding_mode="floor")
            frames = F.gelu(norm(convolution(frames).transpose(1, 2)))
            mask = mask_of(counts, frames.shape[1])
            frames = (frames * mask[:, :, None]).transpose(1, 2)
        return self.pooling(frames.transpose(1, 2), mask_of(counts, frames.shape[2]))
