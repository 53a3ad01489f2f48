"""Options of the task of multi-view contrastive pre-training."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from emotune.config.entries import OpenSection
from emotune.config.tasks import PretrainingOptions
from emotune.models.views import VIEWS
from emotune.models.views.options import DescriptorsView, EncoderView, MelView
from emotune.section import Section, UnexpandedPath


class ViewsOptions(OpenSection, PretrainingOptions):
    """Contrastive pre-training of the recipe's model against other views of the same clips; no label is read.

    The model's pooled features and those of each view beside them are projected to ``width`` numbers of unit length,
    and every two views learn to tell a clip from the others of an optimiser step. null leaves a view out; one of
    another package is a key too.
    """

    entries = VIEWS
    least = Section
    heeds = ("model.layer_mix", "model.layer_mix_initial", "model.pooling", "model.backbone.train", "train.mix_lr")

    mel: MelView | None = MelView()
    """{}: a spectrogram; null = not a view"""
    descriptors: DescriptorsView | None = DescriptorsView()
    """{}: 88 descriptors of the voice; null = not a view"""
    encoder: EncoderView | None = None
    """{family: hubert, checkpoint: FOLDER}: another encoder, frozen"""
    width: int = Field(default=128, ge=1)
    """of the space that all views are projected to"""
    temperature: float = Field(default=0.1, gt=0)
    """divides the cosines"""
    hardness: float = Field(default=0.0, ge=0)
    """1 = clips that are alike count more as negatives; 0 = all count alike"""
    same_speaker: Literal["keep", "leave_out", "only"] = "keep"
    """negatives of the clip's own speaker: kept, left out, or the only ones, so that who speaks is no help"""
    cache: UnexpandedPath = Path("~/.cache/emotune/views")
    """a folder for what views measure of clips"""

    @model_validator(mode="after")
    def _some_view(self) -> ViewsOptions:
        if not self.beside:
            raise ValueError(
                "every view is null, and the model alone has nothing to agree with: give mel: {} or another"
            )
        return self

    @property
    def beside(self) -> dict[str, Section]:
        """Options of the views beside the model, by name."""
        return {name: section for name, section in self if name in VIEWS and section is not None}
