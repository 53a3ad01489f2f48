"""Features without their speakers' means, for a linear model that will be adapted when it predicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emotune.errors import CorpusError
from emotune.training.features import FloatArray

_PRIOR_CLIPS = 3  # as for the shifts of answers, see inference.adaptation.rule


def without_speaker_means(features: FloatArray, speakers: Sequence[str | None]) -> FloatArray:
    """Moves each speaker's mean onto that of all rows, as far as n / (n + 3) for n rows.

    The scale of a speaker's features stays: it gained nothing (docs/how-to/adaptation.md), and a shift of features is
    one of the log-probabilities of a linear head, which is what adapting takes away without seeing any feature.

    Args:
        features: of training utterances, shape (utterances, ...).
        speakers: of each.

    Returns:
        The moved features, of the same shape and type.

    Raises:
        CorpusError: where an utterance has no speaker.
    """
    if None in speakers:
        raise CorpusError(
            f"probe.standardize=speaker needs a speaker for every training utterance; {speakers.count(None)} have none."
            " Name them in the manifest, or leave it out."
        )
    moved, corpus, labels = features.copy(), features.mean(axis=0), np.array(speakers)
    for speaker in np.unique(labels):
        rows = labels == speaker
        share = rows.sum() / (rows.sum() + _PRIOR_CLIPS)
        moved[rows] -= (share * (features[rows].mean(axis=0) - corpus)).astype(features.dtype)
    return moved
