"""A reader's folder: recordings of real people, a table of labels, under the names that the documentation has."""

import csv
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile

SPEAKERS = tuple(f"{number:02}" for number in range(1, 17))
EMOTIONS = ("anger", "happiness", "neutral", "sadness")
CALLERS = ("21", "22")


def write_desk(folder: Path, shared: Path) -> None:
    """Writes recordings, ``calls.csv`` and ``path/to/ravdess`` into a folder.

    All of it is of RAVDESS. ``call.wav`` has two channels, an actor on each, who speak in turn for half a minute;
    ``clip.wav`` is one sentence.
    """
    corpus = shared / "data" / "ravdess"
    with (corpus / "labels.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["repetition"] == "1" and row["text"].startswith("Dogs")]
    for name in ("clips", "recordings", "path/to", "bin"):
        (folder / name).mkdir(parents=True)
    chosen = [row for row in rows if row["speaker"] in SPEAKERS and row["emotion"] in EMOTIONS]
    with (folder / "calls.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("file", "emotion", "speaker", "gender"))
        for row in chosen:
            name = f"clips/{Path(row['file']).name}"
            (folder / name).symlink_to(corpus / row["file"])
            table.writerow((name, row["emotion"], row["speaker"], row["gender"]))
    for row in [row for row in rows if row["speaker"] == CALLERS[0]][:4]:
        shutil.copyfile(corpus / row["file"], folder / "recordings" / Path(row["file"]).name)
    (folder / "path" / "to" / "ravdess").symlink_to(corpus / "audio")
    (folder / "path" / "to" / "whisper-tiny").symlink_to(shared / "models" / "whisper-tiny.en-encoder")
    shutil.copyfile(corpus / chosen[0]["file"], folder / "clip.wav")
    soundfile.write(folder / "call.wav", _call([row for row in rows if row["speaker"] in CALLERS], corpus), 16000)
    modules = {"emotune": "emotune", "torchrun": "torch.distributed.run"}
    programs = {"python": sys.executable} | {name: f"{sys.executable} -m {module}" for name, module in modules.items()}
    if curl := shutil.which("curl"):
        fails = 'case " $* " in *" --fail "*) ;; *) echo --fail-with-body ;; esac'  # curl takes one of the two
        programs["curl"] = f"{curl} $({fails})"  # an answer that is an error ends the page
    for name, program in programs.items():
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        (folder / "bin" / name).chmod(0o755)


def _call(rows: list[dict[str, str]], corpus: Path) -> np.ndarray:
    """Samples of a call, shape (samples, channels)."""
    parts = []
    for number, row in enumerate(sorted(rows, key=lambda row: (row["file"][-6:-5], row["file"]))[::4][:6]):
        sound, rate = soundfile.read(corpus / row["file"], dtype="float32")
        assert rate == 16000
        both = np.zeros((len(sound) + rate // 2, 2), dtype="float32")
        both[: len(sound), number % 2] = sound
        parts.append(both)
    return np.concatenate(parts)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Variables of a shell at this desk: no network, no cache but its own, and a home of its own."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    home = folder / "home"
    own = {"PATH": path, "HOME": str(home), "HF_HOME": str(home / "huggingface"), "HF_HUB_OFFLINE": "1"}
    own |= {"OMP_NUM_THREADS": "1", **more}
    return {**os.environ, **own}
