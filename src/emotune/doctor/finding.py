"""Findings of the doctor: kinds of fault, each with its cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from emotune.schema.utterance import Utterance

Severity = Literal["error", "note"]
EXAMPLES_SHOWN = 3


@dataclass(frozen=True)
class Case:
    """One instance of a fault: words for people, and the ids of the utterances it concerns."""

    text: str
    utterances: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A kind of fault with all its cases.

    Args:
        code: one word for machines, such as ``speaker_overlap``.
        severity: ``error`` makes a figure wrong or training impossible; a ``note`` is worth knowing.
        what: the fault as it follows on a number: "speakers in more than one split".
        cases: at least one.
        cure: what to do.
    """

    code: str
    severity: Severity
    what: str
    cases: tuple[Case, ...]
    cure: str

    @property
    def sentence(self) -> str:
        """Number of cases and the fault, in a sentence."""
        return f"{len(self.cases)} {self.what}, such as {self.cases[0].text}"

    @property
    def examples(self) -> tuple[str, ...]:
        """First cases in words."""
        return tuple(case.text for case in self.cases[:EXAMPLES_SHOWN])

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {
            "code": self.code,
            "severity": self.severity,
            "what": self.what,
            "count": len(self.cases),
            "examples": list(self.examples),
            "utterances": sorted({name for case in self.cases for name in case.utterances}),
            "cure": self.cure,
        }


def findings_of(
    code: str, severity: Severity, what: tuple[str, str], cases: Iterable[Case], cure: str
) -> tuple[Finding, ...]:
    """One finding, or none without a case; ``what`` is the fault in the singular and in the plural."""
    found = tuple(cases)
    return (Finding(code, severity, what[len(found) > 1], found, cure),) if found else ()


def case_of(utterance: Utterance, words: str = "") -> Case:
    """An utterance by id and split, with what is to be said of it."""
    return Case(named(utterance) + (f": {words}" if words else ""), (utterance.utterance_id,))


def named(utterance: Utterance) -> str:
    """``u17 in train``, or the id alone of an utterance without split."""
    return f"{utterance.utterance_id} in {utterance.split}" if utterance.split else utterance.utterance_id


def ids(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Ids of the utterances."""
    return tuple(utterance.utterance_id for utterance in utterances)
