"""Readers of transcripts: the emotion that the words alone say, or that they say none."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from emotune.enrichment.lexicon import emotion_of_text, lexicon_classes
from emotune.enrichment.text_encoder import FloatArray
from emotune.errors import CorpusError
from emotune.runtime.extras import needs
from emotune.runtime.threads import one_thread
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

NEUTRAL = "neutral"
_SURE = 0.5
"""Threshold: a fitted reader names a class that is more probable than all others together."""
_PARTS = 5
"""Parts of the sentences of a training split, each read by a classifier of the others."""
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


def wording_of(text: str) -> str:
    """Words of a text alone, which are the same whatever its case, spaces and punctuation.

    >>> wording_of("Dogs are sitting by the door.") == wording_of("dogs are  sitting by the door")
    True
    """
    return " ".join(re.findall(r"\w+", text.casefold()))


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

    A sentence that was said in training, too, is read by a classifier that was fitted without it: else it would be
    remembered with its label, not read.

    Args:
        encode: texts to embeddings, shape (texts, dimension).
        training: labelled utterances with transcripts, of no speaker that is read afterwards.
        name: of the encoder, for people.

    Raises:
        CorpusError: when fewer than two classes have transcripts there.
    """

    def __init__(self, encode: Callable[[Sequence[str]], FloatArray], training: Manifest, *, name: str) -> None:
        with needs("train", "A reader that is fitted"):
            import sklearn.linear_model  # noqa: F401, PLC0415 (evaluation does without)
        shown = [u for u in training if u.emotion is not None and has_transcript(u)]
        labels = [u.emotion or "" for u in shown]
        if len(set(labels)) < 2:
            raise CorpusError(
                "The training split has no transcripts of two classes, so that no reader of words can be fitted: leave"
                " out --text-encoder, or transcribe it with `emotune transcribe`."
            )
        texts = [text_of(u) or "" for u in shown]
        self._encode = encode
        self._embeddings, self._labels = encode(texts), np.array(labels)
        wordings = list(map(wording_of, texts))
        self._part_of = {wording: turn % _PARTS for turn, wording in enumerate(dict.fromkeys(wordings))}
        self._parts = np.array([self._part_of[wording] for wording in wordings])
        self._classifiers: dict[int | None, LogisticRegression | None] = {}
        self.words = (
            f"the text encoder {name}, fitted to {len(shown)} transcripts of the training split; a sentence that is"
            " said there, too, is read without it"
        )

    def read(self, utterances: Sequence[Utterance], classes: Sequence[str]) -> list[str | None]:
        """Classes that are each more probable than all others together, neutral aside; else None."""
        there = [place for place, u in enumerate(utterances) if has_transcript(u)]
        found: list[str | None] = [None] * len(utterances)
        if not there:
            return found
        embeddings = self._encode([text_of(utterances[place]) or "" for place in there])
        for place, embedding in zip(there, embeddings, strict=True):
            classifier = self._without(self._part_of.get(wording_of(text_of(utterances[place]) or "")))
            if classifier is None:
                continue
            shares = np.asarray(classifier.predict_proba(embedding[None]))[0]
            name = str(classifier.classes_[int(shares.argmax())])
            found[place] = name if shares.max() > _SURE and name in classes and name != NEUTRAL else None
        return found

    def _without(self, part: int | None) -> LogisticRegression | None:
        """Classifier of all sentences but those of a part; None where these are not of two classes."""
        if part not in self._classifiers:
            from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (evaluation does without)

            taken = np.ones(len(self._parts), dtype=bool) if part is None else self._parts != part
            of_two = len(set(self._labels[taken].tolist())) > 1
            classifier = LogisticRegression(max_iter=2000, class_weight="balanced") if of_two else None
            with one_thread():
                self._classifiers[part] = classifier and classifier.fit(self._embeddings[taken], self._labels[taken])
        return self._classifiers[part]
