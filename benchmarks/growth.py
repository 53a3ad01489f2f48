"""Growth of time and memory with clips, their length and workers; and the books of ten million rows without sound.

    python benchmarks/growth.py MODEL OUTPUT_FOLDER [--clips 100 1000 10000] [--lengths 1 3 10 30] [--workers 1 2]
    python benchmarks/growth.py MODEL OUTPUT_FOLDER --rows 10000000 [--part-rows 5000]

The first predicts noise by `emotune predict --part-rows`, a process of its own for each point; memory is the peak of
the proportional set size of the process and its workers, in which shared pages count once. Growth with clips is of
clips of 3 s, growth with length of 200 s of sound. It writes growth.json and growth.png. The second fills a job's index
as a cluster of 100 nodes would, and says what of a node's time that is. It writes rows.json.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import soundfile

from emotune.inference.items import Item
from emotune.inference.jobs.parts import parts_in
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions

RATE_HZ = 16000
SOUND_S = 200.0
FILES = 20
CLIP_S = 3
NODES, NODE_CORES, AUDIO_S, ROWS_A_CORE_A_SECOND = 100, 32, 5.4, 0.8
"""A cluster for the second: each core predicts Large at some four audio-seconds a second, clips last 5.4 s."""
WRITTEN = 20


def table(folder: Path, clips: int, seconds: float) -> Path:
    """Table of as many clips, of a few recordings of noise."""
    for number in range(FILES):
        sound = 0.1 * np.random.default_rng(number).standard_normal(round(seconds * RATE_HZ))
        soundfile.write(folder / f"{number}.wav", sound.clip(-1, 1), RATE_HZ)
    path = folder / "clips.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["utterance_id", "file"])
        writer.writerows((f"clip-{number:07d}", folder / f"{number % FILES}.wav") for number in range(clips))
    return path


def family(process: int) -> Iterator[int]:
    """A process and all that it started."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def pss_gb(process: int) -> float:
    total = 0
    for number in family(process):
        try:
            lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 2**20


def point(model: str, clips: int, seconds: float, workers: int) -> dict[str, float]:
    """Seconds and memory of one prediction."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        inputs = table(home, clips, seconds)
        command = [sys.executable, "-m", "emotune", "predict", model, str(inputs), "-o", str(home / "parts")]
        command += ["--part-rows", "1000", "--part-format", "csv", "--workers", str(workers)]
        began, peak = time.perf_counter(), 0.0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, pss_gb(process.pid))
            time.sleep(0.2)
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with {process.returncode}")
        took = time.perf_counter() - began
    row = {"clips": clips, "clip_s": seconds, "workers": workers, "seconds": took, "peak_gb": peak}
    print(row, flush=True)
    return row


def draw(rows: list[dict[str, float]], path: Path) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
    by_clips, by_length = [r for r in rows if r["of"] == "clips"], [r for r in rows if r["of"] == "length"]
    for column, (found, key, words) in enumerate(
        [(by_clips, "clips", f"clips of {CLIP_S} s"), (by_length, "clip_s", f"seconds a clip, {SOUND_S:g} s in all")]
    ):
        for line, (value, unit) in enumerate([("seconds", "seconds"), ("peak_gb", "GB")]):
            axis = axes[line][column]
            for workers in sorted({r["workers"] for r in found}):
                own = [r for r in found if r["workers"] == workers]
                axis.plot([r[key] for r in own], [r[value] for r in own], "o-", label=f"workers: {workers}")
            axis.set(xscale="log", xlabel=words, ylabel=unit)
            if key == "clips" and value == "seconds":
                axis.set(yscale="log")
            else:
                axis.set(ylim=(0, 1.15 * max(r[value] for r in found)))
            axis.legend(fontsize=8)
    figure.savefig(path, dpi=150)


def measure(model: str, arguments: argparse.Namespace, folder: Path) -> None:
    rows = []
    for workers in arguments.workers:
        rows += [point(model, clips, CLIP_S, workers) | {"of": "clips"} for clips in arguments.clips]
        for seconds in arguments.lengths:
            rows.append(point(model, round(SOUND_S / seconds), seconds, workers) | {"of": "length"})
    (folder / "growth.json").write_text(json.dumps(rows, indent=2))
    draw(rows, folder / "growth.png")
    print("| clips | length, s | workers | seconds | peak GB |\n|---|---|---|---|---|")
    for row in rows:
        figures = (row["clips"], row["clip_s"], row["workers"], f"{row['seconds']:.1f}", f"{row['peak_gb']:.2f}")
        print("| " + " | ".join(map(str, figures)) + " |")


def keep_books(rows: int, part_rows: int, folder: Path) -> dict[str, float]:
    """Goes through a job's inputs and enters all its parts; tables are written for a few parts alone."""
    space = LabelSpace(tuple(f"class {number}" for number in range(8)))
    job = folder / "job"
    shutil.rmtree(job, ignore_errors=True)
    items = (Item(f"clip-{number:08d}", f"/corpus/{number % 1000:03d}/{number:08d}.wav") for number in count())
    probabilities = dict.fromkeys(space.classes, 1 / 8)
    spent = {"inputs": 0.0, "tables": 0.0, "index": 0.0}
    parts = -(-rows // part_rows)
    with parts_in(job, part_rows=part_rows, suffix=".csv", model_fingerprint="0") as opened:
        for number in range(parts):
            began = time.perf_counter()
            piece = [next(items) for _ in range(part_rows)]
            read = time.perf_counter()
            if number < WRITTEN:
                predicted = Predictions(tuple(Prediction(item.utterance_id, probabilities) for item in piece), space)
                entry = opened.write(number, piece, predicted)
            written = time.perf_counter()
            opened.enter(number, entry, space)
            spent["inputs"] += read - began
            spent["tables"] += (written - read) * (number < WRITTEN)
            spent["index"] += time.perf_counter() - written
        size = (job / "index.json").stat().st_size
    shutil.rmtree(job)
    node_s = rows / (NODES * NODE_CORES * ROWS_A_CORE_A_SECOND)
    return {
        "rows": rows,
        "part_rows": part_rows,
        "parts": parts,
        "index_mb": size / 1e6,
        "inputs_s": spent["inputs"],
        "index_s": spent["index"],
        "tables_s_a_part": spent["tables"] / min(parts, WRITTEN),
        "cluster_s": node_s,
        "index_share_of_the_job": spent["index"] / node_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--lengths", type=float, nargs="+", default=[1, 3, 10, 30])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rows", type=int)
    parser.add_argument("--part-rows", type=int, default=5000)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.rows is None:
        measure(arguments.model, arguments, arguments.folder)
        return
    found = keep_books(arguments.rows, arguments.part_rows, arguments.folder)
    (arguments.folder / "rows.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
