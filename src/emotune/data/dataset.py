"""Utterances of a manifest as training examples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch.utils.data import Dataset

from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Batch, Targets, pad
from emotune.data.audio_cache import AudioCache
from emotune.data.augmentations.crop import filled_to
from emotune.data.augmentations.pipeline import Augmentation, generator_of, mixed
from emotune.errors import AudioError
from emotune.schema.gender import gender_shares
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest, Utterance
from emotune.votes.consensus import vote_shares


@dataclass(frozen=True)
class Example:
    """One prepared clip, shape (samples,), with its truth: shares of the classes, unit-scale dimensions, shares of the
    votes, and the corpus's own gender; NaN where unknown. ``conditions`` are the model's inputs beside the sound, each
    shape (width,).
    """

    waveform: FloatArray
    classes: tuple[float, ...]
    dimensions: tuple[float, ...]
    votes: tuple[float, ...]
    gender: tuple[float, ...]
    conditions: Mapping[str, FloatArray] = field(default_factory=dict)


def class_index(utterance: Utterance, space: LabelSpace) -> int:
    """The index of an utterance's class, -1 where it has none."""
    return -1 if utterance.emotion is None or not space.classes else space.classes.index(utterance.emotion)


def class_shares(utterance: Utterance, space: LabelSpace) -> tuple[float, ...]:
    """One for an utterance's class and zero for the others; NaN where it has none."""
    if utterance.emotion is None:
        return (math.nan,) * len(space.classes)
    return tuple(float(name == utterance.emotion) for name in space.classes)


def unit_dimensions(utterance: Utterance, space: LabelSpace) -> tuple[float, ...]:
    """An utterance's dimensions scaled to [0, 1] in the order of the label space, NaN where unknown."""
    return tuple(
        scale.to_unit(utterance.dimensions[name]) if name in utterance.dimensions else math.nan
        for name, scale in space.dimensions.items()
    )


class EmotionDataset(Dataset[Example]):
    """Examples by (epoch, index): the epoch only chooses the augmentation's randomness.

    Args:
        manifest: the utterances.
        label_space: classes and dimensions that are trained, in the model's order.
        preprocessing: what the model needs.
        augmentation: what training adds; None = nothing.
        cache: where decoded clips are kept; None = each is decoded anew.
        conditions: the model's inputs beside the sound, by name, each shape (utterances, width), NaN where unknown.
        seed: of the augmentation.
    """

    def __init__(
        self,
        manifest: Manifest,
        label_space: LabelSpace,
        preprocessing: Preprocessing,
        *,
        augmentation: Augmentation | None = None,
        cache: AudioCache | None = None,
        conditions: Mapping[str, FloatArray] | None = None,
        seed: int = 0,
    ) -> None:
        self.manifest = manifest
        self.label_space = label_space
        self.preprocessing = preprocessing
        self.augmentation = augmentation or Augmentation()
        self.cache = cache
        self.conditions = conditions or {}
        self.seed = seed
        self._of_recording: dict[str, list[Utterance]] = {}
        for utterance in manifest:
            self._of_recording.setdefault(utterance.file, []).append(utterance)
        self._passed: set[str] = set()  # recordings whose utterances have all been sent to the cache
        self._alike = {} if self.augmentation.mix is None else self._by_what_is_known()

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, key: tuple[int, int]) -> Example:
        epoch, index = key
        utterance = self.manifest.utterances[index]
        example = Example(
            self._samples_of(utterance), *self._truth_of(utterance), conditions=self._conditions_of(index)
        )
        generator = generator_of(self.seed, epoch, utterance.utterance_id)
        kept = None if self.augmentation.mix is None else self.augmentation.mix.draw(generator)
        if kept is not None:
            example = self._with_another(example, kept, generator)
        changed = self.augmentation(example.waveform, generator)
        samples = changed if self.preprocessing.fits(changed) else example.waveform  # a changed speed may not suit
        return dataclasses.replace(example, waveform=self.preprocessing.finish(samples))

    def _with_another(self, example: Example, share: float, generator: np.random.Generator) -> Example:
        """A clip mixed with a random one of which the same is known, perhaps itself, and its truth with that one's."""
        alike = self._alike[_known(example.classes, example.dimensions, example.votes)]
        index = alike[int(generator.integers(len(alike)))]
        utterance = self.manifest.utterances[index]
        other = filled_to(self._samples_of(utterance), len(example.waveform), generator)

        def between(truth: tuple[float, ...], others: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(share * value + (1 - share) * another for value, another in zip(truth, others, strict=True))

        classes, dimensions, votes, gender = self._truth_of(utterance)
        conditions = self._conditions_of(index)
        return Example(
            mixed(example.waveform, other, share),
            between(example.classes, classes),
            between(example.dimensions, dimensions),
            between(example.votes, votes),
            between(example.gender, gender),
            {
                name: (share * value + (1 - share) * conditions[name]).astype(np.float32)
                for name, value in example.conditions.items()
            },
        )

    def _conditions_of(self, index: int) -> dict[str, FloatArray]:
        return {name: values[index] for name, values in self.conditions.items()}

    def _truth_of(
        self, utterance: Utterance
    ) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        """Classes, dimensions, votes and gender as in an ``Example``."""
        space = self.label_space
        votes = vote_shares(utterance.votes, space.classes)
        gender = gender_shares(utterance.gender)
        return class_shares(utterance, space), unit_dimensions(utterance, space), votes, gender

    def _by_what_is_known(self) -> dict[tuple[bool, ...], list[int]]:
        """The utterances of which the same targets are known, by which these are."""
        found: dict[tuple[bool, ...], list[int]] = {}
        for index, utterance in enumerate(self.manifest):
            found.setdefault(_known(*self._truth_of(utterance)[:3]), []).append(index)
        return found

    def _samples_of(self, utterance: Utterance) -> FloatArray:
        """An utterance decoded and trimmed, shape (samples,)."""

        content = utterance.content_sha256
        try:
            if self.cache is None or content is None:
                samples = self._decoded([utterance])
            else:
                samples = self.cache.get(content, partial(self._decoded_with_others, utterance, self.cache))
            return self.preprocessing.trim(samples)
        except AudioError as error:
            raise AudioError(f"{utterance.utterance_id}: {error} Leave it out of the manifest to train.") from error

    def _decoded_with_others(self, utterance: Utterance, cache: AudioCache) -> FloatArray:
        """An utterance decoded; the others of its recording that the cache lacks go there in the same pass.

        Only once: a cache too small to keep them would have all of them decoded for each.
        """
        if utterance.file in self._passed:
            return self._decoded([utterance])
        self._passed.add(utterance.file)
        others = [
            other
            for other in self._of_recording[utterance.file]
            if other is not utterance and other.content_sha256 is not None and not cache.holds(other.content_sha256)
        ]
        return self._decoded([utterance, *others], cache)

    def _decoded(self, utterances: Sequence[Utterance], cache: AudioCache | None = None) -> FloatArray:
        """The first of some utterances of one recording, shape (samples,); the others are kept in the cache.

        Raises:
            AudioError: where the first cannot be used; the others say so when their turn comes.
        """
        rate, longest_s = self.preprocessing.sampling_rate_hz, self.preprocessing.longest_decoded_s
        clips = self.manifest.clips_of(utterances, sampling_rate_hz=rate, max_duration_s=longest_s)
        first = next(clips)
        if isinstance(first, AudioError):
            raise first
        for other, clip in zip(utterances[1:], clips, strict=True):
            if cache is not None and other.content_sha256 is not None and not isinstance(clip, AudioError):
                cache.keep(other.content_sha256, clip.samples)
        return first.samples


def _known(*truth: tuple[float, ...]) -> tuple[bool, ...]:
    """Which targets are known."""
    return tuple(not math.isnan(value) for part in truth for value in part)


def collate(examples: list[Example]) -> Batch:
    """Examples to one padded batch with targets."""
    targets = Targets(
        torch.tensor(np.array([example.classes for example in examples], dtype=np.float32)),
        torch.tensor(np.array([example.dimensions for example in examples], dtype=np.float32)),
        torch.tensor(np.array([example.votes for example in examples], dtype=np.float32)),
        torch.tensor(np.array([example.gender for example in examples], dtype=np.float32)),
    )
    conditions = [example.conditions for example in examples]
    return pad([example.waveform for example in examples], targets, conditions)
