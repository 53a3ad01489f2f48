"""Notes on emotion words: those of other languages, with the class they became, and unknown ones, with near ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from emotune.schema.emotion_words import class_of_word, nearest_words
from emotune.schema.labels import CLASSES, ENGLISH, plain_word
from emotune.schema.utterance import Utterance

_SHOWN = 12


def notes_on_words(utterances: Iterable[Utterance]) -> list[str]:
    """Notes on the emotion words of a manifest; none where all are English and known.

    >>> notes_on_words([Utterance("a", "a.wav", emotion="anger", emotion_original="Wut")])
    ['words of other languages: Wut -> anger (1)']
    """
    foreign: Counter[tuple[str, str]] = Counter()
    unknown: Counter[str] = Counter()
    for utterance in utterances:
        if utterance.emotion is None:
            continue
        word = plain_word(utterance.emotion_original or "")
        if word in class_of_word() and word not in ENGLISH and class_of_word()[word] == utterance.emotion:
            foreign[str(utterance.emotion_original), utterance.emotion] += 1
        if utterance.emotion not in CLASSES:
            unknown[utterance.emotion] += 1
    notes = []
    if foreign:
        said = [f"{word} -> {name} ({count})" for (word, name), count in foreign.most_common(_SHOWN)]
        notes.append(f"words of other languages: {', '.join(said)}{_more(len(foreign))}")
    near = {word: nearest_words(word, ENGLISH) for word, _ in unknown.most_common(_SHOWN)}
    alike = {word: found for word, found in near.items() if found}
    if alike:
        said = [
            f"{word} ({unknown[word]}): like {', '.join(f'{other} ({name})' for other, name in found)};"
            f" --map '{word}={found[0][1]}' makes one class of them"
            for word, found in alike.items()
        ]
        notes.append(f"classes that emotune does not know: {'; '.join(said)}")
    return notes


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""
