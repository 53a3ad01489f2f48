"""Metrics of classes, all computed from confusion matrices, of which any number can be stacked in front.

A confusion matrix is a sum over utterances: matrices of speakers add up to that of the corpus, and a bootstrap over
speakers is a weighted sum of theirs. So every function ``<name>_of`` takes counts of shape (..., classes, classes),
rows the truth, columns the prediction, and answers for each matrix at once. Classes are indices into the label space.
Columns beyond the rows are answers that are no class, such as none at all: wrong, and without a score of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from emotune.metrics.division import FloatArray, IntArray, NumberArray, mean_of_defined, ratio


def confusion_matrices(
    truth: ArrayLike, prediction: ArrayLike, *, classes: int, groups: IntArray, group_count: int
) -> IntArray:
    """One confusion matrix a group, shape (groups, classes, classes); rows are the truth.

    Args:
        truth: class indices, shape (utterances,).
        prediction: class indices, shape (utterances,).
        classes: how many classes there are.
        groups: each utterance's group, 0 to ``group_count - 1``.
        group_count: how many groups there are.

    Raises:
        ValueError: if the lengths differ or an index is not a class.
    """
    true, predicted = _indices(truth, prediction)
    if len(true) and max(true.max(), predicted.max()) >= classes:
        raise ValueError(f"Class index {max(true.max(), predicted.max())}, but there are {classes} classes.")
    cell = (np.asarray(groups) * classes + true) * classes + predicted
    return np.bincount(cell, minlength=group_count * classes**2).reshape(group_count, classes, classes)


def confusion_matrix(truth: ArrayLike, prediction: ArrayLike, *, classes: int) -> IntArray:
    """Counts of shape (classes, classes): row the true class, column the predicted one.

    Raises:
        ValueError: if the shapes differ or an index is not a class.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], classes=2)
    array([[1, 1],
           [0, 1]])
    """
    everyone = np.zeros(np.asarray(truth).shape, dtype=np.int64)
    return confusion_matrices(truth, prediction, classes=classes, groups=everyone, group_count=1)[0]


def supports_of(confusion: NumberArray) -> NumberArray:
    """Utterances of each class in the truth, shape (..., classes)."""
    return confusion.sum(axis=-1)


def answers_of(confusion: NumberArray) -> NumberArray:
    """Counts the utterances that each class is predicted for, shape (..., classes)."""
    return confusion.sum(axis=-2)[..., : confusion.shape[-2]]


def recalls_of(confusion: NumberArray) -> FloatArray:
    """Recall of each class, shape (..., classes); NaN for a class that the truth lacks."""
    return ratio(_hits(confusion), supports_of(confusion))


def precisions_of(confusion: NumberArray) -> FloatArray:
    """Precision of each class, shape (..., classes); NaN for a class that is never predicted."""
    return ratio(_hits(confusion), answers_of(confusion))


def f1s_of(confusion: NumberArray) -> FloatArray:
    """F1 of each class, shape (..., classes); NaN for a class neither in the truth nor predicted."""
    return ratio(2 * _hits(confusion), supports_of(confusion) + answers_of(confusion))


def uar_of(confusion: NumberArray) -> FloatArray:
    """Unweighted average recall over the classes that the truth has, shape (...)."""
    return mean_of_defined(recalls_of(confusion), supports_of(confusion) > 0)


def macro_f1_of(confusion: NumberArray) -> FloatArray:
    """Mean F1 over the classes that the truth has or that are predicted, shape (...)."""
    return mean_of_defined(f1s_of(confusion), supports_of(confusion) + answers_of(confusion) > 0)


def macro_f1_true_classes_of(confusion: NumberArray) -> FloatArray:
    """Mean F1 over the classes that the truth has, shape (...)."""
    return mean_of_defined(f1s_of(confusion), supports_of(confusion) > 0)


def accuracy_of(confusion: NumberArray) -> FloatArray:
    """Share of utterances whose class is right, shape (...)."""
    return ratio(_hits(confusion).sum(axis=-1), confusion.sum(axis=(-1, -2)))


def uar(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Unweighted average recall, in [0, 1]: every class counts the same, however rare.

    A class that the truth lacks has no recall and does not count, as in ``sklearn.metrics.balanced_accuracy_score``.
    ``audmetric.unweighted_average_recall`` and ``recall_score(..., average="macro")`` count one that is predicted as 0.
    NaN without utterances.

    Raises:
        ValueError: if the shapes differ or an index is not a class.

    Reference:
        Schuller, Steidl & Batliner (2009), The INTERSPEECH 2009 Emotion Challenge.

    >>> uar([0, 0, 0, 1], [0, 0, 1, 1])
    0.8333333333333333
    """
    return float(uar_of(_full_matrix(truth, prediction)))


def macro_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean F1 of the classes, in [0, 1]; NaN without utterances.

    The mean is over the classes that occur in truth or prediction: one that is only predicted counts as 0. So have it
    ``sklearn.metrics.f1_score(..., average="macro")`` and ``audmetric.unweighted_average_fscore``.

    Raises:
        ValueError: if the shapes differ or an index is not a class.

    Reference:
        Opitz & Burst (2019), Macro F1 and Macro F1, arXiv 1911.03347: the mean of F1 scores.

    >>> round(macro_f1([0, 0, 1], [0, 2, 1]), 3)
    0.556
    """
    return float(macro_f1_of(_full_matrix(truth, prediction)))


def macro_f1_true_classes(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Mean F1 of the classes that occur in the truth, in [0, 1]; NaN without utterances.

    For a test set that lacks some of a model's classes: as ``sklearn.metrics.f1_score(..., labels=those,
    average="macro")`` has it, predicting another class costs recall elsewhere and adds no zero.

    Raises:
        ValueError: if the shapes differ or an index is not a class.

    >>> round(macro_f1_true_classes([0, 0, 1], [0, 2, 1]), 3)
    0.833
    """
    return float(macro_f1_true_classes_of(_full_matrix(truth, prediction)))


def accuracy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share of utterances whose class is right, in [0, 1]; NaN without utterances.

    With one class an utterance, micro-averaged F1, precision and recall are this very number.

    Raises:
        ValueError: if the shapes differ or an index is not a class.

    >>> accuracy([0, 0, 0, 1], [0, 0, 1, 1])
    0.75
    """
    return float(accuracy_of(_full_matrix(truth, prediction)))


def _hits(confusion: NumberArray) -> NumberArray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _full_matrix(truth: ArrayLike, prediction: ArrayLike) -> IntArray:
    true, predicted = _indices(truth, prediction)
    classes = int(max(true.max(), predicted.max())) + 1 if len(true) else 1
    return confusion_matrix(true, predicted, classes=classes)


def _indices(truth: ArrayLike, prediction: ArrayLike) -> tuple[IntArray, IntArray]:
    true, predicted = np.asarray(truth), np.asarray(prediction)
    if true.shape != predicted.shape or true.ndim != 1:
        raise ValueError(
            f"Truth and prediction must be one-dimensional and equally long, not {true.shape} and {predicted.shape}."
        )
    if not len(true):
        return true.astype(np.int64), predicted.astype(np.int64)
    if not (np.issubdtype(true.dtype, np.integer) and np.issubdtype(predicted.dtype, np.integer)):
        raise ValueError(f"Classes must be integer indices, not {true.dtype} and {predicted.dtype}.")
    if min(true.min(), predicted.min()) < 0:
        raise ValueError("Class indices must not be negative.")
    return true.astype(np.int64), predicted.astype(np.int64)
