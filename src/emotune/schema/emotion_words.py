"""Words for emotions in several languages, and the class that each stands for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib import resources

_CLOSE = 0.75


@cache
def words_of_languages() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Language -> class -> words in lower case, from ``emotion_words.yaml``, which names its sources."""
    import yaml  # noqa: PLC0415 (predictions need no words)

    text = resources.files("emotune.schema").joinpath("emotion_words.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(text)
    return {language: {name: tuple(words) for name, words in classes.items()} for language, classes in found.items()}


@cache
def class_of_word() -> Mapping[str, str]:
    """Word in lower case -> class, of all languages together."""
    return {
        word: name for classes in words_of_languages().values() for name, words in classes.items() for word in words
    }


def nearest_words(word: str, more: Mapping[str, str], *, at_most: int = 2) -> list[tuple[str, str]]:
    """Known words that are spelt nearly like an unknown one, each with its class, the most alike first.

    Args:
        word: in lower case.
        more: further known words -> class.
        at_most: how many.

    >>> nearest_words("freudee", {})
    [('freude', 'happiness')]
    """
    known = {**class_of_word(), **more}
    return [(found, known[found]) for found in difflib.get_close_matches(word, known, at_most, _CLOSE)]
