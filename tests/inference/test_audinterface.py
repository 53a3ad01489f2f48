"""AudInterface gives the index of audinterface.Feature, and the predictions of the Predictor."""

import numpy as np
import pytest

from builders.recordings import noise, write_recording
from emotune.errors import AudioError, ConfigError
from emotune.inference import Predictor, load
from emotune.inference.audinterface import AudInterface

audformat = pytest.importorskip("audformat")
pandas = pytest.importorskip("pandas")
pytest.importorskip("torch")


@pytest.fixture(scope="module")
def predictor(tiny_model) -> Predictor:
    return load(tiny_model, device="cpu")


@pytest.fixture
def ours(predictor) -> AudInterface:
    return AudInterface(predictor)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("recordings")
    for number, name in enumerate(("b.wav", "a.wav", "inner/c.wav", "d.flac")):
        write_recording(root / name, seconds=1.0 + 0.25 * number)
    return root


@pytest.fixture(scope="module")
def theirs(predictor):
    """An audinterface.Feature that asks the predictor for its numbers."""
    audinterface = pytest.importorskip("audinterface")
    names = ["p.anger", "p.neutral", "arousal"]

    def numbers(signal, sampling_rate):
        answer = predictor.predict((signal[0], sampling_rate))
        return [answer.probabilities["anger"], answer.probabilities["neutral"], answer.dimensions["arousal"]]

    return audinterface.Feature(names, process_func=numbers)


CALLS = {
    "file": lambda one, root: one.process_file(str(root / "a.wav")),
    "part": lambda one, root: one.process_file(str(root / "a.wav"), start=0.25, end="1000ms"),
    "from": lambda one, root: one.process_file(str(root / "a.wav"), start=pandas.Timedelta("250ms")),
    "rooted": lambda one, root: one.process_file("a.wav", root=str(root)),
    "files": lambda one, root: one.process_files([str(root / "a.wav"), str(root / "d.flac")]),
    "starts": lambda one, root: one.process_files(["a.wav", "b.wav"], starts=[0.25, 0], ends=0.75, root=str(root)),
    "folder": lambda one, root: one.process_folder(str(root)),
    "names": lambda one, root: one.process_folder(str(root), include_root=False),
    "flac": lambda one, root: one.process_folder(str(root), filetype="flac"),
    "signal": lambda one, root: one.process_signal(noise(1, 16000), 16000),
    "part of a signal": lambda one, root: one.process_signal(noise(1, 16000), 16000, start=0.25, end=0.75),
    "named signal": lambda one, root: one.process_signal(noise(16000), 16000, file="a.wav"),
    "filewise": lambda one, root: one.process_index(audformat.filewise_index(["b.wav", "a.wav"]), root=str(root)),
    "segmented": lambda one, root: one.process_index(
        audformat.segmented_index(["b.wav", "b.wav"], [0, "500ms"], ["500ms", None]), root=str(root)
    ),
    "preserved": lambda one, root: one.process_index(
        audformat.filewise_index(["b.wav", "a.wav"]), root=str(root), preserve_index=True
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_index_and_numbers_are_those_of_audinterface(ours, theirs, folder, call):
    found, expected = call(ours, folder), call(theirs, folder)
    pandas.testing.assert_index_equal(found.index, expected.index)
    numbers = expected.astype("float64")
    numbers.columns = list(numbers.columns)
    pandas.testing.assert_frame_equal(found[list(numbers.columns)], numbers, rtol=1e-4, atol=1e-6)


def test_columns_are_those_of_a_prediction_table(ours, folder):
    found = ours.process_file(folder / "a.wav")
    assert list(found.columns) == ours.feature_names
    assert ours.feature_names == [
        "emotion",
        "p.anger",
        "p.neutral",
        "confidence",
        "arousal",
        "conditions_used",
        "warning",
        "error",
    ]
    assert audformat.is_segmented_index(found)


def test_a_file_that_cannot_be_used_is_an_error_alone_and_a_row_among_others(ours, folder):
    with pytest.raises(AudioError, match=r"gone\.wav does not exist"):
        ours.process_file("gone.wav", root=folder)
    found = ours.process_files(["gone.wav", "a.wav"], root=folder)
    assert "does not exist" in found["error"].iloc[0] and pandas.isna(found["error"].iloc[1])
    assert pandas.isna(found.index.get_level_values("end")[0])
    assert np.isnan(found["p.anger"].iloc[0]) and found["p.anger"].iloc[1] > 0


def test_nothing_is_an_empty_table_with_the_same_columns(ours, tmp_path):
    for found in (
        ours.process_files([]),
        ours.process_folder(tmp_path),
        ours.process_index(audformat.segmented_index()),
    ):
        assert len(found) == 0 and list(found.columns) == ours.feature_names


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda one: one.process_file("a.wav", start="2000"), "'2000' is no time: give seconds"),
        (lambda one: one.process_file("a.wav", start="soon"), "'soon' is no time"),
        (lambda one: one.process_files(["a.wav"], starts=[0, 1]), "2 times for 1 files"),
        (lambda one: one.process_folder("no_such_folder"), "no_such_folder is no folder"),
        (lambda one: one.process_index(pandas.Index(["a.wav"], name="path")), "An index of audformat is expected"),
    ],
)
def test_wrong_input_is_one_clear_error(ours, call, match):
    with pytest.raises(ConfigError, match=match):
        call(ours)
