"""Recordings that Python programs hold: whatever gives them, the same samples."""

import io
import subprocess
import sys
from collections import UserList
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from builders.recordings import encoded
from emotune.audio import channel_count, decode
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import AudioError
from emotune.inference import Predictor
from emotune.inference.engine import EngineOutput
from emotune.schema.labels import LabelSpace

RATE = 16000
TIME = np.arange(8000) / RATE
LEFT = (0.5 * np.sin(2 * np.pi * 200 * TIME)).astype(np.float32)
RIGHT = (0.25 * np.sin(2 * np.pi * 330 * TIME)).astype(np.float32)
STEREO = np.stack([LEFT, RIGHT], axis=1)


class Hearing:
    """An engine whose answer is how loud a clip is."""

    label_space = LabelSpace(("anger", "neutral"))
    preprocessing = Preprocessing()
    fingerprint = None
    concurrency = 1
    conditions: ClassVar[dict] = {}

    def run(self, waveforms, conditions=()) -> EngineOutput:
        peaks = np.array([np.abs(waveform).max() for waveform in waveforms])
        return EngineOutput(np.stack([peaks, 1 - peaks], axis=1), np.zeros((len(peaks), 0)))


def wav(samples: np.ndarray = LEFT) -> bytes:
    return encoded(samples, RATE, subtype="FLOAT")


class Decoder:
    """As torchcodec's: samples with their channels first."""

    def get_all_samples(self):
        return SimpleNamespace(data=STEREO.T, sample_rate=RATE)


class DatasetsDecoder(Decoder):
    """As that of Hugging Face datasets, whose array is the mean of the channels."""

    def __getitem__(self, name):
        return {"array": STEREO.mean(axis=1), "sampling_rate": RATE}[name]


class OnlyArray:
    def __getitem__(self, name):
        return {"array": LEFT, "sampling_rate": RATE}[name]


@pytest.mark.parametrize(
    "source",
    [
        {"bytes": wav(), "path": None},
        {"bytes": memoryview(wav()), "path": "not there.wav"},
        {"array": LEFT, "sampling_rate": RATE, "path": "not there.wav"},
        {"array": LEFT.tolist(), "sampling_rate": float(RATE)},
        OnlyArray(),
        (LEFT[None, :], RATE),
        (RATE, LEFT),
        (LEFT[:, None], np.int32(RATE)),
        (LEFT, np.array(RATE)),
        io.BytesIO(wav()),
    ],
    ids=["bytes", "bytes and path", "array", "list", "object", "(1, N)", "rate first", "(N, 1)", "0-d rate", "stream"],
)
def test_every_form_of_a_mono_clip_is_the_same_clip(source):
    recording = decode(source)
    assert recording.sampling_rate_hz == RATE
    np.testing.assert_allclose(recording.mono(), LEFT, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "source",
    [{"bytes": wav(STEREO), "path": "x.wav"}, (STEREO.T, RATE), (STEREO, RATE), Decoder(), DatasetsDecoder()],
    ids=["bytes", "(2, N)", "(N, 2)", "torchcodec", "datasets"],
)
def test_every_form_of_a_stereo_clip_keeps_its_channels(source):
    assert channel_count(source) == 2
    np.testing.assert_allclose(decode(source).mono(), (LEFT + RIGHT) / 2, rtol=0, atol=1e-7)
    for number, channel in enumerate((LEFT, RIGHT)):
        np.testing.assert_allclose(decode(source, channel=number).mono(), channel, rtol=0, atol=1e-7)


def test_a_mapping_without_bytes_is_its_path(tmp_path):
    (tmp_path / "x.wav").write_bytes(wav())
    for path in (tmp_path / "x.wav", str(tmp_path / "x.wav")):
        np.testing.assert_array_equal(decode({"bytes": None, "path": path}).mono(), LEFT)


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16", "grad", "int16", "view"])
def test_tensors_of_every_kind_are_their_samples(kind):
    import torch

    tensor = torch.tensor(LEFT)
    rounding = {"bfloat16": 2**-9, "float16": 2**-12, "int16": 2**-15}.get(kind, 0)
    if kind == "grad":
        tensor = (tensor.requires_grad_() * 2) / 2
    elif kind == "view":
        tensor = torch.stack([tensor, tensor], dim=1)[:, 0]
    elif kind == "int16":
        tensor = (tensor * 32768).round().short()
    else:
        tensor = tensor.to(getattr(torch, kind))
    for source in ((tensor, RATE), (tensor[None], RATE), {"array": tensor, "sampling_rate": torch.tensor(RATE)}):
        np.testing.assert_allclose(decode(source).mono(), LEFT, rtol=0, atol=rounding)
    (row,) = Predictor(Hearing()).predict([tensor], RATE)
    assert row.probabilities["anger"] == pytest.approx(0.5, abs=2e-3)


def test_a_tensor_is_known_without_torch():
    code = """if True:
        import sys
        import numpy as np
        from emotune.audio import decode

        class Tensor:
            def detach(self): return self
            def is_floating_point(self): return True
            def float(self): return self
            def numpy(self, *, force): return np.full(16000, 0.5)

        assert decode((Tensor(), 16000)).peak == 0.5
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_integers_of_64_bits_are_refused_since_they_would_be_silence():
    for values in ([0, 12000, -12000] * 1000, np.array([0, 12000, 24000] * 1000, dtype=np.uint64)):
        with pytest.raises(AudioError, match="int16 or int32"):
            decode({"array": values, "sampling_rate": RATE})


class Lazy(UserList):
    """As a column of a data set: an element is decoded when it is asked for."""

    def __getitem__(self, position):
        if position == 1:
            raise OSError("broken shard")
        return super().__getitem__(position)


BAD = {
    "None": None,
    "a number": 3.5,
    "a missing file": "missing.wav",
    "text for bytes": {"bytes": "x", "path": None},
    "an array of words": np.array(["a", "b"]),
    "a spectrogram": (np.zeros((80, 300)), RATE),
    "a list in a list": [LEFT],
    "an exception": ValueError("not a clip"),
}


@pytest.mark.parametrize("form", ["list", "generator", "iterator", "other sequence"])
def test_a_bad_element_is_an_error_row_and_the_others_are_predicted(form):
    sources = [(LEFT, RATE), *BAD.values(), {"array": RIGHT, "sampling_rate": RATE}]
    many = {"generator": (s for s in sources), "iterator": iter(sources), "other sequence": UserList(sources)}
    rows = Predictor(Hearing()).predict(many.get(form, sources)).rows
    assert len(rows) == len(sources)
    assert [row.error is None for row in rows] == [True, *[False] * len(BAD), True]
    assert [rows[n].probabilities["anger"] for n in (0, -1)] == pytest.approx([0.5, 0.25], abs=1e-3)
    assert [rows[0].utterance_id, rows[3].utterance_id, rows[-1].utterance_id] == ["clip_1", "missing.wav", "clip_10"]


def test_an_element_that_cannot_be_had_is_an_error_row():
    rows = Predictor(Hearing()).predict(Lazy([(LEFT, RATE)] * 3)).rows
    assert [row.error for row in rows] == [None, "Element 1 of the Lazy cannot be had: broken shard", None]


def test_no_list_and_nothing_at_all_is_no_row():
    assert Predictor(Hearing()).predict([]).rows == ()
    assert Predictor(Hearing()).predict(iter(())).rows == ()


def test_a_long_batch_is_not_read_ahead():
    """A generator is asked for the next clips while the first are predicted, not for all of them before."""
    asked = []

    def clips():
        for number in range(1300):
            asked.append(number)
            yield LEFT[:800]

    first = []

    class Watched(Hearing):
        def run(self, waveforms, conditions=()):
            first.append(len(asked))
            return super().run(waveforms)

    assert len(Predictor(Watched()).predict(clips(), RATE)) == 1300
    assert first[0] < 1300


def test_a_name_is_a_path_or_that_of_a_file(tmp_path):
    (tmp_path / "x.wav").write_bytes(wav())
    with (tmp_path / "x.wav").open("rb") as stream:
        sources = [
            tmp_path / "x.wav",
            stream,
            {"bytes": wav(), "path": "y.wav"},
            wav(),
            {"bytes": wav(), "path": "y.wav"},
        ]
        names = [row.utterance_id for row in Predictor(Hearing()).predict(sources)]
    path = str(tmp_path / "x.wav")
    assert names == [path, f"{path} (2)", "y.wav", "clip_4", "y.wav (2)"]


def test_each_channel_of_a_recording_is_a_row():
    predictor = Predictor(Hearing())
    for source in ((STEREO, RATE), wav(STEREO), io.BytesIO(wav(STEREO)), {"bytes": wav(STEREO), "path": None}):
        rows = predictor.predict(source, channel="each").rows
        assert [row.utterance_id for row in rows] == ["clip_1#ch0", "clip_1#ch1"]
        assert [row.extra["channel"] for row in rows] == [0, 1]
        assert [row.probabilities["anger"] for row in rows] == pytest.approx([0.5, 0.25], abs=1e-3)
    assert predictor.predict(STEREO, RATE, channel=1).probabilities["anger"] == pytest.approx(0.25, abs=1e-3)
    rows = predictor.predict([(STEREO, RATE), None, (LEFT, RATE)], channel="each").rows
    assert [row.utterance_id for row in rows] == ["clip_1#ch0", "clip_1#ch1", "clip_2", "clip_3#ch0"]
    assert "NoneType" in rows[2].error
    (row,) = predictor.predict([{"bytes": b"hello" * 100, "path": "x.wav"}], channel="each").rows
    assert row.error.startswith("x.wav cannot be decoded")
    with pytest.raises(AudioError, match="has no channel 2"):
        predictor.predict((STEREO, RATE), channel=2)
    with pytest.raises(AudioError, match="NoneType"):
        predictor.predict(None, channel="each")
