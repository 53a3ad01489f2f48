"""An epoch of training alone and beside other processes that keep all cores busy, in turn in one run.

    python benchmarks/busy.py MANIFEST FOLDER [--others 4] [--turns 3] [--epochs 3]

MANIFEST is that of the demo's corpus; each turn is `emotune train demo/tiny_wavlm` with as many threads as it chooses
itself. The other processes multiply matrices on one thread each and never wait. Seconds are the run's own, by epoch,
without the first.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def keep_busy() -> None:
    matrix = np.random.default_rng(0).standard_normal((256, 256))
    while True:
        matrix @ matrix


def epochs(manifest: Path, folder: Path, count: int) -> list[float]:
    """Seconds of each epoch of a fresh run but the first."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "emotune", "train", "demo/tiny_wavlm", f"data.manifest={manifest}"]
    command += [f"train.epochs={count}", "train.patience=null", "-o", str(folder)]
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["seconds"] for line in lines][1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--others", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    alone, beside = [], []
    start = multiprocessing.get_context("spawn").Process
    for turn in range(options.turns):
        alone += epochs(options.manifest, options.folder / f"alone-{turn}", options.epochs)
        others = [start(target=keep_busy, daemon=True) for _ in range(options.others)]
        for process in others:
            process.start()
        beside += epochs(options.manifest, options.folder / f"beside-{turn}", options.epochs)
        for process in others:
            process.terminate()
    ratio = statistics.median(beside) / statistics.median(alone)
    print(f"alone {alone} s, beside {options.others} busy processes {beside} s; ratio of medians {ratio:.2f}")


if __name__ == "__main__":
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")  # for the others
    main()
