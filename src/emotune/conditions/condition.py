"""Contract of a condition: where its values stand, what makes those that lack, and how they become a model's input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from emotune.audio import FloatArray
from emotune.conditions.sources import GIVEN, PREDICTED, SOURCES, UNKNOWN, WRONG, Helper, Identity, Known, LoadModel
from emotune.runtime.progress import Progress
from emotune.schema.manifest import Manifest
from emotune.section import Section


class ConditionOptions(Section):
    """Keys that every condition has in a recipe; its own come behind them."""

    source: Literal["given", "predicted", "unknown"] = "given"
    """given = by the corpus, else predicted; predicted; unknown = a control"""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """how often training takes a value for unknown"""


class ValuePredictor(ABC):
    """A loaded helper that hears values in sounds."""

    @abstractmethod
    def __call__(self, sounds: Sequence[FloatArray]) -> list[str | None]:
        """The value of each clip, shape (samples,) at 16 kHz; None or an empty text where there is none."""

    @abstractmethod
    def fill(self, manifest: Manifest, *, progress: Progress) -> Manifest:
        """The manifest with the predicted column of every utterance, and this helper in its information."""


class ValueEncoder(ABC):
    """A loaded helper that makes vectors of values.

    Args:
        width: of a vector.
        identity: what a model's config keeps of it.
    """

    width: int
    identity: Identity

    @abstractmethod
    def __call__(self, values: Sequence[str | None]) -> FloatArray:
        """Vectors of values, shape (values, width), a row of NaN for None."""

    def kept(self, values: Sequence[str | None]) -> FloatArray:
        """The same, for the many values of a corpus: those that were asked before may come from a cache."""
        return self(values)


class Condition(ABC):
    """Something known of a clip beside its sound, defined when it is not known.

    Attributes:
        name: its entry in ``CONDITIONS``.
        words: what is known, for people who look up the recipe's section.
        options: that section.
        given: column of the value that the corpus or the user gives.
        predicted: column of the value that a helper predicted; None = nothing predicts it.
        opposite: a value -> what a mistake would say, for the source ``wrong``; empty = it cannot be wrong.
        features: "module:Class" of the ``nn.Module`` that makes features of vectors, see
            ``emotune.models.conditions.features``.
        feature_options: keys of the section that this class takes.
        width: of a vector; None = as the encoder says.
        predictor: the helper that hears values, if there is one.
        encoder: the helper that makes vectors of values; None = ``vector`` does.
        limits: sentences for a model's card.
    """

    name: ClassVar[str]
    words: ClassVar[str]
    options: ClassVar[type[ConditionOptions]]
    given: ClassVar[str]
    predicted: ClassVar[str | None] = None
    opposite: ClassVar[Mapping[str, str]] = {}
    features: ClassVar[str]
    feature_options: ClassVar[tuple[str, ...]] = ("size", "dropout")
    width: ClassVar[int | None] = None
    predictor: ClassVar[Helper | None] = None
    encoder: ClassVar[Helper | None] = None
    limits: ClassVar[tuple[str, ...]] = ()

    @property
    def sources(self) -> dict[str, str]:
        """Sources that a value may come from, each with its meaning."""
        if not self.opposite:
            return dict(SOURCES)
        return {**SOURCES, WRONG: f"the other {self.name} than the given one, to see what a mistake does"}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a manifest that hold its values."""
        return (self.given,) if self.predicted is None else (self.given, self.predicted)

    @property
    def helpers(self) -> tuple[Helper, ...]:
        """Those that it needs, as a model's card lists them."""
        return tuple(helper for helper in (self.encoder, self.predictor) if helper is not None)

    def read(self, cell: str) -> str:
        """A cell of a user's table in the words of manifests; empty where it says nothing."""
        return cell

    def usable(self, value: str | None) -> str | None:
        """A value that can be made a vector, or None."""
        return value if value and value.strip() else None

    def vector(self, value: str) -> Sequence[float]:
        """A usable value as a vector, shape (width,); asked only where there is no encoder."""
        raise NotImplementedError

    def find_predictor(self, options: Any, manifest: Manifest, load_model: LoadModel) -> Identity | None:
        """The predictor that a recipe's section names for this manifest; None where it names none.

        Raises:
            EmotuneError: when there is none of that name, or it predicts something else.
        """
        return None

    def load_predictor(self, identity: Identity, load_model: LoadModel) -> ValuePredictor:
        """The predictor, loaded.

        Raises:
            EmotuneError: when it cannot be had.
        """
        raise NotImplementedError

    def encoder_named(self, options: Any) -> Identity:
        """The encoder that a recipe's section names."""
        raise NotImplementedError

    def load_encoder(self, identity: Identity, *, device: str | None = None) -> ValueEncoder:
        """The encoder, loaded; None: on a GPU where there is one.

        Raises:
            EmotuneError: when it cannot be had.
        """
        raise NotImplementedError

    def value_of(self, known: Known, source: str) -> tuple[str | None, str]:
        """The value, and where it comes from: ``given``, ``predicted``, ``wrong`` or ``unknown``.

        Args:
            known: what is known of the clip.
            source: one of ``sources``.
        """
        given = self.usable(known.get(self.given))
        predicted = None if self.predicted is None else self.usable(known.get(self.predicted))
        if source == WRONG:
            other = self.opposite.get(given or "")
            return (None, UNKNOWN) if other is None else (other, WRONG)
        if source == GIVEN and given is not None:
            return given, GIVEN
        if source in (GIVEN, PREDICTED) and predicted is not None:
            return predicted, PREDICTED
        return None, UNKNOWN

    def lacks(self, known: Known, source: str) -> bool:
        """Tells whether the value would have to be predicted: it is unknown, and no helper has been asked for it."""
        if self.predicted is None or source not in (GIVEN, PREDICTED) or known.get(self.predicted) == "":
            return False
        return self.value_of(known, source)[0] is None
