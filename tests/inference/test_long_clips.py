"""Clips that are longer than what the model was trained on: counted and told, once, with what to do."""

import logging

import numpy as np
import pytest
import soundfile

import emotune
from builders.exported import save_exported
from builders.recordings import noise, write_recording
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ModelError
from emotune.schema.labels import LabelSpace

SPACE = LabelSpace(("anger", "neutral"))
KNOWN_S = 0.6


@pytest.fixture
def model(tmp_path):
    return save_exported(tmp_path / "model", SPACE, training_duration_s=KNOWN_S)


@pytest.fixture
def recordings(tmp_path):
    for name, seconds in (("a", KNOWN_S), ("b", 0.9), ("c", 1.2)):
        write_recording(tmp_path / "recordings" / f"{name}.wav", seconds=seconds)
    return tmp_path / "recordings"


WARNING = (
    "warning: 2 utterances are longer than the 0.6 s that 99 % of the model's training clips keep to; the first is"
    " b.wav (0.9 s). It can be wrong about these, and sure. Let it hear windows: `emotune timeline`, or"
    " `emotune predict --window 2`.\n"
)


@pytest.mark.parametrize("options", [[], ["--part-rows", "1", "--part-format", "csv"]], ids=["table", "parts"])
def test_predict_says_once_how_many_are_longer_and_names_the_first(
    model, recordings, tmp_path, emotune_command, options
):
    found = emotune_command("predict", model, recordings, *options, "-o", tmp_path / ("parts" if options else "a.csv"))
    assert found.code == 0 and found.err == WARNING


@pytest.mark.parametrize("options", [["--quiet"], ["--window", "0.5"]], ids=" ".join)
def test_nothing_is_said_where_it_is_quiet_or_windows_are_heard(model, recordings, emotune_command, options):
    found = emotune_command("predict", model, recordings, *options)
    assert found.code == 0 and found.err == "" and "c.wav" in found.out


def test_a_model_that_does_not_know_says_nothing(recordings, tmp_path, emotune_command):
    found = emotune_command("predict", save_exported(tmp_path / "earlier", SPACE), recordings)
    assert found.code == 0 and found.err == ""


@pytest.mark.parametrize(
    "ask", [lambda model: emotune.load(model).predict, lambda model: emotune.pipeline(model=model)]
)
def test_programs_are_warned_by_the_log(model, recordings, caplog, ask):
    heard = ask(model)
    with caplog.at_level(logging.WARNING, logger="emotune"):
        heard(recordings / "a.wav")
        assert not caplog.messages
        heard([recordings / "a.wav", recordings / "b.wav"])
    (message,) = caplog.messages
    assert "1 utterance is longer" in message and "(0.9 s)" in message


def test_a_clip_is_as_long_as_the_model_hears_it(tmp_path, caplog):
    """Silence that is trimmed and what is cut off are not heard."""
    silence = np.zeros(16000, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", np.concatenate([silence, noise(8000, seed=0) / 10, silence]), 16000)
    write_recording(tmp_path / "b.wav", seconds=2.0)
    heard = Preprocessing(trim_silence_db=40.0, max_duration_s=0.55, too_long="cut", min_samples=160)
    model = save_exported(tmp_path / "model", SPACE, preprocessing=heard, training_duration_s=KNOWN_S)
    assert not emotune.load(model).predict([tmp_path / "a.wav", tmp_path / "b.wav"]).failed
    assert not caplog.messages


@pytest.mark.parametrize("damaged", ["long", 0, -1.0, True, [3]])
def test_a_damaged_duration_is_refused(tmp_path, damaged):
    model = save_exported(tmp_path / "model", SPACE, training_duration_s=damaged)
    with pytest.raises(ModelError, match="training_duration_s must be a number of seconds"):
        emotune.load(model)
