"""Paralinguistic descriptors as a view."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.batch import Batch
from emotune.descriptors.descriptor_set import NAMES, VERSION, descriptors
from emotune.models.views.view import Standardised, View


class Descriptors(View):
    """Descriptors of the voice, as ``descriptors`` measures them over the whole clip, through two layers.

    Args:
        features: width of both layers.
        dropout: between them.
    """

    measures = "descriptors"
    version = VERSION

    def __init__(self, *, features: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.output_size = features
        self.standardised = Standardised(len(NAMES))
        self.layers = nn.Sequential(
            nn.Linear(len(NAMES), features),
            nn.LayerNorm(features),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(features, features),
            nn.GELU(),
        )

    def measure(self, samples: FloatArray) -> FloatArray:
        return descriptors(samples, SAMPLING_RATE_HZ).astype(np.float32)

    def fit(self, numbers: Tensor) -> None:
        self.standardised.fit(numbers)

    def forward(self, batch: Batch) -> Tensor:
        clips = len(batch.waveforms)
        unknown = torch.full((clips, len(NAMES)), torch.nan, device=batch.waveforms.device)
        return self.layers(self.standardised(batch.conditions.get("descriptors", unknown)))
