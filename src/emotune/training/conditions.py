"""A recipe's conditions in training: what is missing is predicted, and each utterance's values are looked up once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from emotune.audio import FloatArray
from emotune.config.recipe import Conditions
from emotune.enrichment import providers
from emotune.enrichment.providers import Maker
from emotune.enrichment.text_encoder import embeddings
from emotune.enrichment.transcribe import one_language, transcribed
from emotune.errors import CorpusError, EmotuneError, ModelError
from emotune.inference.conditioner import Conditioner
from emotune.inference.gender import with_gender
from emotune.inference.predictor import load
from emotune.runtime.progress import Progress, silent
from emotune.schema.conditions import GENDER, TEXT, UNKNOWN, known_of, lacks, value_of
from emotune.schema.manifest import Manifest

_KEPT_AS = {GENDER: "gender_predictor", TEXT: "speech_recogniser"}
"""Condition -> what a manifest's information calls the model that predicted it."""
_NAMED_AS = {GENDER: "predictor", TEXT: "asr"}
"""Condition -> what recipes and models call that."""


def enriched(manifest: Manifest, conditions: Conditions, *, progress: Progress = silent) -> Manifest:
    """The manifest with what the recipe's gender predictor and speech recogniser say of utterances that lack a value.

    What is there stays, and so does the model that the manifest's information names for it.

    Raises:
        CorpusError: when a condition would be unknown of every training utterance.
        EmotuneError: when a named model cannot be had.
    """
    sources = {name: section.source for name, section in conditions if section is not None}
    for name, maker in _makers(conditions, manifest).items():
        lacking = manifest.filter(lambda u, name=name: lacks(name, known_of(u), sources[name]))
        if len(lacking):
            manifest = _merged(manifest, _FILL[name](lacking, maker, progress))
    for name, source in sources.items():
        if source == UNKNOWN or any(value_of(name, known_of(u), source)[0] is not None for u in manifest):
            continue
        raise CorpusError(
            f"model.conditions.{name}: no utterance has a {name} ({source}). Name a model that predicts it as"
            f" model.conditions.{name}.{_NAMED_AS[name]}, or leave the condition out."
        )
    return manifest


def _makers(conditions: Conditions, manifest: Manifest) -> dict[str, Maker]:
    """The models that the recipe names to predict conditions, whether or not a value is missing just now."""
    gender, text = conditions.gender, conditions.text
    found: dict[str, Maker] = {}
    if gender is not None and gender.predictor is not None:
        with _about(GENDER):
            found[GENDER] = providers.gender_maker(gender.predictor)
    if text is not None and text.asr is not None:
        earlier = manifest.information.get(_KEPT_AS[TEXT], {})
        with _about(TEXT):
            maker = providers.text_maker(text.asr, text.asr_revision, one_language(manifest))
        is_same = all(earlier.get(key) == maker[key] for key in ("name", "revision"))
        found[TEXT] = earlier if is_same else maker  # with the language that it heard
    return found


@contextmanager
def _about(name: str) -> Iterator[None]:
    try:
        yield
    except EmotuneError as error:
        raise ModelError(
            f"model.conditions.{name}.{_NAMED_AS[name]}: {error} Or leave it out: then nothing that is missing is"
            " predicted."
        ) from error


def _genders(lacking: Manifest, maker: Maker, progress: Progress) -> Manifest:
    return with_gender(lacking, providers.gender_predictor(maker, load), maker, progress=progress)[0]


def _texts(lacking: Manifest, maker: Maker, progress: Progress) -> Manifest:
    return transcribed(lacking, providers.transcriber(maker), progress=progress)[0]


_FILL: Mapping[str, Callable[[Manifest, Maker, Progress], Manifest]] = {GENDER: _genders, TEXT: _texts}


def _merged(manifest: Manifest, filled: Manifest) -> Manifest:
    """A manifest with some of its utterances as they were filled in."""
    new = {utterance.utterance_id: utterance for utterance in filled}
    return dataclasses.replace(
        manifest,
        utterances=tuple(new.get(utterance.utterance_id, utterance) for utterance in manifest),
        information={**filled.information, **manifest.information},
    )


def build_conditioner(conditions: Conditions, manifest: Manifest) -> Conditioner | None:
    """What gives the values of a recipe's conditions, from a manifest that is enriched; None without any.

    Its ``about`` is what the model's config keeps: sizes, sources, and the models that make the values, those that the
    recipe names before those that the manifest does.
    """
    about: dict[str, dict[str, Any]] = {}
    embed = None
    named = _makers(conditions, manifest)
    for name, section in conditions:
        if section is not None:
            about[name] = section.model_dump(include={"size", "dropout", "source"})
            about[name][_NAMED_AS[name]] = named.get(name) or manifest.information.get(_KEPT_AS[name])
    text = conditions.text
    if text is not None:
        is_used = text.source != UNKNOWN  # else it only has to say how wide its vectors are
        wanted = {"name": text.encoder, "revision": text.encoder_revision}
        encoder = providers.text_encoder(wanted, device=None if is_used else "cpu")
        about[TEXT].update(width=encoder.dimension, encoder=encoder.identity)
        embed = partial(embeddings, encoder) if is_used else None
    return Conditioner(about, embed=embed) if about else None


def condition_table(conditioner: Conditioner, manifest: Manifest) -> Mapping[str, FloatArray]:
    """Each condition's values for the utterances of a manifest, shape (utterances, width), NaN where unknown."""
    given = conditioner([known_of(utterance) for utterance in manifest], [None] * len(manifest))
    return {name: np.stack([own.values[name] for own in given]) for name in conditioner.about}
