"""Inputs and outputs of a model: every padded tensor travels with its mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Targets = Mapping[str, Tensor]
"""Truth for a batch by name, each shape (batch, numbers), NaN where unknown; see ``emotune.models.heads``."""


@dataclass(frozen=True)
class Mixing:
    """Mixing of each clip of a batch with another one of it, behind the encoder.

    Args:
        partners: the other clip of each, a permutation, shape (batch,).
        share: that a clip keeps; its partner gives the rest.
        at: ``states`` = frames of all layers, ``features`` = pooled vectors.
    """

    partners: Tensor
    share: float
    at: Literal["states", "features"]

    def of(self, values: Tensor) -> Tensor:
        """Values of each clip, shape (batch, ...), with its partner's."""
        return self.share * values + (1 - self.share) * values[self.partners]


@dataclass(frozen=True)
class Batch:
    """A padded batch of waveforms.

    Args:
        waveforms: shape (batch, samples), zeros after the end of a clip.
        mask: shape (batch, samples), True = real.
        targets: truth by name, each shape (batch, numbers), NaN where unknown; empty where there is none.
        conditions: what else is known of the clips, by name, each shape (batch, width), a row of NaN where unknown;
            one that is not there is unknown of all.
        mixing: of what the encoder gives, in training; targets and conditions are mixed already. None = there is none.
        unchanged: the same clips before augmentation; None where nobody asked for them.
    """

    waveforms: Tensor
    mask: Tensor
    targets: Targets = field(default_factory=dict)
    conditions: Mapping[str, Tensor] = field(default_factory=dict)
    mixing: Mixing | None = None
    unchanged: Batch | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        targets, conditions = (
            {name: value.to(device) for name, value in named.items()} for named in (self.targets, self.conditions)
        )
        unchanged = self.unchanged and self.unchanged.to(device)
        return Batch(self.waveforms.to(device), self.mask.to(device), targets, conditions, unchanged=unchanged)

    def rows(self, which: slice | Tensor) -> Batch:
        """Some of the clips, by a slice or a mask of shape (batch,), without the padding that only the others need."""
        mask = self.mask[which]
        longest = int(mask.sum(dim=1).max())
        targets, conditions = (
            {name: value[which] for name, value in named.items()} for named in (self.targets, self.conditions)
        )
        unchanged = self.unchanged and self.unchanged.rows(which)
        return Batch(self.waveforms[which, :longest], mask[:, :longest], targets, conditions, unchanged=unchanged)


@dataclass(frozen=True)
class LayerOutputs:
    """Outputs of the heads of single layers, where every layer has its own.

    Args:
        posterior: how much each layer counts for each clip, shape (batch, layers), summing to one.
        heads: scores by name of the head, each shape (batch, layers, outputs); only of heads that learn layer by layer.
    """

    posterior: Tensor
    heads: Mapping[str, Tensor]


@dataclass(frozen=True)
class Output:
    """Output of a model for a batch.

    Args:
        heads: scores by name of the head, each shape (batch, outputs): of classes before the softmax, of dimensions
            on the unit scale.
        features: pooled features before the heads, shape (batch, features), or (batch, layers, features) where every
            layer has its own head.
        layers: what those heads say; None where there is one head.
        penalty: a loss of the model's own for each clip, shape (batch,); None where it has none.
    """

    heads: Mapping[str, Tensor]
    features: Tensor
    layers: LayerOutputs | None = None
    penalty: Tensor | None = None


def one_hot_shares(indices: Tensor, classes: int) -> Tensor:
    """Shares of the classes from class indices, shape (batch,), -1 where unknown, to (batch, classes).

    >>> one_hot_shares(torch.tensor([1, -1]), 2)
    tensor([[0., 1.],
            [nan, nan]])
    """
    shares = F.one_hot(indices.clamp(min=0), classes).float()
    return torch.where(indices[:, None] >= 0, shares, torch.nan)


def pad(
    waveforms: Sequence[NDArray[Any]],
    targets: Targets | None = None,
    conditions: Sequence[Mapping[str, NDArray[Any]]] = (),
) -> Batch:
    """Stack clips of different lengths, each shape (samples,), into one padded batch.

    ``conditions`` are those of each clip, by name, each shape (width,); the same names for all clips.
    """
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    padded = torch.zeros(len(waveforms), int(lengths.max()))
    for row, waveform in enumerate(waveforms):
        padded[row, : len(waveform)] = torch.from_numpy(np.asarray(waveform, dtype=np.float32))
    mask = torch.arange(padded.shape[1])[None, :] < lengths[:, None]
    return Batch(padded, mask, targets or {}, stacked(conditions))


def stacked(conditions: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, Tensor]:
    """Conditions of a batch by name, each shape (batch, width), from those of each clip, each shape (width,)."""
    names = conditions[0] if conditions else ()
    return {name: torch.from_numpy(np.stack([own[name] for own in conditions]).astype(np.float32)) for name in names}
