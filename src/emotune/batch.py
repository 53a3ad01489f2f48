"""What goes into a model and what comes out: every padded tensor travels with its mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Targets:
    """Truth for a batch.

    Args:
        classes: shares of the classes, shape (batch, classes): one for the class of an utterance, or parts of several
            where clips are mixed; rows of NaN where unknown; None without classes.
        dimensions: values scaled to [0, 1], shape (batch, dimensions), NaN where unknown; None without dimensions.
        votes: shares of the annotators' votes, shape (batch, classes), rows summing to one or NaN where there are none;
            None without classes.
        gender: one for a speaker's gender and zero for the other, shape (batch, 2), rows of NaN where unknown; None
            where it is not learnt.
    """

    classes: Tensor | None = None
    dimensions: Tensor | None = None
    votes: Tensor | None = None
    gender: Tensor | None = None

    def __len__(self) -> int:
        return next(len(part) for part in self._parts() if part is not None)

    @property
    def device(self) -> torch.device:
        return next(part.device for part in self._parts() if part is not None)

    def to(self, device: torch.device | str) -> Targets:
        return Targets(*(None if part is None else part.to(device) for part in self._parts()))

    def rows(self, which: slice) -> Targets:
        return Targets(*(None if part is None else part[which] for part in self._parts()))

    def _parts(self) -> tuple[Tensor | None, ...]:
        return self.classes, self.dimensions, self.votes, self.gender


@dataclass(frozen=True)
class Batch:
    """A padded batch of waveforms.

    Args:
        waveforms: shape (batch, samples), zeros after the end of a clip.
        mask: shape (batch, samples), True = real.
        targets: truth, where there is any.
        conditions: what else is known of the clips, by name, each shape (batch, width), a row of NaN where unknown;
            one that is not there is unknown of all.
    """

    waveforms: Tensor
    mask: Tensor
    targets: Targets | None = None
    conditions: Mapping[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> Batch:
        conditions = {name: value.to(device) for name, value in self.conditions.items()}
        targets = self.targets and self.targets.to(device)
        return Batch(self.waveforms.to(device), self.mask.to(device), targets, conditions)

    def rows(self, which: slice) -> Batch:
        """Some of the clips, without the padding that only the others need."""
        mask = self.mask[which]
        longest = int(mask.sum(dim=1).max())
        conditions = {name: value[which] for name, value in self.conditions.items()}
        targets = self.targets and self.targets.rows(which)
        return Batch(self.waveforms[which, :longest], mask[:, :longest], targets, conditions)


@dataclass(frozen=True)
class LayerOutputs:
    """What the heads of single layers say, where every layer has its own.

    Args:
        posterior: how much each layer counts for each clip, shape (batch, layers), summing to one.
        logits: shape (batch, layers, classes); None without classes.
        dimensions: shape (batch, layers, dimensions); None without dimensions.
    """

    posterior: Tensor
    logits: Tensor | None
    dimensions: Tensor | None


@dataclass(frozen=True)
class Output:
    """What a model says of a batch.

    Args:
        logits: class scores before the softmax, shape (batch, classes); None without classes.
        dimensions: values on the unit scale, shape (batch, dimensions); None without dimensions.
        features: pooled features before the heads, shape (batch, features), or (batch, layers, features) where every
            layer has its own head.
        layers: what those heads say; None where there is one head.
        penalty: a loss of the model's own for each clip, shape (batch,); None where it has none.
        gender_logits: scores of the speaker's gender, shape (batch, 2), where that is learnt beside emotion.
    """

    logits: Tensor | None
    dimensions: Tensor | None
    features: Tensor
    layers: LayerOutputs | None = None
    penalty: Tensor | None = None
    gender_logits: Tensor | None = None


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
    names = conditions[0] if conditions else ()
    stacked = {name: torch.from_numpy(np.stack([own[name] for own in conditions]).astype(np.float32)) for name in names}
    return Batch(padded, mask, targets, stacked)
