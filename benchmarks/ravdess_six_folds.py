"""Frozen against fine-tuned in five ways, on RAVDESS in six folds of four actors: pooled UAR and paired differences.

    python benchmarks/ravdess_six_folds.py RAVDESS WHISPER_TINY_EN RUNS [--jobs 2] [--systems fine_tuned lora ...]

Each fold is tested once; the next one chooses epoch, layer, mix, pooling and regularisation; the other sixteen actors
train. Every run is an `emotune` command on one thread; finished runs are kept, so the work can be interrupted. Writes
RUNS/six_folds.json and RUNS/six_folds.png.
"""

import argparse
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from emotune.evaluation.statistics.bootstrap import ClusterBootstrap, Estimate, cluster_codes
from emotune.metrics.classes import confusion_matrices, uar_of
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions, align

ACTORS = [f"{actor:02d}" for actor in range(1, 25)]
FOLDS = [ACTORS[start : start + 4] for start in range(0, 24, 4)]
RECIPE = "ravdess/whisper_tiny"
SHORTER = ["train.epochs=10"]
PROBED = ["model.backbone.layers=null", "model.layer_mix_initial=null"]
NO_SUM = ["model.layer_mix_initial=null", "train.mix_lr=1.0e-3"]
LORA = "{name: lora, rank: 16, alpha: 16.0, targets: [q_proj, k_proj, v_proj, out_proj, fc1, fc2]}"
SYSTEMS: dict[str, tuple[str, list[str]]] = {  # name -> (command, overrides of the recipe)
    "probe_mean": ("probe", [*PROBED, "probe.pooling=mean"]),
    "probe_mean_std": ("probe", [*PROBED, "probe.pooling=mean_std"]),
    "frozen_mix": ("train", [*SHORTER, "model.backbone.train=none"]),
    "fine_tuned": ("train", []),
    "fine_tuned_10_epochs": ("train", SHORTER),
    "lora": ("train", [*SHORTER, f"model.adapter={LORA}"]),
    "attentive_merging": (
        "train",
        [*SHORTER, *NO_SUM, "model.layer_mix=attentive_merging", "train.unfreeze={start_epoch: 3}"],
    ),
    "varan": ("train", [*SHORTER, *NO_SUM, "model.layer_mix=varan", "model.varan={prior: uniform}"]),
}
CHOSEN_BY = FOLDS[4]  # actors 17-20: the recipe's settings were chosen on them
FROZEN = ("probe_mean", "probe_mean_std", "frozen_mix")


def splits_of(fold: int) -> dict[str, dict[str, list[str]]]:
    test, development = FOLDS[fold], FOLDS[(fold + 1) % len(FOLDS)]
    train = [actor for actor in ACTORS if actor not in test + development]
    return {"train": {"speaker": train}, "development": {"speaker": development}, "test": {"speaker": test}}


def run(system: str, fold: int, corpus: Path, checkpoint: Path, runs: Path) -> None:
    folder = runs / f"{system}-fold{fold + 1}"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def emotune(*arguments: str) -> None:
        with (runs / f"{folder.name}.log").open("a") as log:
            subprocess.run(["emotune", *arguments], check=True, env=environment, stdout=log, stderr=log)

    command, overrides = SYSTEMS[system]
    common = [
        f"data.root={corpus}",
        f"model.backbone.checkpoint={checkpoint}",
        f"data.splits={json.dumps(splits_of(fold))}",
    ]
    if not (folder / "development" / "report.json").exists():
        emotune(command, RECIPE, *common, *overrides, "-o", str(folder))
    if not (folder / "test" / "report.json").exists():
        emotune("evaluate", str(folder), "--split", "test")
    print(f"{folder.name} done", flush=True)


def development_uar(run_folder: Path) -> float:
    return json.loads((run_folder / "development" / "report.json").read_text())["overall"]["uar"]["value"]


def system_folders(runs: Path) -> dict[str, list[Path]]:
    """One run folder a fold for each system that is complete; the best frozen one is chosen on development actors."""
    folds = range(1, len(FOLDS) + 1)
    found = {
        name: [runs / f"{name}-fold{fold}" for fold in folds]
        for name in SYSTEMS
        if all((runs / f"{name}-fold{fold}" / "test" / "report.json").exists() for fold in folds)
    }
    frozen = [name for name in FROZEN if name in found]
    if len(frozen) < len(FROZEN):
        raise SystemExit(f"Scored once all of {', '.join(FROZEN)} are there: the others are compared with the best.")
    best = [max((found[name][fold] for name in frozen), key=development_uar) for fold in range(len(FOLDS))]
    found = {"frozen_best": best} | {name: folders for name, folders in found.items() if name not in FROZEN}
    return found


def confusions(folders: list[Path]) -> np.ndarray:
    """One confusion matrix an actor over the pooled test predictions, shape (actors, classes, classes)."""
    truth, prediction, speakers = [], [], []
    for folder in folders:
        manifest = Manifest.read(folder / "manifest.csv").split("test")
        classes = list(manifest.label_space.classes)
        rows = align(Predictions.read(folder / "test" / "predictions.csv"), [u.utterance_id for u in manifest])
        truth += [classes.index(u.emotion) for u in manifest]
        prediction += [classes.index(row.emotion) for row in rows]
        speakers += [u.speaker for u in manifest]
    codes = cluster_codes(speakers)
    count = int(codes.max()) + 1
    return confusion_matrices(truth, prediction, classes=len(classes), groups=codes, group_count=count)


def score(runs: Path) -> None:
    """Pooled UAR of each system, and its difference from the best frozen one over the same resamples of actors."""
    found = system_folders(runs)
    matrices = {name: confusions(folders) for name, folders in found.items()}
    stacked = np.stack(list(matrices.values()), axis=1)  # (actors, systems, classes, classes)
    bootstrap = ClusterBootstrap(stacked, resamples=10_000, seed=0)
    scores = bootstrap.estimates(uar_of)
    never_chosen = np.array([actor not in CHOSEN_BY for actor in ACTORS])
    rest = ClusterBootstrap(stacked[never_chosen], resamples=10_000, seed=0)
    rest_scores = rest.estimates(uar_of)
    differences, rest_differences = (sample.estimates(beyond_the_first) for sample in (bootstrap, rest))
    result = {
        name: {
            "development_uar": float(np.mean([development_uar(folder) for folder in found[name]])),
            "uar": scores[number].to_json(),
            "difference": differences[number].to_json(),
            "without_actors_17_20": {
                "uar": rest_scores[number].to_json(),
                "difference": rest_differences[number].to_json(),
            },
            "folds": [float(uar_of(confusions([folder]).sum(axis=0))) for folder in found[name]],
            "chosen": [folder.name for folder in found[name]],
        }
        for number, name in enumerate(found)
    }
    (runs / "six_folds.json").write_text(json.dumps(result, indent=2) + "\n")
    for name, row in result.items():
        rest = row["without_actors_17_20"]
        print(f"{name:20} {text(row['uar'])}  minus frozen {text(row['difference'])}  without 17-20", end=" ")
        print(f"{rest['uar']['value']:.3f}, {text(rest['difference'])}  development {row['development_uar']:.3f}")
    draw(dict(zip(found, scores, strict=True)), dict(zip(found, differences, strict=True)), runs / "six_folds.png")


def beyond_the_first(sums: np.ndarray) -> np.ndarray:
    scores = uar_of(sums)
    return scores - scores[..., :1]


def text(estimate: dict[str, float]) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def draw(scores: dict[str, Estimate], differences: dict[str, Estimate], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
    names = list(scores)[::-1]
    for axis, estimates, title in (
        (axes[0], scores, "pooled UAR"),
        (axes[1], differences, "difference from the best frozen one"),
    ):
        for height, name in enumerate(names):
            estimate = estimates[name]
            axis.plot([estimate.low, estimate.high], [height, height], color="tab:blue")
            axis.plot(estimate.value, height, "o", color="tab:blue")
        axis.set_title(title, fontsize=10)
        axis.grid(axis="x", alpha=0.3)
    axes[1].axvline(0, color="grey", linewidth=1)
    axes[0].set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    figure.suptitle("RAVDESS, 8 classes, 6 folds of 4 actors, Whisper tiny.en encoder; 95 % over actors", fontsize=10)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = [
            pool.submit(run, system, fold, arguments.corpus, arguments.checkpoint, arguments.runs)
            for system in arguments.systems
            for fold in range(len(FOLDS))
        ]
        for job in jobs:
            job.result()
    score(arguments.runs)


if __name__ == "__main__":
    main()
