"""Readers of transcripts: the emotion that the words alone say, or that they say none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from emotune.enrichment.lexicon import emotion_of_text, lexicon_classes
from emotune.enrichment.text_encoder import FloatArray
from emotune.errors import CorpusError
from emotune.runtime.extras import needs
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

NEUTRAL = "neutral"
_SURE = 0.5
"""Threshold: a fitted reader names a class that is more probable than all others together."""
_ENGLISH = ("en", "und")


class Reader(Protocol):
    """Reads the emotion of texts; ``words`` says by what, for people."""

    words: str

    def read(self, utterances: Sequence[Utterance], classes: Sequence[str]) -> list[str | None]:
        """Classes that the utterances' words say; None where they say none."""
        ...


def text_of(utterance: Utterance) -> str | None:
    """Words of an utterance: the corpus's own, else what a recogniser heard; None where nobody knows them."""
    return utterance.text if utterance.text is not None else utterance.text_predicted


def has_transcript(utterance: Utterance) -> bool:
    """Tells whether there are words that could be read."""
    return bool((text_of(utterance) or "").strip())


class LexiconReader:
    """Reader by a list of English words; of another language it reads nothing."""

    words = "emotune's list of English emotional words"

    def read(self, utterances: Sequence[Utterance], classes: Sequence[str]) -> list[str | None]:
        """Classes with the most words of it; None without one, and for a language that is not English."""
        known = [name for name in classes if name in lexicon_classes()]
        return [emotion_of_text(text_of(u), known) if is_english(u.language) else None for u in utterances]


def is_english(language: str | None) -> bool:
    """Tells whether a language is English, or not known."""
    return (language or "und").replace("_", "-").split("-")[0].lower() in _ENGLISH


class FittedReader:
    """Reader by a frozen text encoder and a linear classifier that is fitted to the transcripts of a training split.

    Args:
        encode: texts to embeddings, shape (texts, dimension).
        training: labelled utterances with transcripts, of no speaker that is read afterwards.
        name: of the encoder, for people.

    Raises:
        CorpusError: when fewer than two classes have transcripts there.
    """

    def __init__(self, encode: Callable[[Sequence[str]], FloatArray], training: Manifest, *, name: str) -> None:
        with needs("train", "A reader that is fitted"):
            from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (evaluation does without)
        shown = [u for u in training if u.emotion is not None and has_transcript(u)]
        labels = [u.emotion or "" for u in shown]
        if len(set(labels)) < 2:
            raise CorpusError(
                "The training split has no transcripts of two classes, so that no reader of words can be fitted: leave"
                " out --text-encoder, or transcribe it with `emotune transcribe`."
            )
        self._encode = encode
        self._classifier = LogisticRegression(max_iter=2000, class_weight="balanced")
        self._classifier.fit(encode([text_of(u) or "" for u in shown]), labels)
        self.words = f"the text encoder {name}, fitted to {len(shown)} transcripts of the training split"

    def read(self, utterances: Sequence[Utterance], classes: Sequence[str]) -> list[str | None]:
        """Classes that are each more probable than all others together, neutral aside; else None."""
        there = [place for place, u in enumerate(utterances) if has_transcript(u)]
        found: list[str | None] = [None] * len(utterances)
        if not there:
            return found
        shares = self._classifier.predict_proba(self._encode([text_of(utterances[place]) or "" for place in there]))
        for place, row in zip(there, np.asarray(shares), strict=True):
            name = str(self._classifier.classes_[int(row.argmax())])
            found[place] = name if row.max() > _SURE and name in classes and name != NEUTRAL else None
        return found
