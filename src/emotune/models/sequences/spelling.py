"""Spelling: texts as numbers of tokens and back, by the tokenizer of a published model or by characters."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from emotune.errors import ModelError
from emotune.runtime.extras import needs

TOKENIZER = "tokenizer.json"
CHARACTERS = string.ascii_letters + string.digits + string.punctuation + " "


class Spelling(Protocol):
    """Tokens of a decoder. Those of text are the numbers below ``texts``."""

    texts: int

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, as it stands in running text: words begin with a space."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        ...


class CharacterSpelling:
    """One token a character of ASCII's visible ones and the space.

    >>> CharacterSpelling().decode(CharacterSpelling().encode(" two words"))
    ' two words'
    """

    texts = len(CHARACTERS)

    def encode(self, text: str) -> list[int]:
        unknown = sorted({character for character in text if character not in CHARACTERS})
        if unknown:
            raise ModelError(
                f"{text!r} holds {''.join(unknown)!r}, and this model spells letters, digits and marks of ASCII alone."
                " Write the text without, or use a Whisper model."
            )
        return [CHARACTERS.index(character) for character in text]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(CHARACTERS[token] for token in tokens)


class TokenizerSpelling:
    """Tokens of a published tokenizer.

    Args:
        path: of its tokenizer.json.
        texts: the first number that is no token of text.
    """

    def __init__(self, path: Path, *, texts: int) -> None:
        with needs("sequences", "A model with a tokenizer"):
            from tokenizers import Tokenizer  # noqa: PLC0415 (an extra)
        if not path.is_file():
            raise ModelError(f"{path} is missing: copy the tokenizer of the published model beside its weights.")
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises Exception itself
            raise ModelError(f"{path} is no tokenizer ({error}). Copy it again.") from error
        self.texts = texts

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(list(tokens), skip_special_tokens=False)
