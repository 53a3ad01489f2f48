"""Prints what a command costs before it does anything, against its budget: processor seconds of fresh processes.

    python tools/cold_start.py [--turns 3]

Information only: nothing here fails, since a busy machine takes longer. `make test-load` holds the budgets.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

HELP_S = 0.35
BEYOND_TORCH_S = 0.5
MODEL = """
import sys
from pathlib import Path
import numpy, soundfile
import emotune
from emotune.audio.preprocessing import Preprocessing
from emotune.models.backbones import BACKBONES
from emotune.models.emotion_model import EmotionModel
from emotune.models.store import save_model
shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
         "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
model = EmotionModel(BACKBONES["wavlm"].from_config(shape), emotune.LabelSpace(("anger", "neutral")))
save_model(Path(sys.argv[1]) / "model", model, Preprocessing("none", min_samples=400))
soundfile.write(Path(sys.argv[1]) / "one.wav", 0.1 * numpy.random.default_rng(0).standard_normal(16000), 16000)
"""


def processor_seconds(*arguments: str, cwd: str) -> float:
    """Spent by a fresh Python, and what it starts, until it has ended."""
    before = os.times()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, check=True, capture_output=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def budgets(folder: str, turns: int) -> list[tuple[str, float, float]]:
    """What was run, its least processor seconds over the turns, and its budget."""
    subprocess.run([sys.executable, "-c", MODEL, folder], check=True)
    programs = {
        "import torch": ["-c", "import torch"],
        "emotune --help": ["-m", "emotune", "--help"],
        "emotune predict MODEL one.wav": ["-m", "emotune", "predict", "model", "one.wav"],
    }
    spent = {name: [0.0] * turns for name in programs}
    for turn in range(turns):  # in turn: a busy moment meets all
        for name, arguments in programs.items():
            spent[name][turn] = processor_seconds(*arguments, cwd=folder)
    torch_s, help_s, predict_s = (min(seconds) for seconds in spent.values())
    return [
        ("emotune --help", help_s, HELP_S),
        ("emotune predict MODEL one.wav, with torch", predict_s, torch_s + BEYOND_TORCH_S),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds, budget in budgets(folder, arguments.turns):
            verdict = "within" if seconds <= budget else "ABOVE"
            print(f"{name}: {seconds:.2f} s of processor time, {verdict} {budget:.2f}", flush=True)


if __name__ == "__main__":
    main()
