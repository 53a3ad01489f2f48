"""What a model is given of a clip beside its sound: what is known, else what is predicted, else that it is unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.enrichment import providers
from emotune.enrichment.providers import Maker
from emotune.errors import EmotuneError, ModelError
from emotune.schema.conditions import (
    COLUMNS,
    GENDER,
    GIVEN,
    PREDICTED,
    TEXT,
    UNKNOWN,
    Known,
    check_sources,
    gender_shares,
    lacks,
    used_text,
    value_of,
)
from emotune.schema.predictions import Predictions

Embed = Callable[[Sequence[str | None]], FloatArray]
"""Texts to embeddings, shape (texts, width), a row of NaN for None."""
About = Mapping[str, Mapping[str, Any]]
"""The ``conditions`` of a model's config."""


class GenderPredictor(Protocol):
    """A ``Predictor`` of a model that was trained with ``data.target: gender``."""

    def predict(self, source: list[Any], sampling_rate_hz: int | None = None) -> Predictions:
        """Predicts the gender of sounds."""
        ...


class Transcribes(Protocol):
    """A ``Transcriber``."""

    def transcribe(self, waveforms: Sequence[FloatArray]) -> Sequence[Any]:
        """Transcribes waveforms, each of shape (samples,), at 16 kHz."""
        ...


@dataclass(frozen=True)
class Given:
    """What a model is given of a clip.

    Args:
        values: each condition, shape (width,); NaN where unknown.
        used: where each comes from, for the column ``conditions_used``.
    """

    values: Mapping[str, FloatArray]
    used: str | None


class Conditioner:
    """Finds the values of a model's conditions for clips.

    Args:
        about: the ``conditions`` of the model's config.
        sources: condition -> where its value comes from, see ``schema.conditions.SOURCES``; default as in training.
        gender: predicts gender where it is not known; None = it stays unknown.
        transcriber: does that for the text.
        embed: a text encoder; None = text is never known.
        notes: why something that the model was trained with is not there.
    """

    def __init__(
        self,
        about: About,
        *,
        sources: Mapping[str, str] | None = None,
        gender: GenderPredictor | None = None,
        transcriber: Transcribes | None = None,
        embed: Embed | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.about = about
        self.sources = _sources(about, sources)
        self.gender = gender
        self.transcriber = transcriber
        self.embed = embed
        self.notes = tuple(notes)

    def needs_sound(self, known: Known) -> bool:
        """Whether something of a clip would have to be predicted from its samples."""
        return self._lacks(GENDER, known, self.gender) or self._lacks(TEXT, known, self.embed and self.transcriber)

    def _lacks(self, name: str, known: Known, predictor: object) -> bool:
        return predictor is not None and lacks(name, known, self.sources.get(name, UNKNOWN))

    def __call__(self, known: Sequence[Known], sounds: Sequence[FloatArray | None]) -> list[Given]:
        """Values for clips.

        Args:
            known: of each clip.
            sounds: the clips at 16 kHz, shape (samples,), where ``needs_sound`` says so; None elsewhere.
        """
        complete = [dict(own) for own in known]
        self._predict(GENDER, complete, sounds, self.gender, self._genders)
        self._predict(TEXT, complete, sounds, self.embed and self.transcriber, self._texts)
        columns: dict[str, FloatArray] = {}
        origins: dict[str, list[str]] = {}
        for name, source in self.sources.items():
            found = [value_of(name, own, source) for own in complete]
            columns[name], is_known = self._vectors(name, [value for value, _ in found])
            origins[name] = [origin if there else UNKNOWN for (_, origin), there in zip(found, is_known, strict=True)]
        return [
            Given(
                {name: column[row] for name, column in columns.items()},
                used_text({name: origin[row] for name, origin in origins.items()}),
            )
            for row in range(len(complete))
        ]

    def _predict(
        self,
        name: str,
        complete: Sequence[dict[str, str]],
        sounds: Sequence[FloatArray | None],
        predictor: object,
        predict: Callable[[list[FloatArray]], list[str | None]],
    ) -> None:
        """Fills in the predicted column of clips that lack it."""
        lacking = [
            (own, sound)
            for own, sound in zip(complete, sounds, strict=True)
            if sound is not None and self._lacks(name, own, predictor)
        ]
        if not lacking:
            return
        for (own, _), value in zip(lacking, predict([sound for _, sound in lacking]), strict=True):
            if value:
                own[COLUMNS[name][1]] = value

    def _genders(self, sounds: list[FloatArray]) -> list[str | None]:
        assert self.gender is not None
        return [row.emotion for row in self.gender.predict(list(sounds), SAMPLING_RATE_HZ)]

    def _texts(self, sounds: list[FloatArray]) -> list[str | None]:
        assert self.transcriber is not None
        return [transcript.text for transcript in self.transcriber.transcribe(sounds)]

    def _vectors(self, name: str, values: Sequence[str | None]) -> tuple[FloatArray, list[bool]]:
        """The values as the model takes them, shape (clips, width), and which of them are known."""
        if name == GENDER:
            vectors = np.array([gender_shares(value) for value in values], dtype=np.float32)
        elif self.embed is None:
            vectors = np.full((len(values), int(self.about[name]["width"])), np.nan, dtype=np.float32)
        else:
            vectors = np.asarray(self.embed(values), dtype=np.float32)
        vectors = vectors.reshape(len(values), -1)
        return vectors, [bool(np.isfinite(vector).all()) for vector in vectors]


def _sources(about: About, asked: Mapping[str, str] | None) -> dict[str, str]:
    """Where each condition's value comes from: as asked, else as in training."""
    check_sources(asked or {}, list(about))
    return {name: own.get("source", GIVEN) for name, own in about.items()} | dict(asked or {})


def conditioner_of(
    about: About,
    load_predictor: Callable[[str], Any],
    *,
    sources: Mapping[str, str] | None = None,
    gender_model: str | None = None,
    asr: str | None = None,
    text_encoder: str | None = None,
    scored: Sequence[Known] | None = None,
) -> Conditioner:
    """A conditioner with what a model's config names, as far as it can be had here; what cannot is noted.

    Where clips are scored there is no note but an error: silently unknown, a condition would give another model's
    scores.

    Args:
        about: the ``conditions`` of the model's config.
        load_predictor: a name to a ``Predictor``.
        sources: see ``Conditioner``.
        gender_model, asr, text_encoder: take the place of those that the config names.
        scored: what is known of the clips that the model will be scored on; what none of them needs is not loaded.

    Raises:
        EmotuneError: for one that cannot be had, when the user names it or clips are scored that need it.
    """
    notes: list[str] = []
    used = {name: source for name, source in _sources(about, sources).items() if source in (GIVEN, PREDICTED)}

    def tool(condition: str, key: str, what: str, instead: str | None, make: Callable[[Maker], Any]) -> Any:
        named = about[condition].get(key)
        if instead is not None:
            return make({"name": instead, "language": named.get("language") if named else None})
        if named is None:
            return None
        try:
            return make(named)
        except EmotuneError as error:
            note = f"The {what} {named['name']} cannot be had here: {error}"
            if scored is not None:
                raise ModelError(
                    f"{note} Without it the scores would be those of a model that is not told the {condition}. Bring it"
                    f" here, or ask for such scores with `emotune evaluate --condition {condition}=unknown`."
                ) from error
            notes.append(note)
            return None

    def is_predicted(condition: str) -> bool:
        return scored is None or any(lacks(condition, known, used[condition]) for known in scored)

    gender = transcriber = encoder = None
    if GENDER in used and is_predicted(GENDER):
        from_name = partial(providers.gender_predictor, load_predictor=load_predictor)
        gender = tool(GENDER, "predictor", "gender predictor", gender_model, from_name)
    if TEXT in used:
        encoder = tool(TEXT, "encoder", "text encoder", text_encoder, providers.text_encoder)
        if encoder is not None and is_predicted(TEXT):
            transcriber = tool(TEXT, "asr", "speech recogniser", asr, providers.transcriber)
    return Conditioner(
        about,
        sources=sources,
        gender=gender,
        transcriber=transcriber,
        embed=None if encoder is None else _embed_each_once(encoder),
        notes=notes,
    )


def _embed_each_once(encoder: Any) -> Embed:
    def embed(texts: Sequence[str | None]) -> FloatArray:
        unique = sorted({text for text in texts if text})
        vectors = dict(zip(unique, encoder.encode(unique), strict=True)) if unique else {}
        unknown = np.full(encoder.dimension, np.nan, dtype=np.float32)
        return np.stack([vectors.get(text or "", unknown) for text in texts])

    return embed
