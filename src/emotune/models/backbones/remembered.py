"""Outputs of a frozen encoder, or of a frozen front end alone, kept: a clip that comes again costs nothing."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from emotune.models.backbones.base import Backbone, HiddenStates
from emotune.models.weights import is_finite


@dataclass
class _Store:
    """States that are kept, of the two encoders used last: a model has no more.

    All models of a process with the same frozen encoder share them.
    """

    encoders: list[str] = field(default_factory=list)
    states: dict[tuple[str, str, bytes], tuple[Tensor, ...]] = field(default_factory=dict)
    size: int = 0

    def use(self, encoder: str) -> None:
        """Makes room for an encoder's states, where two others have some."""
        kept = [own for own in self.encoders if own != encoder][-1:]
        if set(self.encoders) - {*kept, encoder}:
            self.states = {key: states for key, states in self.states.items() if key[0] in (*kept, encoder)}
            self.size = sum(state.nbytes for states in self.states.values() for state in states)
        self.encoders = [*kept, encoder]


_STORE = _Store()


class RememberedStates:
    """Stands in for a frozen encoder and gives what it gives, to the rounding of float32.

    Each clip is encoded by itself: its states are the same bits whatever came before and beside it, so that a run that
    was interrupted goes on to the same bits.

    Args:
        backbone: in evaluation mode, none of whose parameters train.
        most_gb: memory for states; what comes when it is full, or is not finite, is encoded anew each time.
    """

    def __init__(self, backbone: Backbone, *, most_gb: float) -> None:
        self.backbone = backbone
        self.most_bytes = most_gb * 1e9
        self.encoder = digest_of(backbone) + (", last state" if backbone.last_alone else "")
        _STORE.use(self.encoder)
        self.store = _STORE

    def __deepcopy__(self, memo: dict[int, Any]) -> RememberedStates:
        return self  # a moving average of the weights has the same frozen encoder

    @torch.no_grad()
    def __call__(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        """As ``Backbone.forward``."""
        lengths = mask.sum(dim=1).tolist()
        clips = [waveform[:length] for waveform, length in zip(waveforms, lengths, strict=True)]
        precision = _precision_on(waveforms.device.type)
        keys = [(self.encoder, precision, _digest_of_clip(clip)) for clip in clips]
        found = {key: self.store.states[key] for key in keys if key in self.store.states}
        for key, clip in zip(keys, clips, strict=True):
            if key not in found:
                encoded = self.backbone(clip[None], torch.ones_like(clip[None], dtype=torch.bool))
                found[key] = states = tuple(state[0].cpu() for state in encoded.states)
                self._keep(key, states)
        return _padded([found[key] for key in keys], waveforms.device)

    def _keep(self, key: tuple[str, str, bytes], states: tuple[Tensor, ...]) -> None:
        size = sum(state.nbytes for state in states)
        if self.store.size + size <= self.most_bytes and all(map(is_finite, states)):
            self.store.states[key] = states
            self.store.size += size


class RememberedClips:
    """Outputs of a frozen front end by clip, to the bit.

    Args:
        most_gb: memory for them; what comes when it is full, or is not finite, is worked out anew each time.
    """

    def __init__(self, *, most_gb: float) -> None:
        self.most_bytes = most_gb * 1e9
        self.size = 0
        self._kept: dict[tuple[str, bytes], Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> RememberedClips:
        return self  # a moving average of the weights has the same frozen front end

    def of_each_clip(
        self, front_end: Callable[[Sequence[Tensor]], list[Tensor]], clips: Sequence[Tensor]
    ) -> list[Tensor]:
        """Outputs for clips, each shape (samples,): (frames, channels) each."""
        precision = _precision_on(clips[0].device.type)
        found: list[Tensor] = []
        for clip in clips:
            key = (precision, _digest_of_clip(clip))
            if key not in self._kept:
                (output,) = front_end([clip])
                if self.size + output.nbytes > self.most_bytes or not is_finite(output):
                    found.append(output)
                    continue
                self._kept[key] = output
                self.size += output.nbytes
            found.append(self._kept[key])
        return found


def _digest_of_clip(clip: Tensor) -> bytes:
    return hashlib.blake2b(clip.cpu().numpy().tobytes(), digest_size=16).digest()


def _precision_on(device_type: str) -> str:
    """In which precision autocast lets the encoder compute: its states must not stand in for those of another."""
    return str(torch.get_autocast_dtype(device_type)) if torch.is_autocast_enabled(device_type) else "as it is"


def _padded(clips: list[tuple[Tensor, ...]], device: torch.device) -> HiddenStates:
    frames = [len(states[0]) for states in clips]
    mask = torch.arange(max(frames))[None, :] < torch.tensor(frames)[:, None]
    layers = [torch.nn.utils.rnn.pad_sequence(list(layer), batch_first=True) for layer in zip(*clips, strict=True)]
    return HiddenStates(tuple(layer.to(device) for layer in layers), mask.to(device))


def digest_of(backbone: Backbone) -> str:
    """SHA-256 of an encoder's config and weights, in hexadecimal."""
    digest = hashlib.sha256(repr(backbone.config).encode())
    backbone.add_weights_to(digest.update)
    return digest.hexdigest()
