"""Utterances of a manifest as training examples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from emotune.audio import FloatArray
from emotune.batch import Batch, Targets, pad
from emotune.data.augment import Augmentation, generator_of
from emotune.errors import AudioError
from emotune.labels import LabelSpace
from emotune.manifest import Manifest, Utterance
from emotune.preprocessing import Preprocessing


@dataclass(frozen=True)
class Example:
    """One prepared clip, shape (samples,), with its truth: a class index or -1, unit-scale dimensions or NaN, shares of
    the votes or NaN.
    """

    waveform: FloatArray
    class_index: int
    dimensions: tuple[float, ...]
    votes: tuple[float, ...]


def class_index(utterance: Utterance, space: LabelSpace) -> int:
    """The index of an utterance's class, -1 where it has none."""
    return -1 if utterance.emotion is None or not space.classes else space.classes.index(utterance.emotion)


def unit_dimensions(utterance: Utterance, space: LabelSpace) -> tuple[float, ...]:
    """An utterance's dimensions scaled to [0, 1] in the order of the label space, NaN where unknown."""
    return tuple(
        scale.to_unit(utterance.dimensions[name]) if name in utterance.dimensions else math.nan
        for name, scale in space.dimensions.items()
    )


def vote_shares(utterance: Utterance, space: LabelSpace) -> tuple[float, ...]:
    """Each class's share of the votes for classes of the label space; NaN where there are none of them."""
    votes = [utterance.votes.get(name, 0.0) for name in space.classes]
    total = sum(votes)
    return tuple(vote / total if total else math.nan for vote in votes)


class EmotionDataset(Dataset[Example]):
    """Examples by (epoch, index): the epoch only chooses the augmentation's randomness.

    Args:
        manifest: the utterances.
        label_space: classes and dimensions that are trained, in the model's order.
        preprocessing: what the model needs.
        augmentation: what training adds; None = nothing.
        seed: of the augmentation.
    """

    def __init__(
        self,
        manifest: Manifest,
        label_space: LabelSpace,
        preprocessing: Preprocessing,
        *,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self.manifest = manifest
        self.label_space = label_space
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self.seed = seed

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, key: tuple[int, int]) -> Example:
        epoch, index = key
        utterance = self.manifest.utterances[index]
        recording = self.manifest.recording_of(utterance)
        try:
            samples = self.preprocessing.trim(recording.mono(self.preprocessing.sampling_rate_hz))
        except AudioError as error:
            raise AudioError(f"{utterance.utterance_id}: {error} Leave it out of the manifest to train.") from error
        if self.augmentation is not None:
            changed = self.augmentation(samples, generator_of(self.seed, epoch, utterance.utterance_id))
            samples = changed if self.preprocessing.fits(changed) else samples  # a changed speed may not suit the model
        return Example(
            self.preprocessing.finish(samples),
            class_index(utterance, self.label_space),
            unit_dimensions(utterance, self.label_space),
            vote_shares(utterance, self.label_space),
        )


def collate(examples: list[Example]) -> Batch:
    """Examples to one padded batch with targets."""
    targets = Targets(
        torch.tensor([example.class_index for example in examples]),
        torch.tensor(np.array([example.dimensions for example in examples], dtype=np.float32)),
        torch.tensor(np.array([example.votes for example in examples], dtype=np.float32)),
    )
    return pad([example.waveform for example in examples], targets)
