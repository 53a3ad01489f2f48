"""emotune listen: a file, a pipe and a microphone that is not there; what it prints, and how it ends."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from builders.recordings import noise
from emotune.cli.listen import bars, line
from emotune.inference.stream import Estimate
from emotune.schema.predictions import Prediction

pytest.importorskip("torch")
ROOM = ["--window", "1", "--vad", "energy", "--device", "cpu"]


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return np.concatenate([np.zeros(12000), 4 * noise(16000), np.zeros(4000)])


def test_a_recording_is_heard_to_its_end_with_a_summary(emotune_command, tiny_model, tmp_path, sound):
    soundfile.write(tmp_path / "call.flac", sound, 16000)
    ended = emotune_command("listen", tiny_model, "--source", tmp_path / "call.flac", *ROOM)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert len(lines) == 4
    assert "no speech" in lines[0] and "anger 0." in lines[3] and "lag " in lines[3]
    assert ended.err.startswith("2.0 s heard, 4 estimates: ")


def test_a_file_of_raw_mulaw_gives_lines_of_json(emotune_command, tiny_model, tmp_path, sound):
    soundfile.write(tmp_path / "call.ul", sound[::2], 8000, format="RAW", subtype="ULAW")
    raw = ["--encoding", "mulaw", "--rate", "8000"]
    ended = emotune_command("listen", tiny_model, "--source", tmp_path / "call.ul", *raw, "--jsonl", *ROOM)
    assert ended.code == 0
    rows = [json.loads(text) for text in ended.out.splitlines()]
    assert [row["end_s"] for row in rows][:3] == [0.5, 1.0, 1.5]
    assert rows[0]["emotion"] == "no speech" and rows[0]["probabilities"] is None
    assert sum(rows[2]["probabilities"].values()) == pytest.approx(1)
    assert set(rows[0]) == {
        *("start_s", "end_s", "speech_s", "is_speaking", "emotion", "probabilities", "dimensions", "lag_s", "skipped"),
        "error",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--source", "-"], "say how they are encoded, with --encoding and --rate"),
        (["--source", "x.raw", "--encoding", "pcm16"], "--encoding pcm16 needs --rate, such as 8000"),
        (["--rate", "8000"], "name them with --source"),
        (["--source", "x.wav", "--microphone", "1"], "either --source or --microphone"),
        (["--source", "gone.wav", "--window", "60"], "The window is 60.0 s; the model takes"),
    ],
)
def test_what_cannot_be_heard_is_one_error(emotune_command, tiny_model, options, message):
    ended = emotune_command("listen", tiny_model, *options)
    assert ended.code == 2
    assert message in ended.err and "Traceback" not in ended.err


def test_a_recording_that_cannot_be_used_ends_listen_predict_and_timeline_alike(emotune_command, tiny_model, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    for path, words in ((tmp_path / "gone.wav", "gone.wav does not exist"), (tmp_path / "text.wav", "text.wav")):
        for command in (("listen", tiny_model, "--source"), ("predict", tiny_model), ("timeline", tiny_model)):
            ended = emotune_command(*command, path)
            assert (ended.code, ended.err.count("error: ")) == (1, 1), ended.err
            assert words in ended.err


@pytest.mark.load
@pytest.mark.parametrize("ending", ["interrupt", "reader leaves"])
def test_a_pipe_that_never_ends_is_left_with_a_summary(tiny_model, ending):
    command = [sys.executable, "-m", "emotune", "listen", tiny_model, "--source", "-", "--encoding", "pcm16"]
    command += ["--rate", "8000", "--jsonl", *ROOM]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    hears = signal.signal(signal.SIGINT, signal.default_int_handler)  # in a shell's background it would be ignored
    process = subprocess.Popen([str(part) for part in command], **pipes)
    signal.signal(signal.SIGINT, hears)
    os.set_blocking(process.stdin.fileno(), False)
    content = (4 * noise(800) * 32767).astype("<i2").tobytes()
    begun, first = time.monotonic(), b""
    os.set_blocking(process.stdout.fileno(), False)
    while not first and time.monotonic() < begun + 120:
        with contextlib.suppress(BlockingIOError):
            os.write(process.stdin.fileno(), content)
        time.sleep(0.05)
        first = process.stdout.read() or b""
    assert json.loads(first.splitlines()[0])["end_s"] == 0.5
    if ending == "interrupt":
        process.send_signal(signal.SIGINT)
    else:
        process.stdout.close()
    for _ in range(200):
        if process.poll() is not None:
            break
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(process.stdin.fileno(), content)
        time.sleep(0.05)
    said = process.stderr.read().decode()
    assert process.wait(60) == 0, said
    assert " s heard, " in said and "Traceback" not in said and "Fatal" not in said
    process.stdin.close()


def test_an_estimate_is_shown_as_a_line_and_as_bars():
    from rich.console import Console

    answer = Prediction("window", {"anger": 0.75, "neutral": 0.25}, {"arousal": 5.0})
    estimate = Estimate(1.0, 4.0, 2.0, True, answer, 0.12, 3)
    assert line(estimate) == "    4.0 s  anger  anger 0.75  neutral 0.25  arousal 5.00  lag 0.12 s  3 skipped"
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(bars(estimate))
    shown = console.export_text()
    assert "█" * 21 + "·" * 7 + "  0.75" in shown
    assert "● speech" in shown and "3 windows skipped" in shown
    quiet = Estimate(1.0, 4.0, 0.0, False, None, 0.1)
    console.print(bars(quiet))
    assert "○ no speech" in console.export_text()
