"""A recipe's conditions in training: what is missing is predicted, and each utterance's values are looked up once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from emotune.audio import FloatArray
from emotune.conditions import CONDITIONS
from emotune.conditions.condition import Condition
from emotune.conditions.known import known_of
from emotune.conditions.sources import UNKNOWN, Identity
from emotune.config.conditions import ConditionsSection
from emotune.errors import CorpusError, EmotuneError, ModelError
from emotune.inference.conditioner import Conditioner, Encode, Entries
from emotune.inference.loading import load
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest


def enriched(
    manifest: Manifest, conditions: ConditionsSection, *, entries: Entries = CONDITIONS, progress: Progress = silent
) -> Manifest:
    """The manifest with what the recipe's helpers predict of utterances that lack a value.

    What is there stays, and so does the helper that the manifest's information names for it.

    Args:
        manifest: any.
        conditions: the recipe's section.
        entries: what the names of conditions stand for.
        progress: told of what is predicted.

    Raises:
        CorpusError: when a condition would be unknown of every training utterance.
        EmotuneError: when a named helper cannot be had.
    """
    asked = {name: (entries[name](), options) for name, options in conditions if options is not None}
    for name, identity in _predictors(asked, manifest).items():
        condition, options = asked[name]
        lacking = manifest.filter(lambda u, own=condition, source=options.source: own.lacks(known_of(u), source))
        if len(lacking):
            predictor = condition.load_predictor(identity, load)
            manifest = _merged(manifest, predictor.fill(lacking, progress=progress))
    for name, (condition, options) in asked.items():
        _check_is_known(name, condition, options.source, manifest)
    return manifest


def _check_is_known(name: str, condition: Condition, source: str, manifest: Manifest) -> None:
    if source == UNKNOWN or any(condition.value_of(known_of(u), source)[0] is not None for u in manifest):
        return
    helper = condition.predictor
    named = f"Name a model that predicts it as model.conditions.{name}.{helper.key}, or leave" if helper else "Leave"
    raise CorpusError(f"model.conditions.{name}: no utterance has a {name} ({source}). {named} the condition out.")


def _predictors(asked: Mapping[str, tuple[Condition, Any]], manifest: Manifest) -> dict[str, Identity]:
    """The predictors that the recipe names, whether or not a value is missing just now.

    One that has filled the manifest is taken as its information has it, such as with the language that it heard.
    """
    found: dict[str, Identity] = {}
    for name, (condition, options) in asked.items():
        helper = condition.predictor
        if helper is None:
            continue
        with _about(f"model.conditions.{name}.{helper.key}"):
            identity = condition.find_predictor(options, manifest, load)
        if identity is not None:
            earlier = manifest.information.get(helper.information, {})
            is_same = all(earlier.get(key) == identity[key] for key in ("name", "revision"))
            found[name] = earlier if is_same else identity
    return found


@contextmanager
def _about(key: str) -> Iterator[None]:
    try:
        yield
    except EmotuneError as error:
        raise ModelError(f"{key}: {error} Or leave it out: then nothing that is missing is predicted.") from error


def _merged(manifest: Manifest, filled: Manifest) -> Manifest:
    """A manifest with some of its utterances as they were filled in."""
    new = {utterance.utterance_id: utterance for utterance in filled}
    return dataclasses.replace(
        manifest,
        utterances=tuple(new.get(utterance.utterance_id, utterance) for utterance in manifest),
        information={**filled.information, **manifest.information},
    )


def build_conditioner(
    conditions: ConditionsSection, manifest: Manifest, *, entries: Entries = CONDITIONS
) -> Conditioner | None:
    """Builds the source of values of a recipe's conditions, from a manifest that is enriched; None without any.

    Its ``about`` is what the model's config keeps: sizes, sources, and the helpers, those that the recipe names before
    those that the manifest does.
    """
    asked = {name: (entries[name](), options) for name, options in conditions if options is not None}
    named = _predictors(asked, manifest)
    about: dict[str, dict[str, Any]] = {}
    encoders: dict[str, Encode] = {}
    for name, (condition, options) in asked.items():
        about[name] = options.model_dump(include={"source", *condition.feature_options})
        if condition.predictor is not None:
            filled_by = manifest.information.get(condition.predictor.information)
            about[name][condition.predictor.key] = named.get(name) or filled_by
        if condition.encoder is not None:
            is_used = options.source != UNKNOWN  # else it only has to say how wide its vectors are
            encoder = condition.load_encoder(condition.encoder_named(options), device=None if is_used else "cpu")
            about[name].update({"width": encoder.width, condition.encoder.key: encoder.identity})
            if is_used:
                encoders[name] = encoder.kept
    return Conditioner(about, encoders=encoders, entries=entries) if about else None


def condition_table(conditioner: Conditioner, manifest: Manifest) -> Mapping[str, FloatArray]:
    """Each condition's values for the utterances of a manifest, shape (utterances, width), NaN where unknown."""
    given = conditioner([known_of(utterance) for utterance in manifest], [None] * len(manifest))
    return {name: np.stack([own.values[name] for own in given]) for name in conditioner.about}
