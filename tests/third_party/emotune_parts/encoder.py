"""An encoder: the loudness of bands of samples, and dense layers over each frame."""

from types import MappingProxyType

import torch
from torch import nn

from emotune.models.backbones.base import Backbone, HiddenStates, mask_of
from emotune_parts.options import LADDER

_HOP = 320


class Ladder(Backbone):
    model_type = "ladder"
    published_defaults = LADDER
    layers_key = "rungs"
    sublayer_ends = MappingProxyType({"whole": "0"})

    def __init__(self, settings, *, layers=None):
        super().__init__(settings, layers=layers)
        size = settings["size"]
        self.hidden_size, self.frame_rate_hz, self.normalize = size, 16000 / _HOP, "none"
        self.min_samples, self.max_samples = _HOP, None
        self.bands = nn.Conv1d(1, size, _HOP, _HOP)
        self.rungs = nn.ModuleList(nn.Sequential(nn.Linear(size, size), nn.Tanh()) for _ in range(self.num_layers))

    @classmethod
    def _contradictions(cls, settings):
        return [f"size is {settings['size']}, expected an even number"] if settings["size"] % 2 else []

    def forward(self, waveforms, mask):
        lengths, _ = self._lengths(mask)
        loudness = torch.log1p(self.bands(waveforms[:, None]).abs()).transpose(1, 2)
        states = self.states_of(self.rungs, loudness)
        return HiddenStates(tuple(states), mask_of(self.frame_count(lengths), loudness.shape[1]))

    def frame_count(self, samples):
        return samples // _HOP

    def front_end(self):
        return [self.bands]

    def layer_modules(self):
        return list(self.rungs)

    def adapt_state_dict(self, state):
        return {name: tensor for name, tensor in state.items() if not self._is_cut(name, "rungs.")}
