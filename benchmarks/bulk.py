"""Prediction in bulk: memory at 1,000 and 100,000 clips, three kills, and Ray against the plain engine.

    python benchmarks/bulk.py MODEL RECORDINGS OUTPUT_FOLDER [--clips 100000] [--ray-clips 6000]

A table names the recordings of a folder again and again, each row under its own id. Prediction is killed with SIGKILL
three times at random moments and continued; rows lost and doubled are counted. Memory is the sum of the peaks of the
process and its workers. Writes bulk.json.
"""

import argparse
import csv
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from emotune import audio
from emotune.io.tables import read_rows


def table_of(recordings: list[Path], rows: int, path: Path) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["utterance_id", "file"])
        writer.writerows((f"clip-{n:06d}", recordings[n % len(recordings)]) for n in range(rows))
    return path


def command(model: Path, table: Path, folder: Path, *options: str) -> list[str]:
    predict = [sys.executable, "-m", "emotune", "predict", str(model), str(table), "-o", str(folder)]
    return [*predict, "--part-rows", "500", "--workers", "2", *options]


def peak_mb(process: int) -> dict[int, float]:
    """Peak resident memory of a process and its children, by process."""
    found = {}
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return {}
    for number in [process, *map(int, children)]:
        try:
            lines = Path(f"/proc/{number}/status").read_text().splitlines()
        except OSError:
            continue
        for line in lines:  # a process that has just ended has no such line
            if line.startswith("VmHWM"):
                found[number] = int(line.split()[1]) / 1024
    return found


def run(arguments: list[str], *, kill_after_s: float | None = None) -> tuple[float, float]:
    """Seconds and peak memory of a command, killed after a while if asked."""
    began, peaks = time.perf_counter(), {}
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        peaks |= peak_mb(process.pid)
        if kill_after_s is not None and time.perf_counter() - began > kill_after_s:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.2)
    return time.perf_counter() - began, sum(peaks.values())


def rows_in(folder: Path) -> list[dict]:
    index = json.loads((folder / "index.json").read_text())
    return [row for part in index["parts"].values() for row in read_rows(folder / part["file"])]


def largest_difference(first: list[dict], second: list[dict]) -> float:
    assert [row["utterance_id"] for row in first] == [row["utterance_id"] for row in second]
    columns = [name for name in first[0] if name.startswith("p.")]
    values = [np.array([[row[name] for name in columns] for row in rows], dtype=float) for rows in (first, second)]
    return float(np.abs(values[0] - values[1]).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--ray-clips", type=int, default=6000)
    arguments = parser.parse_args()
    folder, generator = arguments.folder, np.random.default_rng(0)
    folder.mkdir(parents=True)
    recordings = sorted(p.resolve() for p in arguments.recordings.rglob("*") if p.suffix.lower() in audio.SUFFIXES)
    found: dict[str, object] = {"recordings": len(recordings)}

    few = table_of(recordings, 1000, folder / "few.csv")
    found["few"] = dict(zip(("seconds", "peak_mb"), run(command(arguments.model, few, folder / "few")), strict=True))
    print(found["few"], flush=True)

    ray_table = table_of(recordings, arguments.ray_clips, folder / "ray.csv")
    seconds, _ = run(command(arguments.model, ray_table, folder / "plain"))
    ray_seconds, _ = run(command(arguments.model, ray_table, folder / "ray", "--engine", "ray"))
    found["ray"] = {
        "clips": arguments.ray_clips,
        "plain_clips_per_s": arguments.ray_clips / seconds,
        "ray_clips_per_s": arguments.ray_clips / ray_seconds,
        "largest_difference": largest_difference(rows_in(folder / "plain"), rows_in(folder / "ray")),
    }
    print(found["ray"], flush=True)

    many, sessions = table_of(recordings, arguments.clips, folder / "many.csv"), []
    expected_s = arguments.clips * seconds / arguments.ray_clips
    for kill_after_s in [*(generator.uniform(0.1, 0.3, 3) * expected_s), None]:
        taken, peak = run(command(arguments.model, many, folder / "many"), kill_after_s=kill_after_s)
        there = json.loads((folder / "many" / "index.json").read_text())["rows"]
        sessions.append({"killed": kill_after_s is not None, "seconds": taken, "peak_mb": peak, "rows_after": there})
        print(sessions[-1], flush=True)
    ids = Counter(row["utterance_id"] for row in rows_in(folder / "many"))
    found["many"] = {
        "clips": arguments.clips,
        "sessions": sessions,
        "lost": arguments.clips - len(ids),
        "doubled": sum(count - 1 for count in ids.values()),
        "peak_against_few": max(session["peak_mb"] for session in sessions) / found["few"]["peak_mb"],  # type: ignore
    }
    (folder / "bulk.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found["many"], indent=2))


if __name__ == "__main__":
    main()
