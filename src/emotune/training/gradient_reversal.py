"""Gradient reversal: the pooled features learn not to tell the corpus, language, gender or speaker of a clip."""

from __future__ import annotations

import math
from functools import partial

import torch

from emotune.config.training import GradientReversalSection
from emotune.losses.cross_entropy import balanced_class_weights
from emotune.losses.group import GroupCrossEntropy
from emotune.models.discriminator import GROUP, Discriminator
from emotune.models.emotion_model import EmotionModel
from emotune.schema.manifest import Manifest
from emotune.schema.truth import Numbers, Truth
from emotune.schema.utterance import Utterance
from emotune.training.sampling import refuse_one_group

LOSS = "gradient_reversal"


class GradientReversal:
    """Groups of the training utterances, with what a discriminator of them needs.

    Args:
        section: of the recipe.
        train: the training split.

    Raises:
        CorpusError: where there are no two groups.
    """

    def __init__(self, section: GradientReversalSection, train: Manifest) -> None:
        refuse_one_group(train, section.by, key=f"train.gradient_reversal.by: {section.by}")
        self.section = section
        values = [getattr(utterance, section.by) for utterance in train]
        self.groups = sorted({value for value in values if value is not None})
        counts = torch.tensor([float(values.count(group)) for group in self.groups])
        self.loss = GroupCrossEntropy(group_weights=balanced_class_weights(counts))

    @property
    def truths(self) -> dict[str, Truth]:
        """Truth that the discriminator learns from."""
        return {GROUP: Truth(partial(_shares, by=self.section.by, groups=self.groups), is_matched=False)}

    def attach(self, model: EmotionModel) -> None:
        """Gives a model its discriminator, drawn from torch's generator."""
        features = model.standardize.mean.shape[-1]
        model.discriminator = Discriminator(features, len(self.groups), hidden_size=self.section.hidden_size)


def _shares(utterance: Utterance, *, by: str, groups: list[str]) -> Numbers:
    own = getattr(utterance, by)
    return tuple(float(own == group) if own is not None else math.nan for group in groups)
