"""The encoder that learns: layers copied from a whole one, frames hidden at two depths, and what it says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.batch import Batch
from emotune.errors import ConfigError
from emotune.models.backbones.base import Backbone, mask_of
from emotune.models.weights import nothing_drawn
from emotune.training.vesper.data import LARGE_STARTS, SMALL_STARTS
from emotune.training.vesper.spans import LARGE, SMALL

_MIDDLE, _LAST, _WHOLE = "middle", "last", "whole"


def with_copied_layers(whole: Backbone, layers: int) -> Backbone:
    """An encoder of fewer layers: layer i is layer i * (L / N) of the whole one, all below the layers is as it was.

    What stands behind the last layer is left out.

    Args:
        whole: an encoder of L layers.
        layers: N, even, a divisor of L.

    Raises:
        ConfigError: for another number, with those that there are.

    Reference:
        Chen et al. (2023), Vesper, arXiv 2307.10757, section III-A.
    """
    count = whole.num_layers
    possible = [number for number in range(2, count, 2) if count % number == 0]
    if layers not in possible:
        raise ConfigError(
            f"task.layers is {layers}, expected an even number that divides the encoder's {count} layers:"
            f" {', '.join(map(str, possible)) or 'there is none'}."
        )
    settings = {**whole.config, whole.layers_key: layers, "final_norm": False}
    with nothing_drawn():
        encoder = type(whole).from_config(settings)
    encoder.normalize = whole.normalize
    copied = {
        id(parameter) for layer in encoder.layer_modules() for parameter in layer.state_dict(keep_vars=True).values()
    }
    theirs = whole.state_dict()
    below = {name: theirs[name] for name, own in encoder.state_dict(keep_vars=True).items() if id(own) not in copied}
    encoder.load_state_dict(below, strict=False)
    sources = whole.layer_modules()[:: count // layers]
    for own, source in zip(encoder.layer_modules(), sources, strict=True):
        own.load_state_dict(source.state_dict())
    return encoder


@dataclass(frozen=True)
class FrameMasks:
    """Frames of a batch, each mask of shape (batch, frames): those that are real, and of these the hidden ones.

    ``small`` is hidden from the first layer, ``large`` from the layer above the middle.
    """

    real: Tensor
    small: Tensor
    large: Tensor


def frame_masks(batch: Batch, frame_count: Callable[[Tensor], Tensor]) -> FrameMasks:
    """Masks by the spans among a batch's targets; all frames are hidden where it has none."""
    counts = frame_count(batch.mask.sum(dim=1))
    real = mask_of(counts, int(counts.max()))

    def hidden(name: str, span: int) -> Tensor:
        if name not in batch.targets:
            return real
        starts = batch.targets[name].to(real.device)[:, :, None]
        frames = torch.arange(real.shape[1], device=real.device)
        return ((frames >= starts) & (frames < starts + span)).any(dim=1) & real  # no frame is at or beyond NaN

    return FrameMasks(real, hidden(SMALL_STARTS, SMALL), hidden(LARGE_STARTS, LARGE))


@dataclass(frozen=True)
class FramePredictions:
    """Predictions of a student for a whole encoder's states, each of shape (frames, features).

    Args:
        masks: of the batch.
        middle: state of the middle at ``masks.small``, from the student's middle layer.
        last: the last state at ``masks.large``, from the student's last layer.
        whole: state of the middle at ``masks.real``, from the student's last layer.
    """

    masks: FrameMasks
    middle: Tensor
    last: Tensor
    whole: Tensor


def _at_frames(mask: Tensor, states: Tensor) -> Tensor:
    """The mask for states that begin with an encoder's extra tokens, shape (batch, tokens and frames, 1)."""
    return F.pad(mask, (states.shape[1] - mask.shape[1], 0))[:, :, None]


class PredictionHead(nn.Module):
    """A norm without weights and two linear layers, the first of which halves the features."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, features // 2), nn.GELU(), nn.Linear(features // 2, features))

    def forward(self, states: Tensor) -> Tensor:
        """Shape (frames, features) in and out."""
        return self.layers(F.layer_norm(states, states.shape[-1:]))


class _Positions:
    """Positions that were added to the frames of a batch, broadcasting with them; a copy begins without."""

    of_batch: Tensor | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> _Positions:
        return _Positions()


class VesperStudent(nn.Module):
    """An encoder with a vector for hidden frames, and heads that are left behind when it has learnt.

    Args:
        backbone: with an even number of layers; its convolutions are frozen, and no layer is dropped: those at which
            frames are hidden must run.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        backbone.layerdrop = 0.0
        for module in backbone.front_end():
            module.requires_grad_(False)
        self.hidden_frame = nn.Parameter(torch.rand(backbone.hidden_size))
        self.heads = nn.ModuleDict({name: PredictionHead(backbone.hidden_size) for name in (_MIDDLE, _LAST, _WHOLE)})
        self._masks: FrameMasks | None = None
        self._positions = _Positions()
        if (positions := backbone.position_layer()) is not None:
            positions.register_forward_pre_hook(self._hide_from_positions)
            positions.register_forward_hook(self._keep_positions)
        layers = backbone.layer_modules()
        layers[0].register_forward_pre_hook(partial(self._hide, "small"))
        layers[len(layers) // 2].register_forward_pre_hook(partial(self._hide, "large"))

    def _hide(self, which: str, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Puts the vector of hidden frames into a layer's input, (batch, frames, features); None = as it is.

        Hidden frames keep positions that are added to the frames: without them all of a clip would be alike.
        """
        if self._masks is None:
            return None
        states, *others = inputs
        positions = self._positions.of_batch
        vector = self.hidden_frame if positions is None else self.hidden_frame + positions
        return (torch.where(_at_frames(getattr(self._masks, which), states), vector.to(states.dtype), states), *others)

    def _hide_from_positions(self, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._masks is None:
            return None
        states, *others = inputs
        hidden = _at_frames(self._masks.small, states)
        return (torch.where(hidden, self.hidden_frame.to(states.dtype), states), *others)

    def _keep_positions(self, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        self._positions.of_batch = None if self._masks is None else output

    def forward(self, batch: Batch) -> FramePredictions:
        """Encodes a batch with hidden frames and predicts the states of the whole encoder."""
        assert self.training or torch.is_grad_enabled()  # or some encoders lay the frames of all clips in a row
        masks = frame_masks(batch, self.backbone.frame_count)
        self._masks = masks  # stays for a layer that the backward pass computes again
        states = self.backbone(batch.waveforms, batch.mask).states
        middle, last = states[len(states) // 2], states[-1]
        return FramePredictions(
            masks,
            self.heads[_MIDDLE](middle[masks.small]),
            self.heads[_LAST](last[masks.large]),
            self.heads[_WHOLE](last[masks.real]),
        )

    @torch.no_grad()
    def heard(self, batch: Batch) -> Tensor:
        """Predictions for the middle state of every real frame when nothing is hidden, shape (frames, features)."""
        self._masks = self._positions.of_batch = None
        found = self.backbone(batch.waveforms, batch.mask)
        return self.heads[_WHOLE](found.states[-1][found.mask])
