"""A condition that comes with another package: the language, given by the manifest or told from how loud a clip is."""

import dataclasses

import numpy as np
from pydantic import Field

from emotune.conditions.condition import Condition, ConditionOptions, ValuePredictor
from emotune.conditions.sources import Helper
from emotune.errors import EmotuneError

LANGUAGES = ("de", "en")


class LanguageOptions(ConditionOptions):
    """The language as an input."""

    ear: str | None = None
    """what tells the language where it is missing: loudness"""
    size: int = Field(default=8, ge=1)
    """of the embedding"""


class Ear(ValuePredictor):
    def __call__(self, sounds):
        return [LANGUAGES[int(np.abs(samples).max() > 0.01)] for samples in sounds]

    def fill(self, manifest, *, progress):
        clips = manifest.clips_of(list(manifest), sampling_rate_hz=16000)
        heard = self([clip.samples for clip in clips])
        utterances = [
            dataclasses.replace(utterance, extra={**utterance.extra, "language_predicted": language})
            for utterance, language in zip(manifest, heard, strict=True)
        ]
        information = {**manifest.information, "language_ear": {"name": "loudness", "revision": "1"}}
        return dataclasses.replace(manifest, utterances=tuple(utterances), information=information)


class Language(Condition):
    name = "language"
    words = "the language"
    options = LanguageOptions
    given = "language"
    predicted = "language_predicted"
    features = "emotune.models.conditions.features:Embedding"
    width = len(LANGUAGES)
    predictor = Helper("ear", "language_ear", "ear for languages", "language_ear")
    limits = ("Knows German and English alone.",)

    def read(self, cell):
        return cell.lower()

    def usable(self, value):
        return value if value in LANGUAGES else None

    def vector(self, value):
        return [float(value == language) for language in LANGUAGES]

    def find_predictor(self, options, manifest, load_model):
        if options.ear is None:
            return None
        if options.ear != "loudness":
            raise EmotuneError(f"There is no ear '{options.ear}', only loudness.")
        return {"name": "loudness", "revision": "1"}

    def load_predictor(self, identity, load_model):
        return Ear()
