"""Rule baseline: the class with the most emotional words; neutral, where that is a class, without any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from emotune.annotation.engines.engine import AnnotationEngine, Answer, Question
from emotune.enrichment.lexicon import emotion_of_text, lexicon_hash
from emotune.evaluation.words.reader import NEUTRAL, is_english


class LexiconEngine(AnnotationEngine):
    """Counts words of ``emotune.enrichment.lexicon``; costs nothing, and is what a language model has to beat."""

    needs_model: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """Of the rater."""
        return "lexicon"

    @property
    def identity(self) -> Mapping[str, str]:
        """Engine and hash of its words."""
        return {"engine": "lexicon", "words": lexicon_hash()}

    def reads(self, language: str | None) -> bool:
        """English alone: of another language it would say neutral without having read a word."""
        return is_english(language)

    def answer(self, question: Question) -> Answer:
        """Class of the words; words that name no class where there is none."""
        found = emotion_of_text(question.facts.text, question.classes)
        return Answer(found or (NEUTRAL if NEUTRAL in question.classes else "no emotional word"))
