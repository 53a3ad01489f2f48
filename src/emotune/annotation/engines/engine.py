"""Contract of an annotation engine: one question in, one answer in words out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from emotune.annotation.facts import Facts
from emotune.annotation.prompts import Message
from emotune.audio import FloatArray


@dataclass(frozen=True)
class EngineOptions:
    """Options of engines; each takes what it knows.

    Args:
        url: of an endpoint, up to and with ``/v1``.
        key: for it; nobody prints it.
        timeout_s: longest wait for one answer.
        patience_s: longest time in all to ask for it again.
        temperature: of sampling; 0 = always the most probable word.
        most_tokens: of an answer.
        sleep: waits, in tests something quicker.
    """

    url: str | None = None
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 120.0
    patience_s: float = 300.0
    temperature: float = 0.0
    most_tokens: int = 16
    sleep: Callable[[float], None] | None = None


@dataclass(frozen=True)
class Question:
    """Question about one clip.

    Args:
        messages: of the prompt.
        facts: that it tells, for an engine that needs no prose.
        classes: that may be answered.
        seed: of a sampled answer; another one for each sample.
        sound: decodes the clip, for an engine that hears.
        content_sha256: of the recording, where it is heard.
    """

    messages: Sequence[Message]
    facts: Facts
    classes: Sequence[str]
    seed: int = 0
    sound: Callable[[], FloatArray] | None = None
    content_sha256: str | None = None


@dataclass(frozen=True)
class Answer:
    """Answer in words, and what it cost."""

    text: str
    prompt_tokens: int = 0
    answer_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Of prompt and answer."""
        return self.prompt_tokens + self.answer_tokens


class AnnotationEngine(ABC):
    """Rater by machine: answers questions.

    Attributes:
        needs_model: whether a model is named after the engine.
        hears: whether it is sent the recording itself.
        together: questions that may be asked at a time.
        example: of a model's name, for messages.
    """

    needs_model: ClassVar[bool] = True
    hears: ClassVar[bool] = False
    together: ClassVar[int] = 1
    example: ClassVar[str] = "model"

    def __init__(self, model: str, options: EngineOptions) -> None:
        self.model = model
        self.options = options

    @property
    def name(self) -> str:
        """Of the model, as the rater ``llm:<name>`` has it."""
        return self.model

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, str]:
        """Properties that an answer hangs on beside the question: another identity keeps its answers apart."""

    def reads(self, language: str | None) -> bool:
        """Tells whether clips of a language, None where it is not known, may be asked about."""
        return True

    @abstractmethod
    def answer(self, question: Question) -> Answer:
        """Answers one question.

        Raises:
            ServerError: when no answer can be had, after all patience.
        """

    def close(self) -> None:  # noqa: B027 (most engines hold nothing)
        """Gives back what is held."""
