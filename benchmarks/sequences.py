"""Sequences by a whole Whisper: tasks alone and together, and emotion beside full fine-tuning and our encoder head.

    python benchmarks/sequences.py commands RUNS --base WHISPER --ravdess RAVDESS [--commands 600]
    python benchmarks/sequences.py folds RUNS --base WHISPER --ravdess RAVDESS [--folds 1 2] [--epochs 10]

WHISPER is the folder of a whole Whisper tiny.en, RAVDESS that of the recordings. ``commands`` lets espeak-ng read a
corpus of commands and trains emotion, words, phonemes, intent and slots, each alone and all together, with adapters:
figures on the test split, with the share that trains. ``folds`` trains an adapter, the whole encoder-decoder, and a
fine-tuned encoder with a head (``ravdess/whisper_tiny``) on six folds of four actors: pooled UAR, and differences from
the encoder with a head over the same resamples of actors. Every run is an `emotune` command on one thread, which goes
on where it was interrupted; finished runs are kept.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from emotune.config.reading import recipe_content
from emotune.evaluation.statistics.bootstrap import ClusterBootstrap, cluster_codes
from emotune.metrics.classes import confusion_matrices, uar_of
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions, align

ACTORS = [f"{actor:02d}" for actor in range(1, 25)]
FOLDS = [ACTORS[start : start + 4] for start in range(0, 24, 4)]
TASKS = ("emotion", "recognition", "phonemes", "intent", "slots")
FULL = ["model.trains=all", "tasks.emotion.adapter.size=0", "train.encoder_lr=5.0e-5"]


def emotune(*arguments: object) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "emotune", *map(str, arguments)], check=True, env=environment)


def train_and_test(folder: Path, recipe: str, *overrides: str) -> None:
    """A run and its scores on the test split, unless they are there."""
    if not (folder / "development" / "report.json").exists():
        emotune("train", recipe, *overrides, "-o", folder)
    if not (folder / "test" / "report.json").exists():
        emotune("evaluate", folder, "--split", "test")


def manifests(options: argparse.Namespace) -> tuple[Path, Path]:
    """The manifests of the commands and of RAVDESS, made where they are missing."""
    commands, ravdess = options.runs / "commands.csv", options.runs / "ravdess.csv"
    options.runs.mkdir(parents=True, exist_ok=True)
    if options.what == "commands" and not commands.exists():
        maker = Path(__file__).parents[1] / "examples" / "commands" / "make.py"
        made = options.runs / "commands"
        subprocess.run([sys.executable, maker, made, "--commands", str(options.commands)], check=True)
        emotune("corpus", "read", "table", made / "labels.csv", "--unlabelled", "-o", commands)
    if not ravdess.exists():
        emotune("corpus", "read", "ravdess", options.ravdess, "-o", ravdess)
    return commands, ravdess


def run_commands(options: argparse.Namespace) -> None:
    commands, ravdess = manifests(options)
    recipe = "sequences/whisper_tiny"
    common = [f"manifest={commands}", f"model.base={options.base.absolute()}", f"train.epochs={options.epochs}"]
    emotion = f"tasks.emotion.manifest={ravdess}"
    train_and_test(options.runs / "together", recipe, *common, emotion)
    for name in TASKS:
        own = [emotion] if name == "emotion" else []
        train_and_test(options.runs / name, str(alone(recipe, name, options.runs)), *common, *own)
    print("| task | figure | alone | together | trains |\n|---|---|---|---|---|")
    for name in TASKS:
        reports = [
            json.loads((options.runs / run / "test" / "report.json").read_text())["tasks"][name]
            for run in (name, "together")
        ]
        told = json.loads((options.runs / name / "provenance.json").read_text())
        for figure in [key for key, value in reports[0].items() if isinstance(value, dict)]:
            cells = [f"{r[figure]['value']:.3f} [{r[figure]['low']:.3f}, {r[figure]['high']:.3f}]" for r in reports]
            print(f"| {name} | {figure} | {cells[0]} | {cells[1]} | {told['trainable_share']:.2%} |")


def alone(recipe: str, name: str, runs: Path) -> Path:
    """File of a recipe with one task of the whole one."""
    content = recipe_content(recipe)
    content["name"], content["tasks"] = f"sequences/{name}", {name: content["tasks"][name]}
    path = runs / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def run_folds(options: argparse.Namespace) -> None:
    _, ravdess = manifests(options)
    for fold in options.folds:
        test, development = FOLDS[fold - 1], FOLDS[fold % len(FOLDS)]
        train = [actor for actor in ACTORS if actor not in test + development]
        splits = json.dumps(
            {"train": {"speaker": train}, "development": {"speaker": development}, "test": {"speaker": test}}
        )
        common = [
            *(f"manifest={ravdess}", f"model.base={options.base.absolute()}", f"tasks.emotion.splits={splits}"),
            f"train.epochs={options.epochs}",
        ]
        began = time.perf_counter()
        train_and_test(options.runs / f"adapter-{fold}", "sequences/emotion", *common)
        train_and_test(options.runs / f"full-{fold}", "sequences/emotion", *common, *FULL)
        head = [f"data.root={options.ravdess}", f"data.splits={splits}", f"model.backbone.checkpoint={options.encoder}"]
        train_and_test(options.runs / f"head-{fold}", "ravdess/whisper_tiny", *head)
        print(f"fold {fold}: {time.perf_counter() - began:.0f} s", flush=True)
    systems = ("head", "adapter", "full")
    matrices = np.stack([confusions(options.runs, system, options.folds, ravdess) for system in systems], axis=1)
    bootstrap = ClusterBootstrap(matrices, resamples=10_000, seed=0)
    scores = bootstrap.estimates(uar_of)
    differences = bootstrap.estimates(lambda sums: uar_of(sums) - uar_of(sums)[..., :1])
    for system, score, difference in zip(systems, scores, differences, strict=True):
        told = json.loads((options.runs / f"{system}-{options.folds[0]}" / "provenance.json").read_text())
        share = told["trainable"] / told["parameters"]
        print(f"{system:8} UAR {score.in_words()}  minus head {difference.in_words('+')}  trains {share:.1%}")


def confusions(runs: Path, system: str, folds: list[int], ravdess: Path) -> np.ndarray:
    """One confusion matrix an actor over the pooled test predictions, shape (actors, classes, classes)."""
    whole, truth, prediction, speakers = Manifest.read(ravdess), [], [], []
    classes = list(whole.label_space.classes)
    for fold in folds:
        own = whole.filter(lambda utterance, test=FOLDS[fold - 1]: utterance.speaker in test)
        table = runs / f"{system}-{fold}" / "test" / ("predictions.csv" if system == "head" else "emotion.csv")
        rows = align(Predictions.read(table), [u.utterance_id for u in own])
        truth += [classes.index(u.emotion) for u in own]
        prediction += [classes.index(row.emotion) for row in rows]
        speakers += [u.speaker for u in own]
    codes = cluster_codes(speakers)
    return confusion_matrices(truth, prediction, classes=len(classes), groups=codes, group_count=int(codes.max()) + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["commands", "folds"])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--base", type=Path, required=True, help="a whole Whisper tiny.en")
    parser.add_argument("--ravdess", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, help="the same encoder by itself, for the head; default the base")
    parser.add_argument("--commands", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(1, 7)))
    options = parser.parse_args()
    options.encoder = options.encoder or options.base
    (run_commands if options.what == "commands" else run_folds)(options)


if __name__ == "__main__":
    main()
