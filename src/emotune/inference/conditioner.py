"""Values of conditions for clips: what is known, else what is predicted, else that it is unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from emotune.audio import FloatArray
from emotune.conditions import CONDITIONS
from emotune.conditions.origins import check_sources, used_text
from emotune.conditions.sources import GIVEN, PREDICTED, UNKNOWN, Helper, Identity, Known, LoadModel
from emotune.errors import EmotuneError, ModelError

if TYPE_CHECKING:
    from emotune.conditions.condition import Condition, ValuePredictor

About = Mapping[str, Mapping[str, Any]]
"""The ``conditions`` of a model's config."""
Encode = Callable[[Sequence[str | None]], FloatArray]
"""Values to vectors, shape (values, width), a row of NaN for None."""
Entries: TypeAlias = "Mapping[str, Callable[[], Condition]]"
"""What names of conditions stand for; ``CONDITIONS`` is one."""
Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Given:
    """Side information that a model is given on a clip.

    Args:
        values: vector of each condition, shape (width,); NaN where unknown.
        used: where each comes from, for the column ``conditions_used``.
    """

    values: Mapping[str, FloatArray]
    used: str | None


class Conditioner:
    """Finds the values of a model's conditions for clips.

    Args:
        about: the ``conditions`` of the model's config.
        sources: condition -> where its value comes from, see ``Condition.sources``; default as in training.
        predictors: condition -> what hears its value where it is not known; it stays unknown without one.
        encoders: condition -> what makes vectors of its values; those that need one are unknown without it.
        notes: why something that the model was trained with is not there.
        entries: what the names of ``about`` stand for.

    Raises:
        ConfigError: for a condition or source that there is not.
    """

    def __init__(
        self,
        about: About,
        *,
        sources: Mapping[str, str] | None = None,
        predictors: Mapping[str, ValuePredictor] | None = None,
        encoders: Mapping[str, Encode] | None = None,
        notes: Sequence[str] = (),
        entries: Entries = CONDITIONS,
    ) -> None:
        self.about = about
        self.sources = _sources(about, sources)
        self.conditions = {name: entries[name]() for name in about}
        self.predictors = dict(predictors or {})
        self.encoders = dict(encoders or {})
        self.notes = tuple(notes)

    def needs_sound(self, known: Known) -> bool:
        """Tells whether something of a clip would have to be predicted from its samples."""
        return any(self._needs_prediction(name, known) for name in self.predictors)

    def _needs_prediction(self, name: str, known: Known) -> bool:
        return self.conditions[name].lacks(known, self.sources[name])

    def __call__(self, known: Sequence[Known], sounds: Sequence[FloatArray | None]) -> list[Given]:
        """Values for clips.

        Args:
            known: of each clip.
            sounds: the clips at 16 kHz, shape (samples,), where ``needs_sound`` says so; None elsewhere.
        """
        complete = [dict(own) for own in known]
        for name, predictor in self.predictors.items():
            self._predict(name, predictor, complete, sounds)
        columns: dict[str, FloatArray] = {}
        origins: dict[str, list[str]] = {}
        for name, source in self.sources.items():
            found = [self.conditions[name].value_of(own, source) for own in complete]
            columns[name] = vectors = self._vectors(name, [value for value, _ in found])
            finite = [bool(np.isfinite(vector).all()) for vector in vectors]
            origins[name] = [origin if there else UNKNOWN for (_, origin), there in zip(found, finite, strict=True)]
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
        predictor: ValuePredictor,
        complete: Sequence[dict[str, str]],
        sounds: Sequence[FloatArray | None],
    ) -> None:
        """Fills in the predicted column of clips that lack it."""
        lacking = [
            (own, sound)
            for own, sound in zip(complete, sounds, strict=True)
            if sound is not None and self._needs_prediction(name, own)
        ]
        column = self.conditions[name].predicted
        if not lacking or column is None:
            return
        for (own, _), value in zip(lacking, predictor([sound for _, sound in lacking]), strict=True):
            if value:
                own[column] = value

    def _vectors(self, name: str, values: Sequence[str | None]) -> FloatArray:
        """The values as the model takes them, shape (clips, width), NaN where unknown."""
        condition = self.conditions[name]
        if name in self.encoders:
            vectors = self.encoders[name](values)
        else:
            unknown = np.full(self.about[name].get("width", condition.width), np.nan)
            can = condition.encoder is None
            vectors = [condition.vector(value) if can and value is not None else unknown for value in values]
        return np.asarray(vectors, dtype=np.float32).reshape(len(values), -1)


def _sources(about: About, asked: Mapping[str, str] | None) -> dict[str, str]:
    """Sources of the conditions' values: as asked, else as in training."""
    check_sources(asked or {}, list(about))
    return {name: own.get("source", GIVEN) for name, own in about.items()} | dict(asked or {})


def conditioner_of(
    about: About,
    load_model: LoadModel,
    *,
    sources: Mapping[str, str] | None = None,
    helpers: Mapping[str, str | None] | None = None,
    scored: Sequence[Known] | None = None,
    entries: Entries = CONDITIONS,
) -> Conditioner:
    """A conditioner with what a model's config names, as far as it can be had here; what cannot is noted.

    Where clips are scored there is no note but an error: silently unknown, a condition would give another model's
    scores.

    Args:
        about: the ``conditions`` of the model's config.
        load_model: a name to a ``Predictor``.
        sources: see ``Conditioner``.
        helpers: ``Helper.argument`` -> what takes the place of the one that the config names.
        scored: what is known of the clips that the model will be scored on; what none of them needs is not loaded.
        entries: see ``Conditioner``.

    Raises:
        EmotuneError: for one that cannot be had, when the user names it or clips are scored that need it.
    """
    notes: list[str] = []
    predictors: dict[str, ValuePredictor] = {}
    encoders: dict[str, Encode] = {}
    for name, source in _sources(about, sources).items():
        if source not in (GIVEN, PREDICTED):
            continue
        condition = entries[name]()
        loading = _Loading(name, about[name], helpers or {}, notes, is_scored=scored is not None)
        if condition.encoder is not None:
            encoder = loading.load(condition.encoder, condition.load_encoder)
            if encoder is None:
                continue
            encoders[name] = encoder
        if condition.predictor is None or not _is_predicted(condition, source, scored):
            continue
        predictor = loading.load(condition.predictor, partial(condition.load_predictor, load_model=load_model))
        if predictor is not None:
            predictors[name] = predictor
    return Conditioner(about, sources=sources, predictors=predictors, encoders=encoders, notes=notes, entries=entries)


def _is_predicted(condition: Condition, source: str, scored: Sequence[Known] | None) -> bool:
    return scored is None or any(condition.lacks(known, source) for known in scored)


@dataclass(frozen=True)
class _Loading:
    """Loads a condition's helpers, those of the user before those of the model's config.

    Args:
        name: of the condition.
        about: its part of the model's config.
        instead: ``Helper.argument`` -> the user's.
        notes: grows by what cannot be had.
        is_scored: a helper of the config that cannot be had is an error.
    """

    name: str
    about: Mapping[str, Any]
    instead: Mapping[str, str | None]
    notes: list[str]
    is_scored: bool

    def load(self, helper: Helper, load: Callable[[Identity], Loaded]) -> Loaded | None:
        named, instead = self.about.get(helper.key), self.instead.get(helper.argument)
        if instead is not None:
            known: Mapping[str, Any] = named or {}
            kept = {key: value for key, value in known.items() if key != "revision"}
            return load({**kept, "name": instead})
        if named is None:
            return None
        try:
            return load(named)
        except EmotuneError as error:
            note = f"The {helper.words} {named['name']} cannot be had here: {error}"
            if self.is_scored:
                raise ModelError(
                    f"{note} Without it the scores would be those of a model that is not told the {self.name}. Bring it"
                    f" here, or ask for such scores with `emotune evaluate --condition {self.name}=unknown`."
                ) from error
            self.notes.append(note)
            return None
