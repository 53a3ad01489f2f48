"""The module of multi-view pre-training: the model and other views, each with a projection to a common space."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from emotune.batch import Batch
from emotune.models.emotion_model import EmotionModel
from emotune.models.heads.network import Standardize
from emotune.models.views.view import View

MODEL = "model"
"""The view that is kept: the model's own pooled features."""
Embeddings = Mapping[str, Tensor]
"""Vectors of unit length by view, each shape (batch, width)."""


class ViewModel(nn.Module):
    """Views of the same clips in one space of unit vectors, where those of a clip are to lie together.

    Args:
        model: without heads; what is kept in the end. Its pooled features are standardised before they are projected,
            or what all clips have in common would outweigh what tells them apart.
        others: the views beside it, by name.
        width: of the common space.
    """

    def __init__(self, model: EmotionModel, others: Mapping[str, View], *, width: int) -> None:
        super().__init__()
        self.model = model
        self.others = nn.ModuleDict(dict(others))
        sizes = {MODEL: model.pooling.output_size, **{name: view.output_size for name, view in others.items()}}
        self.standardize = Standardize([sizes[MODEL]])
        self.projections = nn.ModuleDict({name: nn.Linear(size, width) for name, size in sizes.items()})

    @property
    def names(self) -> list[str]:
        """Of the views, the model's first."""
        return list(self.projections)

    def forward(self, batch: Batch) -> Embeddings:
        vectors: dict[str, Tensor] = {MODEL: self.standardize(self.model.pooled(batch.waveforms, batch.mask))}
        vectors |= {name: view(batch) for name, view in self.others.items()}
        return {name: F.normalize(self.projections[name](own).float(), dim=1) for name, own in vectors.items()}
