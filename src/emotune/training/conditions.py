"""A recipe's conditions in training: what is missing is predicted, and each utterance's values are looked up once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from emotune.audio import FloatArray
from emotune.conditions import GENDER, TEXT, UNKNOWN, known_of, value_of
from emotune.config import Conditions
from emotune.errors import CorpusError
from emotune.inference.asr import Transcriber
from emotune.inference.conditioner import Conditioner, identity_of, loaded_gender_predictor
from emotune.inference.enrich import with_gender
from emotune.inference.predictor import load
from emotune.inference.text_encoder import TextEncoder, embeddings
from emotune.inference.transcribe import transcribed
from emotune.manifest import Manifest
from emotune.progress import Progress, silent


def enriched(manifest: Manifest, conditions: Conditions, *, progress: Progress = silent) -> Manifest:
    """The manifest with what the recipe's gender predictor and speech recogniser say, where a value is missing.

    Raises:
        CorpusError: when a condition would be unknown of every training utterance.
        EmotuneError: when a named model cannot be had.
    """
    gender, text = conditions.gender, conditions.text
    if gender is not None and gender.predictor is not None and _missing(manifest, GENDER, gender.source):
        predictor = loaded_gender_predictor(gender.predictor, None, load)
        manifest, _ = with_gender(manifest, predictor, identity_of(gender.predictor, predictor), progress=progress)
    if text is not None and text.asr is not None and _missing(manifest, TEXT, text.source):
        transcriber = Transcriber(text.asr, revision=text.asr_revision)
        manifest, _ = transcribed(manifest, transcriber, progress=progress)
    for name, section in ((GENDER, gender), (TEXT, text)):
        if section is None or _missing(manifest, name, section.source) < max(len(manifest), 1):
            continue
        tool = {GENDER: "predictor", TEXT: "asr"}[name]
        raise CorpusError(
            f"model.conditions.{name}: no utterance has a {name} ({section.source}). Name a model that predicts it as"
            f" model.conditions.{name}.{tool}, or leave the condition out."
        )
    return manifest


def _missing(manifest: Manifest, name: str, source: str) -> int:
    """Of how many utterances a condition is unknown."""
    if source == UNKNOWN:
        return 0
    return sum(value_of(name, known_of(utterance), source)[0] is None for utterance in manifest)


def build_conditioner(conditions: Conditions, manifest: Manifest) -> Conditioner | None:
    """What gives the values of a recipe's conditions, from a manifest that is enriched; None without any.

    Its ``about`` is what the model's config keeps: sizes, sources, and the models that made the values.
    """
    about: dict[str, dict[str, Any]] = {}
    embed = None
    if conditions.gender is not None:
        about[GENDER] = {
            **conditions.gender.model_dump(include={"size", "dropout", "source"}),
            "predictor": manifest.information.get("gender_predictor"),
        }
    if conditions.text is not None:
        encoder = TextEncoder(conditions.text.encoder, revision=conditions.text.encoder_revision)
        about[TEXT] = {
            **conditions.text.model_dump(include={"size", "dropout", "source"}),
            "width": encoder.dimension,
            "encoder": encoder.identity,
            "asr": manifest.information.get("speech_recogniser"),
        }
        embed = partial(embeddings, encoder)
    return Conditioner(about, embed=embed) if about else None


def condition_table(conditioner: Conditioner, manifest: Manifest) -> Mapping[str, FloatArray]:
    """Each condition's values for the utterances of a manifest, shape (utterances, width), NaN where unknown."""
    given = conditioner([known_of(utterance) for utterance in manifest], [None] * len(manifest))
    return {name: np.stack([own.values[name] for own in given]) for name in conditioner.about}
