"""Options of the challenges' recipes on small data: four arms with equal budgets, folds, several corpora in one model.

    python benchmarks/small_data.py RAVDESS EMODB4 NEMO WHISPER_BASE WHISPER_TINY_EN RUNS [--plan] [--only sweep folds]

``sweep``: as many trials of each arm on one development split of RAVDESS, frozen encoders whose states are kept in
memory, bad trials ended early; each arm's best trained anew with fresh seeds. ``folds``: the arms that did better there
than the first, on the six folds of RAVDESS and five of EmoDB-4, paired and corrected. ``corpora``: RAVDESS, EmoDB-4 and
nEMO in one model against each alone, within and across, and each corpus left out. The plan with its estimate is printed
first, from two short runs; ``--plan`` ends there. What is finished is kept, so the work can be interrupted.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import yaml

from emotune.config.reading import load_recipe
from emotune.training.fine_tune import train_run

ACTORS = {"train": range(1, 17), "development": range(17, 21), "test": range(21, 25)}
SPLITS = {name: {"speaker": [f"{number:02}" for number in numbers]} for name, numbers in ACTORS.items()}
FOLDS = {"ravdess": 6, "emodb": 5}
PARTS = ("sweep", "folds", "corpora")


def emotune(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "emotune", *map(str, arguments)], check=True)


def manifests(options: argparse.Namespace) -> None:
    """The corpora alone and joined, where they are not there yet."""
    runs = options.runs
    runs.mkdir(parents=True, exist_ok=True)
    steps = {
        "ravdess.csv": ("corpus", "read", "ravdess", options.ravdess),
        "emodb-read.csv": ("corpus", "read", "emodb", options.emodb, "--licence", "CC BY 4.0"),
        "emodb.csv": ("corpus", "split", runs / "emodb-read.csv", "--folds", FOLDS["emodb"]),
        "nemo.csv": ("corpus", "read", "table", options.nemo / "labels.csv", "--licence", "CC BY-NC-SA 4.0"),
        "read.csv": ("corpus", "join", runs / "ravdess.csv", runs / "emodb-read.csv", f"nemo={runs / 'nemo.csv'}"),
        "joined.csv": ("corpus", "split", runs / "read.csv"),
    }
    for name, step in steps.items():
        if not (runs / name).exists():
            emotune(*step, "-o", runs / name)


def base(options: argparse.Namespace, manifest: str) -> dict[str, object]:
    """Changes of the recipe ravdess/frozen that all share."""
    return {
        "protocol": None,
        "data.corpus": None,
        "data.root": None,
        "data.manifest": str((options.runs / manifest).resolve()),
        "data.cache": str((options.runs / "cache").resolve()),
        "model.backbone.checkpoint": str(options.base.resolve()),
        "train.epochs": options.epochs,
        "train.calibrate": False,
    }


def arms(options: argparse.Namespace) -> dict[str, dict]:
    """Each arm with its changes and what is searched in it alone."""
    tiny = {"name": "whisper", "checkpoint": str(options.tiny.resolve()), "layers": 3, "train": "none"}
    mix = {"alpha": 0.4, "probability": 0.5, "at": "states"}
    return {
        "frozen": {},
        "mixed": {
            "set": {"augmentation.mix_states": mix},
            "space": {
                "augmentation.mix_states.alpha": {"low": 0.1, "high": 2.0},
                "augmentation.mix_states.at": ["states", "features"],
            },
        },
        "covariance": {
            "set": {"model.pooling": {"name": "covariance", "size": 32}},
            "space": {"model.pooling.size": [16, 32, 64]},
        },
        "two_streams": {
            "set": {"model.second": {"backbone": tiny, "layer_mix": "last", "size": 256}},
            "space": {"model.second.size": [64, 256]},
        },
    }


def space(options: argparse.Namespace) -> dict:
    """The sweep's file."""
    return {
        "name": "small-data",
        "description": "Options of the challenges' recipes on RAVDESS, frozen Whisper encoders, equal budgets.",
        "recipe": "ravdess/frozen",
        "set": {**base(options, "ravdess.csv"), "data.splits": SPLITS},
        "arms": arms(options),
        "space": {
            "train.head_lr": {"low": 2.0e-4, "high": 5.0e-3, "log": True},
            "train.weight_decay": {"low": 1.0e-3, "high": 1.0e-1, "log": True},
            "model.hidden_size": [64, 128, 256],
            "model.dropout": {"low": 0.2, "high": 0.7},
        },
        "trials": options.trials,
        "seeds": 3,
        "tests": ["test"],
    }


def overrides(changes: dict[str, object]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in changes.items()]


def seconds_of(options: argparse.Namespace) -> tuple[float, float]:
    """Seconds to encode the clips of a split of RAVDESS once, and of an epoch of the costliest arm after that."""
    kept = options.runs / "timed.json"
    if not kept.exists():
        found = []
        for epochs in (1, 3):
            changes = {**base(options, "ravdess.csv"), "data.splits": SPLITS, "train.epochs": epochs}
            changes |= arms(options)["two_streams"]["set"]
            recipe = load_recipe("ravdess/frozen", overrides(changes))
            began = time.perf_counter()
            train_run(recipe, options.runs / f"timed-{epochs}-{time.time_ns()}")
            found.append(time.perf_counter() - began)
        epoch = max(0.1, (found[1] - 0.2 * found[0]) / 3)
        kept.write_text(json.dumps({"first": found[0], "second": found[1], "epoch": epoch}))
    timed = json.loads(kept.read_text())
    return timed["first"] - timed["epoch"], timed["epoch"]


def plan(options: argparse.Namespace) -> None:
    """Prints what will be run and how long it takes at most, by the costliest arm."""
    encoding, epoch = seconds_of(options)
    trial = options.epochs * epoch
    count = len(arms(options))
    rows = {
        "sweep": (
            f"{count} arms x {options.trials} trials + 3 fresh seeds",
            encoding + count * (options.trials + 3) * trial,
        ),
        "folds": (
            f"at most {count} arms x 3 seeds x {FOLDS['ravdess']} + {FOLDS['emodb']} folds",
            2 * encoding + count * 3 * (FOLDS["ravdess"] + 0.3 * FOLDS["emodb"]) * trial,
        ),
        "corpora": (
            "5 steps x 3 seeds, and 2 steps x 3 seeds x 3 corpora left out",
            3 * encoding + (5 * 3 + 2 * 3 * 3) * trial,
        ),
    }
    print(f"encoding once {encoding:.0f} s, an epoch of the costliest arm {epoch:.2f} s, a trial {trial:.0f} s")
    for name in options.only:
        what, seconds = rows[name]
        print(f"{name}: {what}: at most {seconds / 60:.0f} min")
    print(f"together at most {sum(rows[name][1] for name in options.only) / 60:.0f} min", flush=True)


def sweep(options: argparse.Namespace) -> None:
    file = options.runs / "space.yaml"
    file.write_text(yaml.safe_dump(space(options), sort_keys=False), encoding="utf-8")
    emotune("sweep", file, "-o", options.runs / "sweep")


def chosen(options: argparse.Namespace) -> dict[str, dict]:
    """The changes of the first arm, and of each that did better than it with fresh seeds."""
    told = json.loads((options.runs / "sweep" / "sweep.json").read_text(encoding="utf-8"))
    own = {arm["name"]: arm for arm in told["arms"]}
    first = own["frozen"]
    better = [name for name, arm in own.items() if arm["fresh_mean"] > first["fresh_mean"]]
    print(f"better than frozen with fresh seeds on development: {', '.join(better) or 'none'}", flush=True)
    return {
        name: {**arms(options)[name].get("set", {}), **own[name]["best"]["parameters"]} for name in ("frozen", *better)
    }


def study(options: argparse.Namespace, name: str, steps: dict[str, dict], shared: dict, **sections: object) -> None:
    """Writes a study and runs it: each step against the first."""
    first = next(iter(steps))
    listed = [
        {"name": step, "recipe": "ravdess/frozen", "set": changes, **({} if step == first else {"against": first})}
        for step, changes in steps.items()
    ]
    content = {"name": name, "seeds": [1, 2, 3], "set": shared, "steps": listed, **sections}
    file = options.runs / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    emotune("study", file, "-o", options.runs / name)


def folds(options: argparse.Namespace) -> None:
    for corpus, protocol in (("ravdess", "ravdess/6_folds"), ("emodb", "folds")):
        study(
            options,
            f"folds-{corpus}",
            chosen(options),
            {**base(options, f"{corpus}.csv"), "protocol": protocol},
            description="The arms that did better than frozen on one development split, on folds.",
        )


def corpora(options: argparse.Namespace) -> None:
    """Joint training against each corpus alone, then each corpus left out."""
    shared = base(options, "joined.csv")
    evenly = {"train.sampling": {"by": "corpus", "power": 0.5}}
    reversed_ = {**evenly, "train.gradient_reversal": {"by": "corpus", "weight": 0.1}}

    def alone(corpus: str) -> dict:
        own = {split: {"corpus": [corpus], "split": [split]} for split in ("train", "development")}
        return {"data.splits": {**own, "test": {"split": ["test"]}}}

    steps = {"joint": evenly, "joint_reversed": reversed_}
    each = {f"{corpus}_alone": alone(corpus) for corpus in ("ravdess", "emodb", "nemo")}
    study(options, "joint", {**steps, **each}, shared, description="One model of three corpora against one of each.")
    study(
        options,
        "left-out",
        steps,
        {**shared, "protocol": "leave_one_corpus_out"},
        description="Each corpus tested by models that heard the two others.",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("ravdess", "emodb", "nemo", "base", "tiny", "runs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    manifests(given)
    plan(given)
    for part in () if given.plan else given.only:
        {"sweep": sweep, "folds": folds, "corpora": corpora}[part](given)
