"""Every recipe of the two challenges on the true WavLM Large: parameters, what is frozen, shapes; and a training step.

    python benchmarks/wavlm_large.py [NAME ...] [--no-step] [--step-of odyssey2024/baseline_categories]

Weights are random, in the published shape; nothing is downloaded. For each recipe: the encoder's parameters, those
around it, those that train by part, and the shapes of what comes out for three clips. Published are 315,453,120
parameters; the encoder leaves out the vector that masks frames in pre-training (1,024) and, where a recipe does without
it, the final norm (2,048). A text encoder is stood in for by one of RoBERTa-large's width, 1024; it is frozen and no
part of the model.

Then one optimiser step of the baseline as its recipe says, but in float32: 32 clips of up to 12 s, mean 5.7 s, in its
micro-batches, in a process of its own. AdamW's moments are there from the start, as in every step after the first. Its
peak memory must stay below 16 GB.
"""

import argparse
import csv
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from emotune.conditions.text import Text, TextVectors
from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe
from emotune.corpora import CORPORA, read_corpus
from emotune.data.dataset import collate
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.recipes import recipe_names
from emotune.runtime.listener import Listener
from emotune.training.build import Experiment, build_experiment
from emotune.training.fine_tune import trainer_of
from emotune.training.manifest import build_manifest
from emotune.training.parameters import count_parameters

PUBLISHED = 315_453_120
NOT_USED = 1024  # masked_spec_embed
FINAL_NORM = 2 * 1024  # weight and bias of encoder.layer_norm
MOST_GB = 16.0
LETTERS = "ASHUFDCN"
CLIPS = {"Train": 32, "Development": 16}


class RobertaWide:
    """A text encoder of RoBERTa-large's width, which says nothing."""

    dimension = 1024

    def __init__(self, name: str, *, revision: str | None = None, device: str | None = None) -> None:
        self.identity = {"name": name, "revision": "none"}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.full((len(texts), self.dimension), 0.1, dtype=np.float32)


class SaysNothing:
    """A speech recogniser, likewise."""

    def __init__(self, name: str, revision: str | None = None) -> None:
        self.identity = {"name": name, "revision": "none"}


class Teller(Listener):
    def say(self, message: str) -> None:
        print(message)


def write_manifest(folder: Path) -> Path:
    """Noise in MSP-Podcast's layout, with its lengths, every class, votes and transcripts."""
    generator = np.random.default_rng(0)
    for name in ("Audios", "Labels", "Transcripts"):
        (folder / name).mkdir()
    rows, ratings = [], []
    for split, clips in CLIPS.items():
        lengths_s = np.clip(2.75 + generator.gamma(1.6, 1.9, clips), 2.75, 12)
        lengths_s[:2] = 12.0  # the longest that training hears
        lengths_s[2:] *= (5.7 * clips - 24) / lengths_s[2:].sum()
        for number, length_s in enumerate(lengths_s):
            file, letter = f"MSP-PODCAST_{len(rows):04d}_0000.wav", LETTERS[number % len(LETTERS)]
            noise = generator.standard_normal(int(length_s * 16000)) * 0.1
            soundfile.write(folder / "Audios" / file, noise, 16000)
            values = generator.uniform(1, 7, 3).round(2)
            rows.append((file, letter, *values, f"{split}{number % 8}", ("Female", "Male")[number % 2], split))
            ratings += [(file, f"WORKER{w}", word, word, *values) for w, word in enumerate(("Angry", "Sad", "Happy"))]
            (folder / "Transcripts" / file).with_suffix(".txt").write_text("so they said\n")
    _write(folder / "Labels/labels_consensus.csv", "EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set", rows)
    columns = "Workers,EmoClass_Major,EmoClass_Second,EmoAct,EmoVal,EmoDom"
    _write(folder / "Labels/labels_detailed.csv", columns, ratings)
    manifest = read_corpus(CORPORA["msp_podcast"], folder)
    predicted = [dataclasses.replace(u, gender_predicted=u.gender, text_predicted=u.text) for u in manifest]
    manifest.replace_utterances(predicted).write(folder / "manifest.csv")
    return folder / "manifest.csv"


def _write(path: Path, columns: str, rows: list[tuple]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["FileName", *columns.split(",")], *rows])


def recipe_of(name: str, manifest: Path, *overrides: str) -> Recipe:
    shape = [f"model.backbone.config={json.dumps(LARGE_SHAPE)}", "model.backbone.checkpoint=null"]
    # the corpus is made of noise that has neither other nor no agreement
    data = ["data.corpus=null", f"data.manifest={manifest}", "data.root=null", "data.drop=[]"]
    return load_recipe(name, [*data, *shape, "train.precision=fp32", *overrides])


def row_of(name: str, experiment: Experiment) -> str:
    """A row of the table: what a recipe's model holds, trains and gives."""
    model, dataset = experiment.model.eval(), experiment.dataset
    encoder = sum(parameter.numel() for parameter in model.backbone.parameters())
    front_end = [p for module in model.backbone.front_end() for p in module.parameters()]
    not_used = NOT_USED if model.backbone.final_norm is not None else NOT_USED + FINAL_NORM
    assert encoder == PUBLISHED - not_used, f"{name}: {encoder:,} in the encoder"
    assert not any(parameter.requires_grad for parameter in front_end), f"{name}: the convolutions train"
    shortest = sorted(range(len(dataset.manifest)), key=lambda i: dataset.manifest.utterances[i].duration_s or 0)[:3]
    with torch.no_grad():
        output = model(collate([dataset[(0, index)] for index in shortest]))
    shapes = {"features": output.features, **output.heads}
    shown = ", ".join(f"{key} {tuple(value.shape)}" for key, value in shapes.items())
    counts = count_parameters(model)
    parts = ", ".join(f"{part} {count:,}" for part, count in counts["trainable_by_part"].items() if count)
    others = counts["parameters"] - encoder
    return f"| `{name}` | {encoder:,} | {others:,} | {counts['trainable']:,} | {parts} | {shown} |"


def step(name: str, manifest: Path) -> None:
    """One optimiser step as the recipe says; prints a JSON line."""
    recipe = recipe_of(name, manifest, "train.epochs=1")
    experiment = build_experiment(recipe, build_manifest(recipe))
    trainer = trainer_of(
        recipe,
        experiment,
        recipe.train,
        lambda model: {recipe.train.metric: 0.0},
        folder=manifest.parent / "checkpoints",
        listener=Teller(),
    )
    trainer.checkpoints.save = trainer.checkpoints.keep_best = lambda *_, **__: None  # the step, not the disk
    trainer.checkpoints.best = lambda _: experiment.model.state_dict()
    _fill_moments(trainer.optimiser)
    batches = [[round(trainer.batches.durations_s[index], 1) for _, index in batch] for batch in trainer.batches]
    began = time.perf_counter()
    try:
        trainer.train()
    finally:
        seconds = round(time.perf_counter() - began)
        peak_kb = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])  # of this process alone
        peak_gb = round(peak_kb * 1024 / 1e9, 2)
        print(json.dumps({"seconds": seconds, "peak_gb": peak_gb, "batches": batches}))


def _fill_moments(optimiser: torch.optim.Optimizer) -> None:
    """AdamW's moments, all zero, by a step that changes nothing."""
    rates = [group["lr"] for group in optimiser.param_groups]
    for group in optimiser.param_groups:
        group["lr"] = 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    optimiser.zero_grad()
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"] = rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", help="recipes; all of odyssey2024 and sernc2025 where none is given")
    parser.add_argument("--no-step", action="store_true")
    parser.add_argument("--step-of", default="odyssey2024/baseline_categories")
    parser.add_argument("--manifest", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.manifest is not None:
        step(given.step_of, given.manifest)
        return
    Text.__init__.__kwdefaults__.update(find=SaysNothing, encoder=RobertaWide)
    TextVectors.kept = TextVectors.__call__  # no cache of what is not said
    challenges = [name for name in recipe_names() if name.startswith(("odyssey2024/", "sernc2025/"))]
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_manifest(Path(folder))
        print(
            "| recipe | encoder | other parameters | trainable | by part | for three clips |\n|---|---|---|---|---|---|"
        )
        for name in given.names or challenges:
            recipe = recipe_of(name, manifest)
            print(row_of(name, build_experiment(recipe, build_manifest(recipe))), flush=True)
        if given.no_step:
            return
        command = [sys.executable, __file__, "--step-of", given.step_of, "--manifest", str(manifest)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    clips, heard_s = sum(map(len, found["batches"])), sum(map(sum, found["batches"]))
    print(
        f"\none step of `{given.step_of}`: {clips} clips of {heard_s:.0f} s in {len(found['batches'])} micro-batches,"
        f" {found['seconds']} s, peak memory {found['peak_gb']} GB (must be below {MOST_GB:g})"
    )
    if found["peak_gb"] >= MOST_GB:
        sys.exit("too much")


if __name__ == "__main__":
    main()
