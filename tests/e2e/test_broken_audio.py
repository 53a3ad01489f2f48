"""Broken recordings: one clear error each, and in a batch an error row while the rest is done."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest

import emotune
from builders.recordings import NOISE, encoded
from emotune import audio
from emotune.errors import AudioError
from emotune.inference.items import Item
from emotune.schema.predictions import Predictions


def patched(offset: int, layout: str, value: int) -> bytes:
    """A WAV whose header says something else: its rate lies at byte 24, the size of its data at byte 40."""
    content = bytearray(encoded())
    struct.pack_into(layout, content, offset, value)
    return bytes(content)


def with_hole(content: bytes, size: int = 400) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(size) + content[middle + size :]


def promising_64_billion_samples() -> bytes:
    """A FLAC whose header names 2**36 - 1 samples: 240 GiB, if memory were reserved for them."""
    content = bytearray(encoded(container="FLAC"))
    content[21:26] = bytes([content[21] | 0x0F, 0xFF, 0xFF, 0xFF, 0xFF])
    return bytes(content)


class Fails:
    """Such as a decoder that a library makes before it looks at the file."""

    def __getitem__(self, name):
        raise RuntimeError("not an audio file\nand a long trace of C++")


def closed() -> io.BytesIO:
    stream = io.BytesIO(encoded())
    stream.close()
    return stream


LONG_OGG = encoded(np.tile(NOISE, 20), container="OGG")
NOT_FINITE = np.where(np.arange(16000) == 9, np.nan, NOISE)
INFINITE = np.where(np.arange(16000) == 9, np.inf, NOISE)

CONTENTS = {
    "empty": (b"", "empty (0 bytes)"),
    "header cut at 10 bytes": (encoded()[:10], "cannot be decoded"),
    "header cut at 20 bytes": (encoded()[:20], "cannot be decoded"),
    "header only": (encoded()[:44], "its header promises more than the file holds"),
    "wav cut in the middle": (encoded()[:20000], "its header promises more than the file holds"),
    "header and no samples": (encoded(np.zeros(0)), "holds no samples"),
    "flac cut in the middle": (encoded(container="FLAC")[:9000], "cannot be decoded"),
    "ogg cut before its first page": (LONG_OGG[:3000], "cannot be decoded"),
    "ogg with a hole": (with_hole(LONG_OGG), "is damaged: it ends after"),
    "text": (b"hello, I am no recording\n" * 20, "cannot be decoded"),
    "NaN": (encoded(NOT_FINITE, subtype="FLOAT"), "NaN or infinite"),
    "infinity": (encoded(INFINITE, subtype="FLOAT"), "NaN or infinite"),
    "float wav that holds 16-bit values": (
        encoded(NOISE * 32768, subtype="FLOAT"),
        "divide 16-bit samples by 32768",
    ),
    "0 Hz": (patched(24, "<I", 0), "cannot be decoded"),
    "1 Hz": (patched(24, "<I", 1), "a sampling rate of 1 Hz, expected 1000 to 768000"),
    "10 MHz": (patched(24, "<I", 10_000_000), "a sampling rate of 10000000 Hz"),
    "git-LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "run `git lfs pull`"),
    "flac that promises 240 GiB": (promising_64_billion_samples(), "is damaged: it ends after 1.00 of 4294967.30 s"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_a_broken_file_is_an_audio_error_that_names_it(tmp_path, case):
    content, words = CONTENTS[case]
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        audio.decode(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def directory(folder: Path) -> Path:
    (folder / "x.wav").mkdir()
    return folder / "x.wav"


def broken_link(folder: Path) -> Path:
    (folder / "x.wav").symlink_to(folder / "gone.wav")
    return folder / "x.wav"


PATHS = {
    "missing": (lambda folder: folder / "x.wav", "x.wav does not exist"),
    "a folder": (directory, "is a folder, expected a recording"),
    "a broken link": (broken_link, "is a broken link to"),
    "below a file": (lambda folder: Path(__file__) / "x.wav", "cannot be read"),
    "NUL in the name": (lambda folder: folder / "a\0b.wav", "cannot be read: embedded null byte"),
    "newline in the name": (lambda folder: folder / "a\nb.wav", "b.wav does not exist"),
    "name of 5000 letters": (lambda folder: folder / ("a" * 5000), "File name too long"),
    "name that is not UTF-8": (lambda folder: folder / os.fsdecode(b"\xff.wav"), "does not exist"),
    "a device": (lambda folder: Path("/dev/null"), "is a device, expected a regular file"),
}


@pytest.mark.parametrize("case", PATHS)
def test_a_path_that_is_no_recording_is_an_audio_error(tmp_path, case):
    make, words = PATHS[case]
    with pytest.raises(AudioError) as caught:
        audio.decode(make(tmp_path))
    assert words in str(caught.value)


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    path = tmp_path / "secret.wav"
    path.write_bytes(encoded())

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match=r"secret\.wav may not be read: permission denied"):
        audio.decode(path)


def test_a_recording_that_may_not_be_read_is_an_error_row(tmp_path, tiny_model, emotune_command, monkeypatch):
    """As root everything may be read, so what the system says is put in its mouth."""
    path = tmp_path / "secret.wav"
    path.write_bytes(encoded())
    opened = Path.open

    def refuse(self, *arguments, **options):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr("os.access", lambda name, mode: str(name) != str(path))
    ended = emotune_command("predict", tiny_model, path, "--device", "cpu")
    assert ended.code == 1
    assert "secret.wav may not be read: permission denied" in ended.err


class Unseekable(io.BytesIO):
    def seekable(self):
        return False

    def seek(self, *_):
        raise io.UnsupportedOperation("seek")


SOURCES = {
    "empty array": ((np.zeros(0, np.float32), 16000), "holds no samples"),
    "empty array of two channels": ((np.zeros((0, 2)), 16000), "holds no samples"),
    "array of no channels": ((np.zeros((100, 0)), 16000), "holds no samples"),
    "array without rate": (NOISE, "needs its sampling rate"),
    "array of three parts": ((NOISE, 16000, 1), "(samples, sampling_rate_hz)"),
    "array of words": ((np.array(["a", "b"]), 16000), "got (2,) of <U1"),
    "complex array": ((NOISE.astype(complex), 16000), "complex128"),
    "3-d array": ((np.zeros((100, 1, 1)), 16000), "(100, 1, 1)"),
    "spectrogram": ((np.zeros((80, 300)), 16000), "80 channels, more than 32"),
    "spectrogram, frames first": ((np.zeros((3000, 128)), 16000), "128 channels, more than 32"),
    "64-bit integers": ((np.zeros(16000, np.int64), 16000), "as int16 or int32, whichever they were"),
    "rows of different lengths": ({"array": [[0.0], [0.0, 1.0]], "sampling_rate": 16000}, "not a regular array"),
    "rate that is a truth value": ((NOISE, True), "whole number of Hz, got True"),
    "rate that is a fraction": ((NOISE, 16000.5), "whole number of Hz"),
    "rate of 0": ((NOISE, 0), "a sampling rate of 0 Hz"),
    "mapping without rate": ({"array": NOISE}, "must also hold its 'sampling_rate'"),
    "mapping of something else": (
        {"audio": NOISE},
        "or 'bytes' or 'path', and not None; got: {'audio': 'ndarray'}",
    ),
    "mapping of nothing": ({"bytes": None, "path": None}, "and not None"),
    "mapping to a missing file": ({"bytes": None, "path": "x.wav"}, "x.wav does not exist"),
    "mapping with broken bytes": ({"bytes": b"hello" * 100, "path": "x.wav"}, "x.wav cannot be decoded"),
    "object that fails": (Fails(), "cannot be read from this Fails: not an audio file"),
    "closed file": (closed(), "closed file"),
    "array with NaN": ((NOT_FINITE, 16000), "NaN or infinite"),
    "array beyond float32": ((NOISE.astype(float) * 1e300, 16000), "NaN or infinite"),
    "floats that hold 16-bit values": ((NOISE * 32768, 16000), "divide 16-bit samples by 32768"),
    "nothing": (None, "Cannot read a recording from a NoneType"),
    "no bytes": (b"", "empty (0 bytes)"),
    "bytes that are text": (b"hello" * 100, "the given bytes cannot be decoded"),
    "text stream": (io.StringIO("hello"), "open it in binary mode"),
    "stream at its end": (io.BytesIO(), "seek(0)"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_a_source_in_memory_that_is_no_recording_is_an_audio_error(case, capfd):
    source, words = SOURCES[case]
    with pytest.raises(AudioError) as caught:
        audio.decode(source)
    assert words in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err  # of a callback in C, which cannot raise


SEGMENTS = {
    "end before start": (0.6, 0.3, "expected 0 <= start_s < end_s"),
    "end at start": (0.5, 0.5, "expected 0 <= start_s < end_s"),
    "negative start": (-0.1, 0.5, "expected 0 <= start_s < end_s"),
    "NaN start": (float("nan"), 0.5, "expected 0 <= start_s < end_s"),
    "infinite end": (0.0, float("inf"), "expected 0 <= start_s < end_s"),
    "start behind the end": (1.5, None, "start_s 1.5 lies behind the end of the recording (1.00 s)"),
    "end behind the end": (0.5, 2.5, "end_s 2.5 lies behind the end of the recording (1.00 s)"),
    "end in a thousand years": (0.0, 3e10, "lies behind the end of the recording"),
}


@pytest.mark.parametrize("source", [(NOISE, 16000), encoded()], ids=["array", "file"])
@pytest.mark.parametrize("case", SEGMENTS)
def test_a_segment_outside_the_recording_is_an_audio_error(case, source):
    start_s, end_s, words = SEGMENTS[case]
    with pytest.raises(AudioError) as caught:
        audio.decode(source, start_s=start_s, end_s=end_s)
    assert words in str(caught.value)


def test_a_segment_of_a_file_that_promises_240_gib_reserves_no_memory():
    for read in (audio.decode, audio.clip):
        with pytest.raises(AudioError, match=r"is damaged: it ends after 1\.00 of"):
            read(promising_64_billion_samples(), end_s=1e6)


STRANGE = {
    "silence": encoded(np.zeros(16000)),
    "32 channels": encoded(np.tile(NOISE[:, None], (1, 32))),
    "768 kHz": encoded(np.tile(NOISE, 30), 768000),
    "8-bit": encoded(subtype="PCM_U8"),
    "24-bit": encoded(subtype="PCM_24"),
    "float64": encoded(subtype="DOUBLE"),
    "header of 20 hours on 1 s": patched(40, "<I", 20 * 3600 * 16000 * 2),
    "size of a pipe": patched(40, "<I", 0xFFFFFFFF),
    "slightly over full scale": encoded(NOISE * 20, subtype="FLOAT"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_strange_but_usable_recording_is_predicted(predictor, case):
    """A size that only a stream's placeholder can have is no promise: what is there counts."""
    row = predictor.predict(STRANGE[case])
    assert np.isclose(sum(row.probabilities.values()), 1)


def test_a_stream_that_cannot_seek_is_read(capfd):
    assert audio.decode(Unseekable(encoded())).duration_s == 1.0
    assert capfd.readouterr().err == ""


@pytest.fixture(scope="module")
def predictor(tiny_model):
    return emotune.load(tiny_model, device="cpu")


def test_bad_items_are_error_rows_in_their_place_and_the_rest_is_done(predictor):
    bad = {
        "empty": Item("empty", b""),
        "short": Item("short", (NOISE[:50], 16000)),
        "long": Item("long", (np.tile(NOISE, 6), 16000)),
        "segment": Item("segment", encoded(), 0.5, 9.0),
        "nothing": Item("nothing", None),  # pyright: ignore[reportArgumentType]
        "ragged": Item("ragged", {"array": [[1.0], [1.0, 2.0]], "sampling_rate": 16000}),
    }
    words = ["empty (0 bytes)", "needs at least", "at most 5 s", "end_s 9.0", "NoneType", "not a regular array"]
    items = [item for name in bad for item in (bad[name], Item(f"good beside {name}", encoded()))]
    rows = predictor.predict_items(items).rows
    assert [row.utterance_id for row in rows] == [item.utterance_id for item in items]
    for row, word in zip(rows[::2], words, strict=True):
        assert row.error is not None and word in row.error
        assert not row.probabilities
    assert all(row.error is None and row.probabilities for row in rows[1::2])


def test_a_single_bad_recording_raises(predictor):
    with pytest.raises(AudioError, match="needs at least"):
        predictor.predict((NOISE[:50], 16000))


def test_predict_writes_error_rows_and_ends_with_1(tmp_path, tiny_model, emotune_command):
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "good.wav").write_bytes(encoded())
    (folder / "zeros.wav").write_bytes(STRANGE["silence"])
    for number, case in enumerate(CONTENTS):
        (folder / f"broken{number:02d}.wav").write_bytes(CONTENTS[case][0])
    directory(folder)
    (folder / os.fsdecode(b"\xff.wav")).write_bytes(b"")
    (folder / "new\nline.wav").write_bytes(b"")
    ended = emotune_command("predict", tiny_model, folder, "-o", tmp_path / "out.csv", "--device", "cpu")
    assert ended.code == 1
    assert f"{len(CONTENTS) + 5} rows, {len(CONTENTS) + 3} with an error" in ended.out
    assert "Traceback" not in ended.out + ended.err
    rows = {row.utterance_id: row for row in Predictions.read(tmp_path / "out.csv")}
    assert rows["good.wav"].emotion and rows["zeros.wav"].emotion
    assert "is a folder" in rows["x.wav"].error
    assert "is empty" in rows["new\nline.wav"].error
    assert "is empty" in rows["\\udcff.wav"].error
    for number, (case, (_, words)) in enumerate(CONTENTS.items()):
        by_its_header = case in ("ogg with a hole", "flac that promises 240 GiB")  # which is looked at first
        assert ("takes at most 5 s" if by_its_header else words) in rows[f"broken{number:02d}.wav"].error


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_name_that_is_not_utf_8_is_written_escaped(tmp_path, tiny_model, emotune_command, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / os.fsdecode(b"\xff.wav")
    path.write_bytes(encoded())
    ended = emotune_command("predict", tiny_model, path, "-o", tmp_path / f"out.{suffix}", "--device", "cpu")
    assert ended.code == 0, ended.err
    (row,) = Predictions.read(tmp_path / f"out.{suffix}")
    assert row.utterance_id.encode(errors="backslashreplace").endswith(b"\\udcff.wav")
    printed = emotune_command("predict", tiny_model, path, "--device", "cpu")
    assert printed.code == 0
    assert "\\udcff.wav: " in printed.out
