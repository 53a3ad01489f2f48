"""Damage the folder of a run that was interrupted, start it again, and see what it says and ends with.

    python benchmarks/damage.py OUTPUT_FOLDER

The run of kills.py --interrupts, stopped in its third epoch, is copied for each damage. Either the final weights are,
bit by bit, those of a run that nothing happened to, or the command ends with one clear error. Writes damage.json.
"""

import argparse
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from kills import Forked, compared, prepare, shorter

from emotune.schema.run_folder import RunFolder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    """64 bytes in the middle become zero."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)


def flip(path: Path) -> None:
    """One bit in the middle changes."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def without_rows(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rows": []}))


def become_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("x")


def half_written(run: RunFolder) -> None:
    part = run.checkpoints / ".step-99999999.part"
    part.mkdir()
    (part / "model.safetensors").write_bytes(bytes(1000))


def newest(run: RunFolder) -> Path:
    return max(run.checkpoints.glob("step-*"))


def best(run: RunFolder) -> Path:
    return max(run.checkpoints.glob("best-*"))


DAMAGES: dict[str, Callable[[RunFolder], object]] = {
    "the newest weights cut": lambda run: cut(newest(run) / "model.safetensors"),
    "64 zeroed bytes in the newest weights": lambda run: zero(newest(run) / "model.safetensors"),
    "64 zeroed bytes in the averaged weights": lambda run: zero(newest(run) / "average.safetensors"),
    "a flipped bit in the optimiser": lambda run: flip(newest(run) / "optimiser.pt"),
    "the optimiser gone": lambda run: (newest(run) / "optimiser.pt").unlink(),
    "a pipe in the optimiser's place": lambda run: become_pipe(newest(run) / "optimiser.pt"),
    "rows: [] in the state": lambda run: without_rows(newest(run) / "state.json"),
    "{} for a state": lambda run: (newest(run) / "state.json").write_text("{}"),
    "the state gone": lambda run: (newest(run) / "state.json").unlink(),
    "the sums gone": lambda run: (newest(run) / "SHA256SUMS").unlink(),
    "a flipped bit in the sums": lambda run: flip(newest(run) / "SHA256SUMS"),
    "a file in the newest checkpoint's place": lambda run: become_file(newest(run)),
    "a half-written checkpoint": half_written,
    "both checkpoints cut": lambda run: [cut(path / "model.safetensors") for path in run.checkpoints.glob("step-*")],
    "64 zeroed bytes in the best weights": lambda run: zero(best(run)),
    "the best weights gone": lambda run: best(run).unlink(),
    "metrics.jsonl cut": lambda run: cut(run.metrics),
    "manifest.csv cut": lambda run: cut(run.manifest),
    "provenance.json cut": lambda run: cut(run.provenance),
    "recipe.yaml cut": lambda run: cut(run.recipe),
}


def interrupted(recipe: Path, folder: Path) -> None:
    """A run that was stopped in its third epoch."""
    process = Forked(recipe, folder)
    while not RunFolder(folder).metrics.exists() or len(RunFolder(folder).metrics.read_text().splitlines()) < 2:
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    code, said = process.end()
    assert code == 130, said


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    recipe = shorter(prepare(folder), workers=0)
    whole, broken, rows = folder / "whole", folder / "interrupted", []
    for path in (whole, broken):
        shutil.rmtree(path, ignore_errors=True)
    code, said = Forked(recipe, whole).end()
    assert code == 0, said
    interrupted(recipe, broken)
    for damage, do in {"none": lambda run: None, **DAMAGES}.items():
        run = RunFolder(folder / "damaged")
        shutil.rmtree(run.path, ignore_errors=True)
        shutil.copytree(broken, run.path)
        do(run)
        code, said = Forked(recipe, run.path).end()
        heard = [line for line in said if any(word in line for word in ("error:", "left", "continuing", "Traceback"))]
        same = code == 0 and all(compared(run.path, whole).values())
        rows.append({"damage": damage, "code": code, "said": heard, "same_bits": same})
        print(json.dumps(rows[-1]), flush=True)
    (folder / "damage.json").write_text(json.dumps(rows, indent=2) + "\n")
    right = sum(row["same_bits"] or (row["code"] == 2 and len(row["said"]) == 1) for row in rows[1:])
    same = sum(row["same_bits"] for row in rows[1:])
    print(f"{right} of {len(rows) - 1} end with the same bits ({same}) or one error")


if __name__ == "__main__":
    main()
