"""The states of a frozen encoder, kept in memory: a clip that is heard again is not encoded again."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from emotune.models.backbones.base import Backbone, HiddenStates
from emotune.models.weights import is_finite


@dataclass
class _Store:
    """States that are kept, of one encoder at a time; all models of a process with the same frozen encoder share it."""

    encoder: str = ""
    states: dict[tuple[str, bytes], tuple[Tensor, ...]] = field(default_factory=dict)
    size: int = 0


_STORE = _Store()


class RememberedStates:
    """Stands in for a frozen encoder and gives what it gives, to the rounding of float32.

    Args:
        backbone: in evaluation mode, none of whose parameters train.
        most_gb: memory for states; what comes when it is full, or is not finite, is encoded anew each time.
    """

    def __init__(self, backbone: Backbone, *, most_gb: float) -> None:
        self.backbone = backbone
        self.most_bytes = most_gb * 1e9
        encoder = _digest_of(backbone)
        if _STORE.encoder != encoder:
            _STORE.encoder, _STORE.states, _STORE.size = encoder, {}, 0
        self.store = _STORE

    def __deepcopy__(self, memo: dict[int, Any]) -> RememberedStates:
        return self  # a moving average of the weights has the same frozen encoder

    @torch.no_grad()
    def __call__(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        """As ``Backbone.forward``."""
        lengths = mask.sum(dim=1).tolist()
        clips = [waveform[:length] for waveform, length in zip(waveforms, lengths, strict=True)]
        precision = _precision_on(waveforms.device.type)
        keys = [(precision, hashlib.blake2b(clip.cpu().numpy().tobytes(), digest_size=16).digest()) for clip in clips]
        found = {key: self.store.states[key] for key in keys if key in self.store.states}
        new = [row for row, key in enumerate(keys) if key not in found]
        if new:
            longest = max(lengths[row] for row in new)
            encoded = self.backbone(waveforms[new, :longest], mask[new, :longest])
            for place, row in enumerate(new):
                own = encoded.mask[place]
                found[keys[row]] = states = tuple(state[place][own].cpu() for state in encoded.states)
                self._keep(keys[row], states)
        return _padded([found[key] for key in keys], waveforms.device)

    def _keep(self, key: tuple[str, bytes], states: tuple[Tensor, ...]) -> None:
        size = sum(state.nbytes for state in states)
        if self.store.size + size <= self.most_bytes and all(map(is_finite, states)):
            self.store.states[key] = states
            self.store.size += size


def _precision_on(device_type: str) -> str:
    """In which precision autocast lets the encoder compute: its states must not stand in for those of another."""
    return str(torch.get_autocast_dtype(device_type)) if torch.is_autocast_enabled(device_type) else "as it is"


def _padded(clips: list[tuple[Tensor, ...]], device: torch.device) -> HiddenStates:
    frames = [len(states[0]) for states in clips]
    mask = torch.arange(max(frames))[None, :] < torch.tensor(frames)[:, None]
    layers = [torch.nn.utils.rnn.pad_sequence(list(layer), batch_first=True) for layer in zip(*clips, strict=True)]
    return HiddenStates(tuple(layer.to(device) for layer in layers), mask.to(device))


def _digest_of(backbone: Backbone) -> str:
    digest = hashlib.sha256(repr(backbone.config).encode())
    backbone.add_weights_to(digest.update)
    return digest.hexdigest()
