"""Scores of written answers, by jiwer and seqeval (extra ``sequences``): errors of words and symbols, F1 of slots."""

from __future__ import annotations

import difflib
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
        from seqeval.metrics import f1_score  # noqa: PLC0415 (an extra)
        from seqeval.scheme import IOB2  # noqa: PLC0415
    rows: tuple[list[list[str]], list[list[str]]] = ([], [])
    for expected, found in zip(truth, answers, strict=True):
        row: tuple[list[str], list[str]] = ([], [])
        matcher = difflib.SequenceMatcher(None, list(expected), list(found), autojunk=False)
        for kind, start, end, from_, to in matcher.get_opcodes():
            for slot in expected[start:end]:
                tags = _tags(slot)
                row[0].extend(tags)
                row[1].extend(tags if kind == "equal" else ["O"] * len(tags))
            for slot in [] if kind == "equal" else found[from_:to]:
                tags = _tags(slot)
                row[0].extend(["O"] * len(tags))
                row[1].extend(tags)
        for kept, own in zip(rows, row, strict=True):
            kept.append(own)
    if not any(tag != "O" for kept in rows for own in kept for tag in own):
        return float("nan")
    return float(f1_score(*rows, mode="strict", scheme=IOB2, zero_division=0))


def slot_counts(truth: Sequence[str], answer: Sequence[str]) -> tuple[int, int, int]:
    """Slots of one clip that are right, those of the truth and those of the answer.

    >>> slot_counts(["room hall", "number two"], ["room hall", "number ten", "person tom"])
    (1, 2, 3)
    """
    matcher = difflib.SequenceMatcher(None, list(truth), list(answer), autojunk=False)
    right = sum(block.size for block in matcher.get_matching_blocks())
    return right, len(truth), len(answer)


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
