"""The dimensions of a label space, such as arousal and valence."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from emotune.models.heads.head import Head
from emotune.schema.truth import Truth, unit_dimensions


class Dimensions(Head):
    """Values of all dimensions on the unit scale, where 0 and 1 are the ends of the annotation scale."""

    about = "dimensions"
    metrics = ("ccc", "pearson", "rmse")
    stored_as = "dimensions"

    @property
    def size(self) -> int:
        return len(self.space.dimensions)

    @property
    def truths(self) -> Mapping[str, Truth]:
        return {"dimensions": Truth(partial(unit_dimensions, space=self.space))}
