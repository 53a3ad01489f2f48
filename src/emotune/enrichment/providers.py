"""The models that make what is not known of a clip, its gender, its text and the text's vector: which one, loaded.

A *maker* is what a model's config keeps of one: ``name``, ``revision``, and for a speech recogniser ``language``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emotune.enrichment.speech_recogniser import Transcriber, find_recogniser
from emotune.enrichment.text_encoder import TextEncoder
from emotune.errors import EmotuneError
from emotune.models.folder import find_model_folder
from emotune.runtime.extras import needs
from emotune.schema.conditions import GENDER_CLASSES

Maker = Mapping[str, Any]


def gender_maker(name: str) -> dict[str, Any]:
    """Which gender predictor a name stands for.

    Raises:
        EmotuneError: when there is none of that name, or it predicts something else.
    """
    found = find_model_folder(name)
    with needs("train", f"Loading {name}"):
        from emotune.models.store import load_model  # noqa: PLC0415
    stored = load_model(found.folder)
    _check_is_of_gender(name, stored.model.label_space.classes)
    return {"name": found.name, "revision": _revision_of(stored.fingerprint)}


def text_maker(name: str, revision: str | None, language: str | None) -> dict[str, Any]:
    """Which speech recogniser a name stands for, and the language of what it shall hear; None = it finds out.

    Raises:
        EmotuneError: when there is none of that name and revision.
    """
    return {**find_recogniser(name, revision).identity, "language": language}


def _revision_of(fingerprint: str | None) -> str:
    """The first digits of a model's fingerprint."""
    return str(fingerprint)[:12]


def gender_predictor(maker: Maker, load_predictor: Callable[[str], Any]) -> Any:
    """A ``Predictor`` of gender.

    Args:
        maker: without a revision, whichever the name stands for.
        load_predictor: a name to a ``Predictor``.

    Raises:
        EmotuneError: when it cannot be loaded, predicts something else, or is not of the revision.
    """
    name, revision = maker["name"], maker.get("revision")
    predictor = load_predictor(name)
    _check_is_of_gender(name, predictor.label_space.classes)
    if revision is not None and _revision_of(predictor.engine.fingerprint) != revision:
        raise EmotuneError(f"{name} is not the model of revision {revision} that was trained with; name that one.")
    return predictor


def transcriber(maker: Maker) -> Transcriber:
    """A speech recogniser that hears the maker's language."""
    return Transcriber(maker["name"], revision=maker.get("revision"), language=maker.get("language"))


def text_encoder(maker: Maker, *, device: str | None = None) -> TextEncoder:
    """A text encoder."""
    return TextEncoder(maker["name"], revision=maker.get("revision"), device=device)


def _check_is_of_gender(name: str, classes: Sequence[str]) -> None:
    if set(classes) != set(GENDER_CLASSES):
        raise EmotuneError(
            f"{name} predicts {', '.join(classes) or 'dimensions'}, not gender; train one with data.target=gender."
        )
