"""Memory and time of recordings that are long, wide or many segments: refused, read and predicted from.

    python benchmarks/memory_of_decoding.py [--folder FOLDER]

Makes small files that hold much (silence in FLAC, Opus and MP3), and one of ordinary size, and lets a fresh process do
one thing with each. Memory is the process's peak above what it held before, libraries loaded and warmed up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from emotune import audio
from emotune.audio.preprocessing import Preprocessing
from emotune.corpora import CORPORA
from emotune.corpora.read import read_corpus
from emotune.inference.engine import EngineOutput
from emotune.inference.predictor import Item, Predictor
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace

HOUR_S = 3600
SEGMENTS = [(300.0 * n, 300.0 * n + 5) for n in range(10)]


class Deaf:
    """An engine that answers at once, so that what is measured is decoding."""

    fingerprint: str | None = None
    label_space = LabelSpace(("neutral",), {})
    conditions: Mapping[str, Mapping[str, Any]] = {}
    concurrency = 1
    calibration = Calibration()

    def __init__(self, max_duration_s: float) -> None:
        self.preprocessing = Preprocessing(max_duration_s=max_duration_s)

    def run(
        self, waveforms: Sequence[audio.FloatArray], conditions: Sequence[Mapping[str, audio.FloatArray]] = ()
    ) -> EngineOutput:
        return EngineOutput(np.ones((len(waveforms), 1)), np.zeros((len(waveforms), 0)))


def write(path: Path, *, seconds: float, rate: int, channels: int, container: str, noise: float = 0.0) -> None:
    """A recording of silence, or of noise, written a minute at a time."""
    if path.exists():
        return
    generator = np.random.default_rng(0)
    coding = "OPUS" if path.suffix == ".opus" else None
    with soundfile.SoundFile(path, "w", rate, channels, format=container, subtype=coding) as file:
        left = round(seconds * rate)
        while left:
            frames = min(left, rate * 10)
            block = noise * generator.standard_normal((frames, channels)) if noise else np.zeros((frames, channels))
            file.write(block.astype(np.float32))
            left -= frames


FILES: dict[str, Callable[[Path], None]] = {
    "wide.flac": lambda p: write(p, seconds=900, rate=192000, channels=8, container="FLAC"),
    "two_hours.flac": lambda p: write(p, seconds=2 * HOUR_S, rate=16000, channels=1, container="FLAC"),
    "half_hour.opus": lambda p: write(p, seconds=HOUR_S / 2, rate=48000, channels=2, container="OGG"),
    "six_hours.mp3": lambda p: write(p, seconds=6 * HOUR_S, rate=16000, channels=1, container="MP3"),
    "hour.wav": lambda p: write(p, seconds=HOUR_S, rate=44100, channels=2, container="WAV", noise=0.1),
    "hour.mp3": lambda p: write(p, seconds=HOUR_S, rate=44100, channels=2, container="MP3", noise=0.1),
}


def refused(path: Path) -> None:
    """Predict what is too long."""
    (row,) = Predictor(Deaf(30.0)).predict_items([Item("x", path)])
    assert row.error is not None and "the clip is" in row.error, row.error


def used(path: Path) -> None:
    """Predict a file as a whole."""
    (row,) = Predictor(Deaf(10.0 * HOUR_S)).predict_items([Item("x", path)])
    assert row.error is None, row.error


def segments(path: Path) -> None:
    """Predict ten segments of a file."""
    rows = Predictor(Deaf(30.0)).predict_items(
        [Item(f"{n}", path, start, end) for n, (start, end) in enumerate(SEGMENTS)]
    )
    assert not rows.failed


def whole(path: Path) -> None:
    """Decode a file once, without looking at anything."""
    with soundfile.SoundFile(path) as file:
        file.read(dtype="float32")


def corpus(path: Path) -> None:
    """Read a table of ten segments as a corpus."""
    table = path.with_suffix(".csv")
    rows = [f"{path.name},{start},{end},neutral" for start, end in SEGMENTS]
    table.write_text("\n".join(["file,start_s,end_s,emotion", *rows]))
    assert len(read_corpus(CORPORA["table"], table)) == len(SEGMENTS)


CASES: list[tuple[str, Callable[[Path], None]]] = [
    *((name, refused) for name in list(FILES)),
    ("hour.wav", used),
    ("hour.mp3", whole),
    ("hour.mp3", segments),
    ("hour.mp3", corpus),
    ("hour.wav", segments),
]


def peak_kb() -> int:
    """Peak memory of this process on Linux; what getrusage says begins with the peak of the one that started it."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def measure(name: str, what: str, folder: Path) -> None:
    """Do one thing with one file, in this process, and print what it took."""
    small = (np.zeros(16000 * 8, dtype=np.float32), 44100)
    Predictor(Deaf(30.0)).predict_items([Item("warm", small)])
    before = peak_kb()
    began = time.perf_counter()
    next(does for _, does in CASES if does.__name__ == what)(folder / name)
    took = time.perf_counter() - began
    print(json.dumps({"megabytes": (peak_kb() - before) / 1024, "seconds": took}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the files are made, or lie from before")
    parser.add_argument("--one", nargs=2, metavar=("FILE", "WHAT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    if arguments.one:
        measure(*arguments.one, folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        make(folder / name)
    print("| file | size | what is done | memory above idle | time |\n|---|---|---|---|---|")
    for name, does in CASES:
        command = [sys.executable, __file__, "--folder", str(folder), "--one", name, does.__name__]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        size = (folder / name).stat().st_size / 1e6
        found = json.loads(ended.stdout.splitlines()[-1]) if ended.returncode == 0 else None
        figures = f"{found['megabytes']:.0f} MB | {found['seconds']:.1f} s" if found else ended.stderr.splitlines()[-1:]
        print(f"| {name} | {size:.1f} MB | {does.__name__} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
