"""The Predictor around any engine: order, batches, errors and ids."""

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import soundfile

from emotune.audio.preprocessing import Preprocessing
from emotune.conditions.text import TextPredictor
from emotune.errors import AudioError
from emotune.inference import Item, Predictor
from emotune.inference.conditioner import Conditioner
from emotune.inference.engine import EngineOutput
from emotune.inference.items import with_unique_ids
from emotune.inference.predictor import _POOL
from emotune.io.tables import read_json
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.predictions import Predictions


class Lengths:
    """An engine that says how long a clip is: anger = seconds / 10, arousal = seconds / 10 of its scale."""

    label_space = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
    preprocessing = Preprocessing(min_samples=1600)
    fingerprint = "lengths"
    concurrency = 1
    conditions: ClassVar[dict] = {}

    def __init__(self) -> None:
        self.batches: list[list[float]] = []

    def run(self, waveforms, conditions=()) -> EngineOutput:
        seconds = np.array([len(waveform) / 16000 for waveform in waveforms])
        self.batches.append(seconds.tolist())
        anger = seconds / 10
        return EngineOutput(np.stack([anger, 1 - anger], axis=1), anger[:, None])


def items(*seconds: float) -> list[Item]:
    return [Item(f"u{n}", (np.full(round(s * 16000), 0.1), 16000)) for n, s in enumerate(seconds)]


def test_answers_come_in_the_order_of_the_questions_whatever_the_batches():
    seconds = [3.0, 1.0, 5.0, 0.05, 2.0, 1.0]
    engine = Lengths()
    rows = Predictor(engine, batch_seconds=6.0).predict_items(items(*seconds)).rows
    assert [row.utterance_id for row in rows] == [f"u{n}" for n in range(6)]
    for row, expected in zip(rows, seconds, strict=True):
        if expected < 0.1:
            assert "at least 0.1000 s" in row.error
            assert row.error.startswith("u3: ")
        else:
            assert row.probabilities["anger"] == pytest.approx(expected / 10)
            assert row.dimensions["arousal"] == pytest.approx(1 + 6 * expected / 10)
    assert engine.batches == [[5.0], [3.0], [1.0, 1.0, 2.0]]  # the longest first


def test_a_padded_batch_stays_within_its_seconds_and_a_longer_clip_goes_alone():
    engine = Lengths()
    seconds = np.random.default_rng(0).uniform(0.2, 9, 60)
    Predictor(engine, batch_seconds=8.0).predict_items(items(*seconds))
    assert sum(map(len, engine.batches)) == 60
    assert all(len(batch) == 1 or max(batch) * len(batch) <= 8.001 for batch in engine.batches)


def test_more_clips_than_are_held_at_once_are_all_answered():
    seconds = np.random.default_rng(1).uniform(0.2, 0.4, 2 * _POOL + 11)
    rows = Predictor(Lengths()).predict_items(items(*seconds)).rows
    assert [row.probabilities["anger"] for row in rows] == pytest.approx((seconds / 10).tolist(), abs=1e-4)


class Says(Lengths):
    """An engine that says the same of every clip."""

    def __init__(self, probabilities: list[float], arousal: float) -> None:
        super().__init__()
        self.output = EngineOutput(np.array([probabilities]), np.array([[arousal]]))

    def run(self, waveforms, conditions=()) -> EngineOutput:
        return self.output


def test_output_that_is_not_finite_is_an_error_row():
    (row,) = Predictor(Says([np.nan, 0], 0.5)).predict_items(items(1.0))
    assert "not finite" in row.error
    assert not row.probabilities
    assert not row.dimensions


def test_a_value_beyond_the_scale_is_brought_to_its_end():
    for unit, expected in ((-0.57, 1.0), (1.2, 7.0), (0.5, 4.0)):
        (row,) = Predictor(Says([0.5, 0.5], unit)).predict_items(items(1.0))
        assert row.dimensions == {"arousal": expected}


def test_ids_given_twice_are_numbered_and_stay_unique():
    names = ["a", "a", "b", "a (2)", "a"]
    unique = [item.utterance_id for item in with_unique_ids([Item(name, "x.wav") for name in names])]
    assert unique == ["a", "a (2)", "b", "a (2) (2)", "a (3)"]
    assert [*with_unique_ids([Item("\ud800", "x.wav")] * 2)][1].utterance_id == "\ud800 (2)"


def test_an_array_without_its_rate_raises_alone_and_is_an_error_row_in_a_list():
    predictor = Predictor(Lengths())
    with pytest.raises(AudioError, match="An array needs its sampling rate"):
        predictor.predict(np.zeros(16000))
    (row,) = predictor.predict([np.zeros(16000)])
    assert "An array needs its sampling rate" in row.error
    (row,) = predictor.predict([np.zeros(8000)], 8000)
    assert row.probabilities["anger"] == pytest.approx(0.1)


def test_a_clip_whose_conditions_cannot_be_predicted_is_an_error_row_and_the_others_go_on():
    class Fails:
        def transcribe(self, waveforms):
            if any(len(waveform) == 32000 for waveform in waveforms):
                raise RuntimeError("no memory left")
            return [SimpleNamespace(text="words") for _ in waveforms]

    def embed(texts):
        return np.zeros((len(texts), 2), dtype=np.float32)

    predictors = {"text": TextPredictor(Fails())}
    conditioner = Conditioner({"text": {"width": 2}}, predictors=predictors, encoders={"text": embed})
    rows = Predictor(Lengths(), conditioner=conditioner).predict_items(items(1.0, 2.0, 3.0, 4.0, 5.0)).rows
    assert [row.utterance_id for row in rows] == [f"u{n}" for n in range(5)]
    assert [row.error for row in rows if row.error] == ["u1: its conditions cannot be predicted: no memory left"]
    assert [row.conditions_used for row in rows] == ["text=predicted", None, *["text=predicted"] * 3]


def test_where_every_clip_is_bad_a_conditioned_model_answers_with_error_rows():
    conditioner = Conditioner({"gender": {"width": 2}})
    rows = Predictor(Lengths(), conditioner=conditioner).predict_items(items(0.05, 0.05)).rows
    assert all("at least 0.1000 s" in row.error for row in rows) and len(rows) == 2


def test_segments_of_one_recording_are_cut_out_of_one_pass(opened, three_segments):
    opened.clear()
    predictions = Predictor(Lengths()).predict_manifest(three_segments)
    assert sorted(opened) == ["long.mp3", "short.wav"]
    assert [row.utterance_id for row in predictions] == [u.utterance_id for u in three_segments]
    assert [row.probabilities["anger"] for row in predictions] == pytest.approx([0.15, 0.4, 0.1, 0.15])


def test_a_recording_that_is_too_long_by_its_header_is_an_error_row_without_being_decoded(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "long.flac", np.zeros(16000 * 31), 16000)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    (row,) = Predictor(Lengths()).predict_items([Item("long", tmp_path / "long.flac")])
    assert row.error is not None and "the clip is 31.0 s long; the model takes at most 30 s" in row.error


def test_where_silence_is_trimmed_a_longer_recording_is_still_heard(tmp_path):
    clip = np.concatenate([np.zeros(16000 * 40), 0.1 * np.random.default_rng(0).standard_normal(32000)])
    engine = Lengths()
    engine.preprocessing = Preprocessing(min_samples=1600, trim_silence_db=40.0)
    row = Predictor(engine).predict((clip, 16000))
    assert row.probabilities["anger"] == pytest.approx(0.2, abs=0.005)


def test_a_table_keeps_the_confidence_under_which_the_model_abstained(tmp_path, monkeypatch):
    monkeypatch.setattr(Lengths, "calibration", Calibration(thresholds=tuple(np.linspace(1, 0.5, 100))), raising=False)
    found = Predictor(Lengths(), coverage=0.5).predict_items(items(1.0, 4.0))
    assert [row.emotion for row in found] == ["neutral", "uncertain"]  # confidences of .9 and .6
    found.write(tmp_path / "p.csv")
    written = read_json(tmp_path / "p.csv.meta.json", "The metadata")
    assert written["uncertain_below"] == pytest.approx(1 - 0.5 * 49 / 99)
    assert Predictions.read(tmp_path / "p.csv").uncertain_below == written["uncertain_below"]
