"""Spoken task: what a model is to write of a clip, as a sequence of tokens from which it can be read back."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from emotune.errors import ConfigError, ModelError
from emotune.models.sequences.grammar import FreeText, Grammar
from emotune.models.sequences.spelling import CHARACTERS, Spelling

Writes = Literal["label", "symbols", "slots", "text"]
Joined = Literal["single", "stacked", "fused"]
_SEPARATORS = {"label": None, "symbols": "", "slots": ";", "text": None}
NAME = re.compile(r"[A-Za-z0-9][\w-]*")


@dataclass(frozen=True)
class SpokenTask:
    """A task and the adapter that does it.

    Args:
        name: of task and adapter.
        writes: one ``label``, ``symbols`` such as phonemes, ``slots`` as ``name value; name value``, or free ``text``.
        column: of a manifest that holds the truth.
        items: all labels, symbols or slots there are; none of a text.
        size: of the bottleneck in each layer; 0 = the task has its token alone.
        joins: how the adapter stands to the others it ``uses``: by itself, behind one, or as attention over them all.
        uses: names of other tasks' adapters.
        ctc: whether an output of the encoder learns the same by CTC.
        most_tokens: of an answer, its end included.
    """

    name: str
    writes: Writes
    column: str
    items: tuple[str, ...] = ()
    size: int = 64
    joins: Joined = "single"
    uses: tuple[str, ...] = ()
    ctc: bool = False
    most_tokens: int = 64

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} is no name of a task: use letters, digits, - and _.")
        if self.writes not in _SEPARATORS:
            raise ConfigError(f"{self.name}: writes is {self.writes!r}, expected one of {', '.join(_SEPARATORS)}.")
        if (self.writes == "text") == bool(self.items):
            raise ConfigError(f"{self.name}: a task has items unless it writes text, and it writes {self.writes}.")
        fits = {"single": not self.uses, "stacked": len(self.uses) == 1, "fused": len(self.uses) > 1}
        if not fits.get(self.joins, False) or self.name in self.uses or len(set(self.uses)) < len(self.uses):
            raise ConfigError(
                f"{self.name}: joins is {self.joins!r} with {len(self.uses)} other adapters. single has none, stacked"
                " one, fused two or more different ones."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain fields, as stored with an adapter."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SpokenTask:
        """Reads the output of ``to_json``.

        Raises:
            ModelError: for anything else.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if set(data) != names or not all(isinstance(data[name], list | tuple) for name in ("items", "uses")):
            raise ModelError(
                f"its task has {', '.join(sorted(data)) or 'nothing'}, expected {', '.join(sorted(names))}"
            )
        read: dict[str, Any] = {**data, "items": tuple(data["items"]), "uses": tuple(data["uses"])}
        return cls(**read)

    def parts(self, answer: str) -> list[str]:
        """Items of an answer as people write it; of a text its words.

        >>> SpokenTask("slots", "slots", "slots", ("room hall",)).parts("room hall; number two")
        ['room hall', 'number two']
        """
        if self.writes == "label":
            return [answer.strip()]
        separator = ";" if self.writes == "slots" else None
        return [part for found in answer.split(separator) if (part := " ".join(found.split()))]

    def written(self, parts: Sequence[str]) -> str:
        """An answer as people write it, from its items."""
        return ("; " if self.writes == "slots" else " ").join(parts)


class SpeltTask:
    """A task in a decoder's tokens.

    Args:
        task: what is written.
        spelling: of the decoder.
        end: the decoder's token for the end of a sequence.

    Raises:
        ConfigError: for items that cannot be told apart once they are written.
    """

    def __init__(self, task: SpokenTask, spelling: Spelling, *, end: int) -> None:
        self.task, self.spelling = task, spelling
        self.grammar: Grammar
        separator = _SEPARATORS[task.writes]
        if task.writes == "text":
            self.grammar = FreeText(spelling.texts, end=end)
        else:
            wrong = [item for item in task.items if task.parts(item) != [item]]
            if wrong or len(set(task.items)) < len(task.items):
                raise ConfigError(
                    f"{task.name}: {wrong[0] if wrong else 'a repeated item'!r} is no item of a task that writes"
                    f" {task.writes}: items differ, and hold no space at their ends and no separator."
                )
            first = [spelling.encode(f" {item}") for item in task.items]
            further = [] if separator is None else [spelling.encode(f"{separator} {item}") for item in task.items]
            self.grammar = Grammar(first, further, end=end, may_be_empty=separator is not None)
        if self.grammar.fewest > task.most_tokens:
            raise ConfigError(
                f"{task.name}: most_tokens is {task.most_tokens}, its shortest answer needs {self.grammar.fewest}."
            )

    @property
    def ctc_symbols(self) -> int:
        """Symbols that CTC tells apart, the blank aside."""
        return len(self.task.items) or len(CHARACTERS)

    def tokens(self, answer: str) -> list[int]:
        """Tokens of an answer, its end left out.

        Raises:
            ConfigError: for an answer that the task does not know, or that is too long.
        """
        parts = self.task.parts(answer)
        unknown = [] if self.task.writes == "text" else [part for part in parts if part not in self.task.items]
        if unknown:
            raise ConfigError(
                f"{self.task.name}: {unknown[0]!r} is not among its {len(self.task.items)} items, those of the training"
                " split: give that one with this item, or leave the utterance out."
            )
        if self.task.writes == "text":
            tokens = self.spelling.encode(f" {' '.join(parts)}") if parts else []
        else:
            separator = _SEPARATORS[self.task.writes] or ""
            tokens = [
                token
                for place, part in enumerate(parts)
                for token in self.spelling.encode(f"{separator if place else ''} {part}")
            ]
        if len(tokens) + 1 > self.task.most_tokens:
            raise ConfigError(
                f"{answer[:60]!r} takes {len(tokens) + 1} tokens: raise tasks.{self.task.name}.most_tokens, which is"
                f" {self.task.most_tokens}."
            )
        return tokens

    def answer(self, tokens: Sequence[int]) -> str:
        """The answer that tokens spell."""
        return self.task.written(self.task.parts(self.spelling.decode(tokens)))

    def ctc_targets(self, answer: str) -> list[int]:
        """Symbols of an answer for CTC, counted from 1: its items, or the characters of a text."""
        parts = self.task.parts(answer)
        if self.task.items:
            return [1 + self.task.items.index(part) for part in parts]
        return [1 + CHARACTERS.index(character) for character in " ".join(parts) if character in CHARACTERS]
