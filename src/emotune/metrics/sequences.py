"""Scores of written answers, by jiwer and seqeval (extra ``sequences``): errors of words and symbols, F1 of slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emotune.metrics.classes import accuracy, uar
from emotune.metrics.words import plain_words
from emotune.runtime.extras import needs


def label_scores(truth: Sequence[str], answers: Sequence[str]) -> dict[str, float]:
    """UAR and accuracy of labels.

    >>> label_scores(["a", "a", "b"], ["a", "a", "a"])["uar"]
    0.5
    """
    labels = sorted({*truth, *answers})
    codes = [np.array([labels.index(label) for label in of]) for of in (truth, answers)]
    return {"uar": float(uar(*codes)), "accuracy": float(accuracy(*codes))}


def word_error_rate(truth: Sequence[str], answers: Sequence[str]) -> float:
    """Word errors over words of the truth, case and punctuation aside; NaN where the truth has no word."""
    return _error_rate(
        [" ".join(plain_words(text)) for text in truth], [" ".join(plain_words(text)) for text in answers]
    )


def symbol_error_rate(truth: Sequence[str], answers: Sequence[str]) -> float:
    """Errors of symbols, between spaces, over symbols of the truth; NaN where the truth has none."""
    return _error_rate(truth, answers)


def slot_f1(truth: Sequence[Sequence[str]], answers: Sequence[Sequence[str]]) -> float:
    """Micro-averaged F1 of slots, each ``name value``; one is right where name and value are, in their order.

    Truth and answer are laid beside each other so that equal slots meet; what meets nothing is a slot missed or one too
    many. Without any slot it is NaN.
    """
    with needs("sequences", "F1 of slots"):
        from seqeval.metrics import f1_score  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]
        from seqeval.scheme import IOB2  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]
    rows: tuple[list[list[str]], list[list[str]]] = ([], [])
    for expected, found in zip(truth, answers, strict=True):
        row: tuple[list[str], list[str]] = ([], [])
        for slot, in_truth, in_answer in _side_by_side(expected, found):
            tags = _tags(slot)
            row[0].extend(tags if in_truth else ["O"] * len(tags))
            row[1].extend(tags if in_answer else ["O"] * len(tags))
        for kept, own in zip(rows, row, strict=True):
            kept.append(own)
    if not any(tag != "O" for kept in rows for own in kept for tag in own):
        return float("nan")
    score: Any = f1_score
    return float(score(*rows, mode="strict", scheme=IOB2, zero_division=0))


def slot_counts(truth: Sequence[str], answer: Sequence[str]) -> tuple[int, int, int]:
    """Slots of one clip that are right, those of the truth and those of the answer.

    >>> slot_counts(["room hall", "number two"], ["room hall", "number ten", "person tom"])
    (1, 2, 3)
    """
    right = sum(in_truth and in_answer for _, in_truth, in_answer in _side_by_side(truth, answer))
    return right, len(truth), len(answer)


def _side_by_side(truth: Sequence[str], answer: Sequence[str]) -> list[tuple[str, bool, bool]]:
    """Each slot, whether it is in the truth and in the answer; as many as can be in both are, in their order."""
    common = [[0] * (len(answer) + 1) for _ in range(len(truth) + 1)]  # of what is left from there on
    for row in reversed(range(len(truth))):
        for column in reversed(range(len(answer))):
            same = 1 + common[row + 1][column + 1] if truth[row] == answer[column] else 0
            common[row][column] = max(same, common[row + 1][column], common[row][column + 1])
    found: list[tuple[str, bool, bool]] = []
    row = column = 0
    while row < len(truth) and column < len(answer):
        if truth[row] == answer[column]:
            found.append((truth[row], True, True))
            row, column = row + 1, column + 1
        elif common[row + 1][column] >= common[row][column + 1]:
            found.append((truth[row], True, False))
            row += 1
        else:
            found.append((answer[column], False, True))
            column += 1
    return found + [(slot, True, False) for slot in truth[row:]] + [(slot, False, True) for slot in answer[column:]]


def word_errors(truth: str, answer: str) -> tuple[int, int]:
    """Errors of words in one text, and its words; case and punctuation aside."""
    return _errors(" ".join(plain_words(truth)), " ".join(plain_words(answer)))


def symbol_errors(truth: str, answer: str) -> tuple[int, int]:
    """Errors of symbols in one sequence, and its symbols.

    >>> symbol_errors("k O: l", "k 0 l z")
    (2, 3)
    """
    return _errors(truth, answer)


def _tags(slot: str) -> list[str]:
    """BIO tags of a slot's words."""
    name, *words = slot.split()
    return [f"B-{name}", *[f"I-{name}"] * (len(words) - 1)]


def _error_rate(truth: Sequence[str], answers: Sequence[str]) -> float:
    if not any(text.split() for text in truth):
        return float("nan")
    return float(_compared(truth, answers).wer)


def _errors(truth: str, answer: str) -> tuple[int, int]:
    found = _compared([truth], [answer])
    return found.substitutions + found.deletions + found.insertions, len(truth.split())


def _compared(truth: Sequence[str], answers: Sequence[str]) -> Any:
    with needs("sequences", "An error rate"):
        import jiwer  # noqa: PLC0415 (an extra)
    return jiwer.process_words(list(truth), list(answers))
