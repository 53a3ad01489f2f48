"""Kill training at random moments, start it again, and compare the final weights bit by bit.

    python benchmarks/kills.py OUTPUT_FOLDER [--runs 20] [--seed 0]
    python benchmarks/kills.py OUTPUT_FOLDER --interrupts [--runs 20] [--seed 0]

A tiny WavLM trains on the synthetic corpus of the demo with everything random that there is: dropout, layer drop,
augmentation with mixing, and two loader processes; a moving average of the weights; a checkpoint after every step. One
run goes through; each of the others is killed once and then continued: the odd ones after a random time, the even ones
in the next write of a checkpoint after a random time. Writes kills.json.

With --interrupts, a shorter run gets SIGINT, then SIGTERM, without and with two loader processes, as often each. It is
forked from this process, which has all modules in memory. SIGINT goes to all its processes, as from a terminal, SIGTERM
in turn to all and to the first one only. Writes interrupts.json: what it said, its exit code, the seconds until all its
processes were gone, and what it ended with when it was continued.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import load_file

import emotune.training.fine_tune  # noqa: F401 (in memory before processes are forked)
from emotune.cli import main as main_of_emotune
from emotune.config.reading import load_recipe
from emotune.io.tables import read_rows
from emotune.runtime import interruption
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import RunFolder

CORPUS = Path(__file__).parents[1] / "examples" / "demo" / "corpus"
CHANGES = {
    "augmentation": {
        "probability": 0.7,
        "speed": 0.1,
        "crop_s": 1.0,
        "mix": {"alpha": 0.4},
        "reverberation": {},
        "noise": {"snr_db": [5, 20], "colour": "pink"},
        "compression": {},
        "band_masks": [2, 300],
    },
    "train": {"epochs": 2, "average": 0.9, "workers": 2, "checkpoint_minutes": 0.0, "batch_seconds": 20.0},
}


def command(recipe: Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "emotune", "train", str(recipe), "-o", str(folder)]


def prepare(folder: Path) -> Path:
    """The corpus as a manifest with splits, and the recipe."""
    manifest, split = folder / "corpus.csv", folder / "split.csv"
    emotune = [sys.executable, "-m", "emotune", "corpus"]
    reading = [*emotune, "read", "table", str(CORPUS / "labels.csv"), "--audio-root", str(CORPUS), "-o", str(manifest)]
    subprocess.run(reading, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*emotune, "split", str(manifest), "-o", str(split)], check=True, stdout=subprocess.DEVNULL)
    recipe = load_recipe("demo/tiny_wavlm", [f"data.manifest={split}"]).model_dump(mode="json")
    recipe["model"]["backbone"]["config"] |= {"hidden_dropout": 0.1, "attention_dropout": 0.1, "layerdrop": 0.1}
    recipe["train"] |= CHANGES["train"]
    recipe["augmentation"] = CHANGES["augmentation"]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def kill_once(recipe: Path, folder: Path, after_s: float, *, in_a_write: bool) -> dict:
    """Start, kill the whole process group after a while, and continue; where the kill came.

    With ``in_a_write`` it waits, after that while, for the next half-written checkpoint.
    """
    process = subprocess.Popen(
        command(recipe, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(after_s)
    while in_a_write and process.poll() is None and not any(RunFolder(folder).checkpoints.glob(".*.part")):
        pass
    ended = process.poll() is not None
    os.killpg(process.pid, signal.SIGKILL) if not ended else None
    process.wait()
    checkpoints = sorted(RunFolder(folder).checkpoints.glob("*")) if RunFolder(folder).checkpoints.exists() else []
    moment = {
        "after_s": round(after_s, 2),
        "ended_before": ended,
        "newest": max((path.name for path in checkpoints if path.name.startswith("step-")), default=None),
        "inside_a_write": [path.name for path in checkpoints if path.name.endswith(".part")],
    }
    if not ended:
        subprocess.run(command(recipe, folder), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return moment


class Forked:
    """A training run in a process forked from this one, which has all modules in memory; it leads its own group."""

    def __init__(self, recipe: Path, folder: Path) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as stream:
            self._said = Path(stream.name)
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background does without
            with self._said.open("w") as stream:
                os.dup2(stream.fileno(), 1)
                os.dup2(stream.fileno(), 2)
            sys.argv = ["emotune", "train", str(recipe), "-o", str(folder)]
            try:
                main_of_emotune()
            except SystemExit as end:
                os._exit(int(end.code or 0))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)

    def cpu_s(self) -> float:
        """Seconds of processor that it has had."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end(self) -> tuple[int, list[str]]:
        """Wait for its end: the exit code, negative for a signal, and the last lines it said."""
        _, status = os.waitpid(self.pid, 0)
        said = self._said.read_text(encoding="utf-8", errors="replace").splitlines()
        self._said.unlink()
        return os.waitstatus_to_exitcode(status), said

    def cpu_s_of_training(self, folder: Path) -> float:
        """Wait for its end; processor seconds since its provenance was written."""
        before, now = 0.0, 0.0
        while not self.has_ended:
            now = self.cpu_s()
            before = before if RunFolder(folder).provenance.exists() else now
            time.sleep(0.01)
        code, said = self.end()
        assert code == 0, said
        return now - before


def interrupt_once(recipe: Path, folder: Path, number: signal.Signals, after_s: float, *, all_processes: bool) -> dict:
    """Start, send the signal so much processor time after training has begun, and continue; what it said and left."""
    process = Forked(recipe, folder)
    while not process.has_ended and not RunFolder(folder).provenance.exists():
        time.sleep(0.01)
    began = 0.0 if process.has_ended else process.cpu_s()
    while not process.has_ended and process.cpu_s() - began < after_s:
        time.sleep(0.01)
    ended, sent = process.has_ended, time.perf_counter()
    if not ended:
        os.killpg(process.pid, number) if all_processes else os.kill(process.pid, number)
    code, said = process.end()
    while is_alive(process.pid):
        time.sleep(0.01)
    seconds = time.perf_counter() - sent
    ended = ended or RunFolder(folder).finished
    newest = max((path.name for path in RunFolder(folder).checkpoints.glob("step-*")), default=None)
    row = {
        "signal": number.name,
        "to_all_processes": all_processes,
        "after_s": round(after_s, 2),
        "ended_before": ended,
        "seconds": round(seconds, 2),
        "code": code,
        "said": said[-3:],
        "newest": newest,
    }
    if not ended:
        code, said = Forked(recipe, folder).end()
        assert code == 0, said
    return row


def is_alive(group: int) -> bool:
    """Tells whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def interrupts(arguments: argparse.Namespace) -> None:
    """Both signals, with and without loader processes; a table of what came of it."""
    rows: list[dict] = []
    generator = np.random.default_rng(arguments.seed)
    for workers in arguments.workers:
        recipe = shorter(prepare(arguments.folder), workers)
        whole = arguments.folder / f"whole-{workers}"
        shutil.rmtree(whole, ignore_errors=True)
        duration = Forked(recipe, whole).cpu_s_of_training(whole)
        for number in arguments.signals:
            for turn in range(arguments.runs):
                folder = arguments.folder / f"{number.name.lower()}-{workers}-{turn + 1:02d}"
                row: dict = {"ended_before": True}
                while row["ended_before"]:  # a signal that comes too late is none
                    shutil.rmtree(folder, ignore_errors=True)
                    after_s = float(generator.uniform(0.0, 0.9)) * duration
                    to_all = number is signal.SIGINT or turn % 2 == 0
                    row = {"workers": workers, **interrupt_once(recipe, folder, number, after_s, all_processes=to_all)}
                row |= compared(folder, whole)
                rows.append(row)
                shutil.rmtree(folder)
                print(json.dumps(row), flush=True)
    (arguments.folder / "interrupts.json").write_text(json.dumps(rows, indent=2) + "\n")
    for workers in arguments.workers:
        for number in arguments.signals:
            own = [row for row in rows if (row["workers"], row["signal"]) == (workers, number.name)]
            codes = sum(row["code"] == 128 + number for row in own)
            slowest = max(row["seconds"] for row in own)
            same = sum(row["same_weights"] and row["same_history"] for row in own)
            print(f"{number.name}, {workers} workers: {codes} of {len(own)} end with {128 + number}, the slowest after")
            print(f"  {slowest:.2f} s; {same} end with the same bits when continued")


def shorter(recipe: Path, workers: int) -> Path:
    """A seventh of the corpus, less augmentation, checkpoints at interrupts and behind epochs only."""
    sections = yaml.safe_load(recipe.read_text())
    manifest = Manifest.read(sections["data"]["manifest"])
    fewer = manifest.replace_utterances(manifest.utterances[::7])
    fewer.write(recipe.with_name("shorter.csv"))
    sections["data"]["manifest"] = str(recipe.with_name("shorter.csv"))
    sections["augmentation"] = {"mix": {"alpha": 0.4}, "noise": {"snr_db": [5, 20]}, "gain_db": 6.0}
    sections["train"] |= {"workers": workers, "epochs": 3, "checkpoint_minutes": 10.0, "batch_seconds": 10.0}
    path = recipe.with_name(f"shorter-{workers}.yaml")
    path.write_text(yaml.safe_dump(sections))
    return path


def compared(folder: Path, whole: Path) -> dict[str, bool]:
    """Compares the end of a continued run with that of one that went through."""
    found, expected = weights(folder), weights(whole)
    same = found.keys() == expected.keys() and all(
        found[name].tobytes() == expected[name].tobytes() for name in expected
    )
    return {"same_weights": same, "same_history": history(folder) == history(whole)}


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(RunFolder(folder).model / "model.safetensors")


def history(folder: Path) -> list[dict]:
    return [
        {key: value for key, value in row.items() if key != "seconds"} for row in read_rows(folder / "metrics.jsonl")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--interrupts", action="store_true")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--signals", type=signal.Signals.__getitem__, nargs="+", default=interruption.SIGNALS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.interrupts:
        interrupts(arguments)
        return
    recipe, generator = prepare(arguments.folder), np.random.default_rng(arguments.seed)
    whole = arguments.folder / "whole"
    began = time.perf_counter()
    subprocess.run(command(recipe, whole), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    duration = time.perf_counter() - began
    rows = []
    for number in range(arguments.runs):
        folder = arguments.folder / f"killed-{number + 1:02d}"
        row: dict = {"ended_before": True}
        while row["ended_before"]:  # a kill that comes too late is none
            shutil.rmtree(folder, ignore_errors=True)
            after_s = float(generator.uniform(0.2, 0.9)) * duration
            row = kill_once(recipe, folder, after_s, in_a_write=number % 2 == 1)
            duration *= 0.8 if row["ended_before"] else 1.0
        row |= compared(folder, whole)
        rows.append(row)
        print(json.dumps(row), flush=True)
    (arguments.folder / "kills.json").write_text(json.dumps(rows, indent=2) + "\n")
    inside = sum(bool(row["inside_a_write"]) for row in rows)
    same = sum(row["same_weights"] and row["same_history"] for row in rows)
    print(f"{same} of {len(rows)} end with the same bits; {inside} were killed inside a checkpoint write")


if __name__ == "__main__":
    main()
