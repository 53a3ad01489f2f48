"""Metrics of distributions: annotators' votes as shares of the classes against predicted probabilities.

Both are tables of shape (utterances, classes) with rows that sum to one; votes for classes outside the table are no
part of them. Functions ending in ``_of`` answer from sums over utterances, so that a bootstrap can afford them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from emotune.metrics.division import FloatArray, mean_of_defined, ratio

_SMALLEST = 1e-12
_ROUNDING = 1e-9


def entropies(table: ArrayLike) -> FloatArray:
    """Entropy of each row in bits, from 0 (certain) to log2 of the number of classes, shape (utterances,).

    Reference:
        Shannon (1948), A Mathematical Theory of Communication, Bell System Technical Journal 27(3).
    """
    shares = np.asarray(table, dtype=float)
    return -(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum(axis=-1) + 0.0


def jensen_shannon_divergences(truth: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Jensen-Shannon divergence of each utterance in bits, shape (utterances,), in [0, 1].

    H((t + p) / 2) - (H(t) + H(p)) / 2: the mean divergence of both from their mean. It is finite whatever has
    probability 0, and the square of the distance that ``scipy.spatial.distance.jensenshannon(t, p, base=2)`` gives.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.

    Reference:
        Lin (1991), Divergence Measures Based on the Shannon Entropy, IEEE Transactions on Information Theory 37(1).
    """
    true, predicted = _checked(truth, prediction)
    between = entropies((true + predicted) / 2) - (entropies(true) + entropies(predicted)) / 2
    return np.clip(between, 0.0, 1.0)


def kl_divergences(truth: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """KL(truth || prediction) of each utterance in nats, as the loss ``kl`` has it, shape (utterances,).

    Predicted probabilities count as at least 1e-12, so a class that was voted for and got none costs 27.6 of its share.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.

    Reference:
        Kullback & Leibler (1951), On Information and Sufficiency, The Annals of Mathematical Statistics 22(1).
    """
    true, predicted = _checked(truth, prediction)
    logs = np.log(np.where(true > 0, true, 1.0)) - np.log(np.clip(predicted, _SMALLEST, 1.0))
    return np.maximum((true * logs).sum(axis=1), 0.0)


def cosine_similarities(truth: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Cosine of the angle between the two rows of each utterance, shape (utterances,), in [0, 1].

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.
    """
    true, predicted = _checked(truth, prediction)
    lengths = np.linalg.norm(true, axis=1) * np.linalg.norm(predicted, axis=1)
    return np.clip(ratio((true * predicted).sum(axis=1), lengths), 0.0, 1.0)


def top_hits(truth: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """One where the most probable class is the most voted one, or one of those that tie, shape (utterances,).

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.
    """
    true, predicted = _checked(truth, prediction)
    if not len(true):
        return np.zeros(0)
    of_predicted = true[np.arange(len(true)), predicted.argmax(axis=1)]
    return (of_predicted >= true.max(axis=1) - _ROUNDING).astype(float)


def shared_mass(truth: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Shared mass min(t, p), with the truth's and the prediction's own, shape (utterances, classes, 3).

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.
    """
    true, predicted = _checked(truth, prediction)
    return np.stack([np.minimum(true, predicted), true, predicted], axis=-1)


def shared_classes(truth: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Classes present in both, in the truth and in the prediction, shape (utterances, classes, 3), zeros and ones.

    Present is a class with more than 1/C of an utterance's distribution over C classes.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.
    """
    true, predicted = _checked(truth, prediction)
    least = 1 / max(true.shape[1], 1) + _ROUNDING
    there, said = true > least, predicted > least
    return np.stack([there & said, there, said], axis=-1).astype(float)


def macro_f1_of(shared: FloatArray) -> FloatArray:
    """Mean over the classes that either has of 2 shared / (truth + prediction); sums (..., classes, 3) -> (...)."""
    return mean_of_defined(f1s_of(shared), shared[..., 1] + shared[..., 2] > 0)


def micro_f1_of(shared: FloatArray) -> FloatArray:
    """2 shared / (truth + prediction) over all classes together; sums (..., classes, 3) -> (...)."""
    return f1s_of(shared.sum(axis=-2))


def f1s_of(shared: FloatArray) -> FloatArray:
    """2 shared / (truth + prediction), sums of shape (..., 3) -> (...)."""
    return ratio(2 * shared[..., 0], shared[..., 1] + shared[..., 2])


def jensen_shannon(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean Jensen-Shannon divergence in bits, in [0, 1], 0 for equal distributions; NaN without utterances.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.

    Reference:
        Lin (1991), see ``jensen_shannon_divergences``.

    >>> round(jensen_shannon([[0.5, 0.5]], [[1.0, 0.0]]), 3)
    0.311
    """
    return _mean(jensen_shannon_divergences(truth, prediction))


def kl_divergence(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean KL(truth || prediction) in nats, at least 0; NaN without utterances.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.

    Reference:
        Kullback & Leibler (1951), see ``kl_divergences``.

    >>> round(kl_divergence([[1.0, 0.0]], [[0.5, 0.5]]), 3)
    0.693
    """
    return _mean(kl_divergences(truth, prediction))


def cosine_similarity(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean cosine of the angle between votes and probabilities, in [0, 1]; NaN without utterances.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.

    >>> round(cosine_similarity([[1.0, 0.0]], [[0.5, 0.5]]), 3)
    0.707
    """
    return _mean(cosine_similarities(truth, prediction))


def top_agreement(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share of utterances whose most probable class is a most voted one, in [0, 1]; NaN without utterances.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.

    >>> top_agreement([[0.4, 0.4, 0.2], [1.0, 0.0, 0.0]], [[0.1, 0.6, 0.3], [0.1, 0.6, 0.3]])
    0.5
    """
    return _mean(top_hits(truth, prediction))


def soft_macro_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Macro-F1 in which an utterance belongs to each class as far as its share goes, in [0, 1]; NaN without utterances.

    With t and p the shares of class c in votes and prediction, sums over utterances: true positives are sum min(t, p),
    F1 = 2 sum min(t, p) / (sum t + sum p), and the mean is over the classes that have votes or probability: one without
    votes counts as 0. Of one-hot rows it is the ordinary macro-F1.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.

    Reference:
        Harju and Mesaros (2023), arXiv 2309.13938, for precision and recall of fuzzy sets.

    >>> round(soft_macro_f1([[0.5, 0.5]], [[1.0, 0.0]]), 3)
    0.333
    """
    return float(macro_f1_of(shared_mass(truth, prediction).sum(axis=0)))


def multilabel_macro_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Macro-F1 of the sets of classes above 1/C, in [0, 1]; NaN where no class is present anywhere.

    The protocol of multi-label studies on MSP-Podcast (recalled: Chou et al., Interspeech 2023): a class is present
    where its share exceeds 1/C, in votes and prediction alike. The mean is over classes that are present in either, as
    ``sklearn.metrics.f1_score(..., average="macro", zero_division=nan)`` has it; by default scikit-learn counts a class
    that is present nowhere as 0.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.

    >>> round(multilabel_macro_f1([[0.5, 0.5, 0.0]], [[0.8, 0.1, 0.1]]), 3)
    0.5
    """
    return float(macro_f1_of(shared_classes(truth, prediction).sum(axis=0)))


def multilabel_micro_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """F1 of the sets of classes above 1/C, all classes counted together, in [0, 1]; see ``multilabel_macro_f1``.

    Raises:
        ValueError: if the shapes differ, or a row does not hold shares that sum to one.

    >>> round(multilabel_micro_f1([[0.5, 0.5, 0.0]], [[0.8, 0.1, 0.1]]), 3)
    0.667
    """
    return float(micro_f1_of(shared_classes(truth, prediction).sum(axis=0)))


def _mean(values: FloatArray) -> float:
    return float(ratio(values.sum(), np.asarray(len(values))))


def _checked(truth: ArrayLike, prediction: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Rows of both tables divided by their sums, so that rounding in a table does not count."""
    tables = [np.asarray(table, dtype=float) for table in (truth, prediction)]
    if not any(table.size for table in tables):
        width = max(table.shape[-1] if table.ndim == 2 else 1 for table in tables)
        return np.zeros((0, width)), np.zeros((0, width))
    true, predicted = tables
    if true.shape != predicted.shape or true.ndim != 2:
        raise ValueError(f"Expected two tables of shape (utterances, classes), not {true.shape} and {predicted.shape}.")
    return _normalised(true, "truth"), _normalised(predicted, "prediction")


def _normalised(table: FloatArray, what: str) -> FloatArray:
    sums: FloatArray = table.sum(axis=1, keepdims=True)
    if table.min() < 0 or not np.allclose(sums, 1.0, atol=1e-3):
        raise ValueError(f"Each row of the {what} must hold shares of at least 0 that sum to 1.")
    return table / sums
