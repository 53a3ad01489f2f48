"""Utterances of a manifest as training examples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import Dataset

from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Batch, pad
from emotune.data.audio_cache import AudioCache
from emotune.data.augmentations.crop import filled_to
from emotune.data.augmentations.pipeline import Augmentation, generator_of, mixed
from emotune.data.decoded_clips import DecodedClips
from emotune.data.vote_targets import VoteTargets
from emotune.errors import AudioError
from emotune.schema.manifest import Manifest
from emotune.schema.truth import Numbers, Truth
from emotune.schema.utterance import Utterance


@dataclass(frozen=True)
class Example:
    """One prepared clip, shape (samples,), with its truth by name, NaN where unknown.

    ``conditions`` are the model's inputs beside the sound, each shape (width,); ``unchanged`` is the clip before
    augmentation, where it was asked for.
    """

    waveform: FloatArray
    truth: Mapping[str, Numbers]
    conditions: Mapping[str, FloatArray] = field(default_factory=dict)
    unchanged: FloatArray | None = None


class EmotionDataset(Dataset[Example]):
    """Examples by (epoch, index): the epoch only chooses the augmentation's randomness.

    Args:
        manifest: the utterances.
        truths: what the model's heads learn from, by name.
        preprocessing: what the model needs.
        augmentation: what training adds; None = nothing.
        cache: where decoded clips are kept; None = each is decoded anew.
        conditions: the model's inputs beside the sound, by name, each shape (utterances, width), NaN where unknown.
        votes: how votes are changed that are learnt from; None = they are learnt as they are.
        seed: of what is random.
        with_unchanged: each clip before augmentation comes too.
    """

    def __init__(
        self,
        manifest: Manifest,
        truths: Mapping[str, Truth],
        preprocessing: Preprocessing,
        *,
        augmentation: Augmentation | None = None,
        cache: AudioCache | None = None,
        conditions: Mapping[str, FloatArray] | None = None,
        votes: VoteTargets | None = None,
        seed: int = 0,
        with_unchanged: bool = False,
    ) -> None:
        self.manifest = manifest
        self.truths = truths
        self.preprocessing = preprocessing
        self.augmentation = augmentation or Augmentation()
        self.clips = DecodedClips(
            manifest,
            cache,
            sampling_rate_hz=preprocessing.sampling_rate_hz,
            max_duration_s=preprocessing.longest_decoded_s,
        )
        self.conditions = conditions or {}
        self.votes = votes
        self.seed = seed
        self.with_unchanged = with_unchanged

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, key: tuple[int, int]) -> Example:
        epoch, index = key
        utterance = self.manifest.utterances[index]
        generator = generator_of(self.seed, epoch, utterance.utterance_id)
        truth = self._truth_of(self._as_learnt(utterance, generator))
        example = Example(self._samples_of(utterance), truth, self._conditions_of(index))
        kept = None if self.augmentation.mix is None else self.augmentation.mix.draw(generator)
        if kept is not None:
            example = self._with_another(example, kept, generator)
        changed = self.augmentation(example.waveform, generator)
        samples = changed if self.preprocessing.fits(changed) else example.waveform  # a changed speed may not suit
        unchanged = self.preprocessing.finish(example.waveform) if self.with_unchanged else None
        return dataclasses.replace(example, waveform=self.preprocessing.finish(samples), unchanged=unchanged)

    def _with_another(self, example: Example, share: float, generator: np.random.Generator) -> Example:
        """A clip mixed with a random one of which the same is known, perhaps itself, and its truth with that one's."""
        alike = self._alike[self._known(example.truth)]
        index = alike[int(generator.integers(len(alike)))]
        utterance = self.manifest.utterances[index]
        other = filled_to(self._samples_of(utterance), len(example.waveform), generator)
        truth, conditions = self._truth_of(self._as_learnt(utterance, generator)), self._conditions_of(index)

        def between(own: Numbers, others: Numbers) -> Numbers:
            return tuple(share * value + (1 - share) * another for value, another in zip(own, others, strict=True))

        return Example(
            mixed(example.waveform, other, share),
            {name: between(own, truth[name]) for name, own in example.truth.items()},
            {
                name: (share * value + (1 - share) * conditions[name]).astype(np.float32)
                for name, value in example.conditions.items()
            },
        )

    def _conditions_of(self, index: int) -> dict[str, FloatArray]:
        return {name: values[index] for name, values in self.conditions.items()}

    def _as_learnt(self, utterance: Utterance, generator: np.random.Generator) -> Utterance:
        return utterance if self.votes is None else self.votes(utterance, generator)

    def _truth_of(self, utterance: Utterance) -> dict[str, Numbers]:
        return {name: truth.of(utterance) for name, truth in self.truths.items()}

    def _known(self, truth: Mapping[str, Numbers]) -> tuple[bool, ...]:
        """Says of each number that must be known of both clips of a mixture whether it is."""
        matched = [numbers for name, numbers in truth.items() if self.truths[name].is_matched]
        return tuple(not math.isnan(number) for numbers in matched for number in numbers)

    @cached_property  # when it is used: some truths are known only shortly before training
    def _alike(self) -> dict[tuple[bool, ...], list[int]]:
        """The utterances of which the same truth is known, by which this is."""
        found: dict[tuple[bool, ...], list[int]] = {}
        for index, utterance in enumerate(self.manifest):
            found.setdefault(self._known(self._truth_of(utterance)), []).append(index)
        return found

    def _samples_of(self, utterance: Utterance) -> FloatArray:
        """An utterance decoded and trimmed, shape (samples,)."""
        try:
            return self.preprocessing.trim(self.clips.samples_of(utterance))
        except AudioError as error:
            raise AudioError(f"{utterance.utterance_id}: {error} Leave it out of the manifest to train.") from error


def collate(examples: list[Example]) -> Batch:
    """Examples to one padded batch with targets."""
    targets = {
        name: torch.tensor(np.array([example.truth[name] for example in examples], dtype=np.float32))
        for name in examples[0].truth
    }
    conditions = [example.conditions for example in examples]
    batch = pad([example.waveform for example in examples], targets, conditions)
    unchanged = [example.unchanged for example in examples if example.unchanged is not None]
    return dataclasses.replace(batch, unchanged=pad(unchanged, conditions=conditions)) if unchanged else batch
