"""Vesper: memory of the published recipe's step, cost of an epoch, and the study of what pre-training adds.

    python benchmarks/vesper.py step
    python benchmarks/vesper.py epoch --ravdess FOLDER --emodb FOLDER --encoder FOLDER
    python benchmarks/vesper.py study --ravdess FOLDER --emodb FOLDER --encoder FOLDER [--plan] [KEY=VALUE ...]

``step`` takes one micro-batch of pretraining/vesper4 over WavLM Large in its published shape with random weights:
states of the whole encoder, forward, backward, and AdamW whose moments are there from the start. Its peak must stay
below 12 GB. ``epoch`` and ``study`` hear RAVDESS and EmoDB without their labels, by Whisper tiny.en's encoder.
``study --plan`` says what would run and how long that takes, from a few steps on this machine; the study itself is
`emotune study pretraining/vesper`, and goes on where it was interrupted.
"""

import argparse
import contextlib
import json
import math
import resource
import tempfile
import time
from pathlib import Path

import torch

from emotune.batch import Batch
from emotune.config.recipe import Recipe
from emotune.corpora import CORPORA, read_corpus
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.runtime.listener import Listener
from emotune.schema.manifest import Manifest
from emotune.studies.load import load_study
from emotune.studies.plan import Plan
from emotune.studies.run import run
from emotune.training.build import build_experiment
from emotune.training.fine_tune import trainer_of
from emotune.training.loop.trainer import Trainer
from emotune.training.manifest import build_manifest
from emotune.training.pretraining.run import build_pretraining, pretrain_run, pretraining_trainer
from emotune.training.vesper.data import LARGE_STARTS, SMALL_STARTS
from emotune.training.vesper.spans import LARGE, SMALL
from emotune.training.vesper.student import VesperStudent, with_copied_layers
from emotune.training.vesper.task import VesperTask

LIMIT_GB = 12
TRIED_STEPS = 3


def peak_gb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)


def step(clips: int, seconds: float) -> dict[str, float | int]:
    """One micro-batch of the published recipe, of clips with as many hidden spans as there may be."""
    torch.manual_seed(0)
    began = time.perf_counter()
    whole = BACKBONES["wavlm"].from_config({**LARGE_SHAPE, "num_hidden_layers": 24})
    student = VesperStudent(with_copied_layers(whole, 4)).train()
    task = VesperTask(whole, kept_gb=0.0)
    frames = int(whole.frame_count(torch.tensor(round(16000 * seconds))))
    starts = {
        SMALL_STARTS: torch.linspace(0, frames - SMALL, 20).round().repeat(clips, 1),
        LARGE_STARTS: torch.linspace(0, frames - LARGE, 4).round().repeat(clips, 1),
    }
    waveforms = torch.randn(clips, round(16000 * seconds))
    batch = Batch(waveforms, torch.ones_like(waveforms, dtype=torch.bool), starts)
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=5e-4, fused=True)
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    built = time.perf_counter()
    heard = task.heard(student, batch)
    taught = time.perf_counter()
    losses = task.mean_losses(student(heard), heard, task.normalisers(batch))
    torch.stack(list(losses.values())).sum().backward()
    optimiser.step()
    return {
        "whole": sum(parameter.numel() for parameter in whole.parameters()),
        "student": sum(parameter.numel() for parameter in student.backbone.parameters()) + student.hidden_frame.numel(),
        "trainable": sum(parameter.numel() for parameter in trained),
        "audio_s": clips * seconds,
        **{f"loss_{name}": round(float(loss.detach()), 3) for name, loss in losses.items()},
        "build_s": round(built - began, 1),
        "teacher_s": round(taught - built, 1),
        "student_s": round(time.perf_counter() - taught, 1),
        "peak_gb": peak_gb(),
    }


def study_of(options: argparse.Namespace, manifest: Path) -> Plan:
    """The bundled study over RAVDESS, with EmoDB's recordings beside those that are heard without labels."""
    overrides = [
        f"data.manifest={manifest}",
        f"steps.taught.data.unlabelled=[{options.emodb.resolve()}]",
        *(
            f"steps.{name}.model.backbone.checkpoint={options.encoder.resolve()}"
            for name in ("taught", "whole_frozen", "whole_fine_tuned")
        ),
        f"seeds={options.seeds}",
        *options.overrides,
    ]
    return load_study("pretraining/vesper", overrides)


def ravdess(options: argparse.Namespace) -> Path:
    """RAVDESS's manifest, read once into the folder of results."""
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "ravdess.csv"
    if not path.exists():
        read_corpus(CORPORA["ravdess"], options.ravdess).write(path)
    return path


class EnoughError(Exception):
    """A few steps are done."""


class Stops(Listener):
    """Ends training after a few steps, and keeps when each ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def step(self, done: int, total: int, figures: object) -> None:
        self.ends.append(time.perf_counter())
        if done > TRIED_STEPS:
            raise EnoughError


def minutes_of(recipe: Recipe) -> float:
    """How long a run's steps would take, from a few of them: the first one pays for what is done once."""
    stops = Stops()
    with tempfile.TemporaryDirectory() as folder:
        if recipe.pretrains:
            parts, data = build_pretraining(recipe)
            section = recipe.train.model_copy(update={"metric": parts.metric})
            trainer: Trainer = pretraining_trainer(recipe, parts, data, section, folder=Path(folder), listener=stops)
        else:
            experiment = build_experiment(recipe, build_manifest(recipe))
            none = {recipe.train.metric: 0.0}
            trainer = trainer_of(
                recipe, experiment, recipe.train, lambda model: none, folder=Path(folder), listener=stops
            )
        with contextlib.suppress(EnoughError):
            trainer.train(None)
        a_step = (stops.ends[-1] - stops.ends[0]) / max(1, len(stops.ends) - 1)
        # what a frozen encoder says of a clip is kept: after the first epoch there is hardly any work
        steps = trainer.steps_an_epoch if recipe.model.backbone.train == "none" else trainer.steps
        return a_step * steps / 60


def epoch(options: argparse.Namespace) -> dict[str, object]:
    """Two epochs of pre-training on both corpora; in the second the whole encoder's states are known."""
    plan = study_of(options, ravdess(options))
    recipe = plan.recipe("taught", 0, {}, options.folder)
    recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"epochs": 2})})
    folder = options.folder / "epoch"
    made = pretrain_run(recipe, folder)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").open(encoding="utf-8")]
    heard = Manifest.read(folder / "manifest.csv")
    return {
        "recordings": len(heard),
        "hours": round(sum(utterance.duration_s or 0.0 for utterance in heard) / 3600, 2),
        "parameters": made.parameters,
        "seconds_an_epoch": [row["seconds"] for row in rows],
        "train_loss": [round(row["train_loss"], 3) for row in rows],
        "explained": [round(row["development_explained"], 3) for row in rows],
        "peak_gb": peak_gb(),
    }


def study(options: argparse.Namespace) -> dict[str, object]:
    """What would run with an estimate, or the study itself."""
    plan = study_of(options, ravdess(options))
    if options.plan:
        minutes = {
            item.name: round(minutes_of(plan.recipe(item.name, 0, {}, options.folder)), 1)
            for item in plan.study.steps
            if "{run:" not in repr(item.changes)
        }
        like = {"copied_frozen": "random_frozen", "taught_frozen": "random_frozen"}
        like |= {
            name.replace("frozen", "fine_tuned"): one.replace("frozen", "fine_tuned") for name, one in like.items()
        }
        minutes |= {name: minutes[one] for name, one in like.items()}
        seeds = len(plan.study.seeds)
        return {
            "runs": seeds * len(plan.study.steps),
            "minutes_a_run": minutes,
            "hours_without_scoring": round(seeds * math.fsum(minutes.values()) / 60, 2),
        }
    result = run(plan, options.folder / "study", resamples=2000)
    return {"page": str(options.folder / "study" / "study.html"), "missing": list(result.missing)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["step", "epoch", "study"])
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--ravdess", type=Path)
    parser.add_argument("--emodb", type=Path)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("runs/vesper"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--plan", action="store_true")
    options, options.overrides = parser.parse_known_args()
    if options.what != "step" and None in (options.ravdess, options.emodb, options.encoder):
        parser.error("--ravdess, --emodb and --encoder are needed")
    if options.what == "step":
        found: dict[str, object] = dict(step(options.clips, options.seconds))
        print(json.dumps(found))
        if peak_gb() > LIMIT_GB:
            raise SystemExit(f"the peak lies above {LIMIT_GB} GB")
        return
    print(json.dumps(epoch(options) if options.what == "epoch" else study(options), indent=1))


if __name__ == "__main__":
    main()
