"""The classes of a label space, such as emotions."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from emotune.models.heads.head import Head
from emotune.schema.labels import LabelSpace
from emotune.schema.truth import Numbers, Truth, class_shares
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import vote_shares


class Classes(Head):
    """Scores of the classes before the softmax; truth are the label's and the annotators' votes' shares of them."""

    about = "classes"
    metrics = ("uar", "macro_f1", "macro_f1_true_classes", "micro_f1", "accuracy")
    stored_as = "probabilities"

    @property
    def size(self) -> int:
        return len(self.space.classes)

    @property
    def truths(self) -> Mapping[str, Truth]:
        return {
            "classes": Truth(partial(class_shares, space=self.space)),
            "votes": Truth(
                partial(_vote_shares, space=self.space),
                missing="learns from votes, and no training utterance has any; see votes.<class>.",
            ),
        }

    def of_layer(self, scores: Tensor) -> Tensor:
        return torch.log_softmax(scores, dim=-1)

    def answers(self, scores: Tensor) -> Tensor:
        return torch.softmax(scores.double(), dim=1)


def _vote_shares(utterance: Utterance, space: LabelSpace) -> Numbers:
    return vote_shares(utterance.votes, space.classes)
