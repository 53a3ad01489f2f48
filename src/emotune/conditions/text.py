"""The words of a clip as a condition: a transcript, given or recognised, through a frozen text encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from pydantic import Field

from emotune.audio import FloatArray
from emotune.conditions.condition import Condition, ConditionOptions, ValueEncoder, ValuePredictor
from emotune.conditions.sources import Helper, Identity, LoadModel
from emotune.enrichment.speech_recogniser import Transcriber, find_recogniser
from emotune.enrichment.text_encoder import SentenceEncoder, TextEncoder, embeddings
from emotune.enrichment.transcribe import Recogniser, one_language, transcribed
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest


class TextOptions(ConditionOptions):
    """The words as an input: transcript -> frozen ``encoder`` -> projection; ``asr`` transcribes what has no text."""

    encoder: str = "hf:FacebookAI/roberta-large"
    """a model of sentence-transformers or transformers"""
    encoder_revision: str | None = None
    """of the Hub"""
    asr: str | None = None
    """a model of faster-whisper, which transcribes what has no text"""
    asr_revision: str | None = None
    """of the Hub"""
    size: int = Field(default=256, ge=1)
    """of the projection"""


class TextPredictor(ValuePredictor):
    """A speech recogniser, asked for the text."""

    def __init__(self, recogniser: Recogniser) -> None:
        self.recogniser = recogniser

    def __call__(self, sounds: Sequence[FloatArray]) -> list[str | None]:
        return [transcript.text for transcript in self.recogniser.transcribe(sounds)]

    def fill(self, manifest: Manifest, *, progress: Progress = silent) -> Manifest:
        return transcribed(manifest, self.recogniser, progress=progress)[0]


class TextVectors(ValueEncoder):
    """A text encoder, which is asked each text once."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.encoder = encoder
        self.width, self.identity = encoder.dimension, encoder.identity

    def __call__(self, values: Sequence[str | None]) -> FloatArray:
        unique = sorted({text for text in values if text})
        vectors = dict(zip(unique, self.encoder.encode(unique), strict=True)) if unique else {}
        unknown = np.full(self.width, np.nan, dtype=np.float32)
        return np.stack([vectors.get(text or "", unknown) for text in values])

    def kept(self, values: Sequence[str | None]) -> FloatArray:
        return embeddings(self.encoder, values)


class FindsRecogniser(Protocol):
    """As ``emotune.enrichment.speech_recogniser.find_recogniser``."""

    def __call__(self, name: str, revision: str | None, /) -> FoundRecogniser: ...


class FoundRecogniser(Protocol):
    """A speech recogniser before it is loaded."""

    @property
    def identity(self) -> dict[str, str]: ...


class Text(Condition):
    """The embedding of a transcript by a frozen text encoder, normalised and projected.

    Args:
        recogniser: loads a speech recogniser.
        find: says which one a name stands for.
        encoder: loads a text encoder.

    >>> Text().lacks({"gender": "male"}, "given"), Text().lacks({"text_predicted": ""}, "given")
    (True, False)
    """

    name = "text"
    words = "the words"
    options = TextOptions
    given = "text"
    predicted = "text_predicted"
    features = "emotune.models.conditions.features:Projection"
    predictor = Helper("asr", "asr", "speech recogniser", "speech_recogniser")
    encoder = Helper("encoder", "text_encoder", "text encoder")

    def __init__(
        self,
        *,
        recogniser: Callable[..., Recogniser] = Transcriber,
        find: FindsRecogniser = find_recogniser,
        encoder: Callable[..., SentenceEncoder] = TextEncoder,
    ) -> None:
        self._recogniser = recogniser
        self._find = find
        self._encoder = encoder

    def find_predictor(self, options: TextOptions, manifest: Manifest, load_model: LoadModel) -> Identity | None:
        if options.asr is None:
            return None
        return {**self._find(options.asr, options.asr_revision).identity, "language": one_language(manifest)}

    def load_predictor(self, identity: Identity, load_model: LoadModel) -> TextPredictor:
        language, revision = identity.get("language"), identity.get("revision")
        return TextPredictor(self._recogniser(identity["name"], revision=revision, language=language))

    def encoder_named(self, options: TextOptions) -> Identity:
        return {"name": options.encoder, "revision": options.encoder_revision}

    def load_encoder(self, identity: Identity, *, device: str | None = None) -> TextVectors:
        return TextVectors(self._encoder(identity["name"], revision=identity.get("revision"), device=device))
