"""What a model is given beside the sound: known, predicted, unknown, and said so."""

from typing import ClassVar

import numpy as np
import pytest

from emotune.conditions.gender import GenderPredictor
from emotune.conditions.text import TextPredictor
from emotune.errors import ConfigError, EmotuneError
from emotune.inference.conditioner import Conditioner, conditioner_of
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions

SOUND = np.zeros(400, dtype=np.float32)
GENDERS = ("female", "male")
ABOUT = {"gender": {"source": "given"}, "text": {"source": "given", "width": 3}}


class Guesses:
    """A gender predictor that says female of silence and male of anything else; it counts what it is asked."""

    label_space = LabelSpace(GENDERS)
    identity: ClassVar = {"name": "guesses", "revision": "1"}

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, source, sampling_rate_hz=None):
        self.asked += len(source)
        names = ["female" if not samples.any() else "male" for samples in source]
        rows = [
            Prediction(str(n), {"female": float(g == "female"), "male": float(g == "male")})
            for n, g in enumerate(names)
        ]
        return Predictions(tuple(rows), self.label_space)


class Hears:
    def transcribe(self, waveforms):
        return [type("Transcript", (), {"text": "hello" if samples.any() else ""})() for samples in waveforms]


def embed(texts):
    return np.array([[np.nan] * 3 if not text else [len(text), 0, 1] for text in texts], dtype=np.float32)


def test_what_is_missing_is_predicted_and_what_cannot_be_is_unknown():
    guesses = Guesses()
    predictors = {"gender": GenderPredictor(guesses), "text": TextPredictor(Hears())}
    conditioner = Conditioner(ABOUT, predictors=predictors, encoders={"text": embed})
    known = [{"gender": "male", "text": "four"}, {}, {"gender": "female"}]
    assert [conditioner.needs_sound(own) for own in known] == [False, True, True]
    given = conditioner(known, [None, SOUND, SOUND + 1])
    assert [own.used for own in given] == [
        "gender=given text=given",
        "gender=predicted text=unknown",
        "gender=given text=predicted",
    ]
    assert guesses.asked == 1
    np.testing.assert_array_equal(given[1].values["gender"], [1, 0])
    assert np.isnan(given[1].values["text"]).all()
    np.testing.assert_array_equal(given[2].values["text"], [5, 0, 1])


def test_without_its_tools_a_condition_is_what_is_known():
    conditioner = Conditioner(ABOUT)
    given = conditioner([{"gender": "male", "text": "words"}, {}], [None, None])
    assert [own.used for own in given] == ["gender=given text=unknown", "gender=unknown text=unknown"]
    assert not conditioner.needs_sound({})


def test_a_model_that_cannot_be_had_is_noted_and_one_that_the_user_names_must_be_there():
    def nothing(name):
        raise EmotuneError(f"There is no folder {name}.")

    about = {"gender": {"source": "given", "predictor": {"name": "models/gender", "revision": "abc"}}}
    conditioner = conditioner_of(about, nothing)
    assert conditioner.predictors == {}
    assert conditioner.notes == (
        "The gender predictor models/gender cannot be had here: There is no folder models/gender.",
    )
    with pytest.raises(EmotuneError, match="no folder other"):
        conditioner_of(about, nothing, helpers={"gender_model": "other"})
    assert conditioner_of(about, nothing, sources={"gender": "unknown"}).notes == ()


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"age": "given"}, "Condition 'age': this model takes gender, text."),
        ({"gender": "gven"}, "did you mean 'given'"),
        ({"text": "wrong"}, "only gender can be 'wrong'"),
    ],
)
def test_a_condition_or_source_that_there_is_not_is_refused(sources, message):
    with pytest.raises(ConfigError, match=message):
        Conditioner(ABOUT, sources=sources)
