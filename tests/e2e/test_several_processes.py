"""Training in two processes is training in one with the same optimiser steps."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from builders.models import WAVLM
from builders.processes import free_port, launched
from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.io.tables import read_rows
from emotune.models.store import load_model
from emotune.runtime.listener import Listener
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.predictions import Predictions
from emotune.training import development
from emotune.training.fine_tune import train_run
from emotune.training.loop import processes

pytestmark = pytest.mark.load


@pytest.fixture(scope="module")
def sections(tones, tmp_path_factory) -> dict:
    """A recipe with dropout, class weights, CCC, augmentation and unbalanced classes; its batches differ in size."""
    kept = [u for u in tones if not (u.split == "train" and u.utterance_id in ("u00", "u04", "u08"))]
    rows = [dataclasses.replace(u, dimensions={"arousal": 1 + 6 * (n % 7) / 6}) for n, u in enumerate(kept)]
    space = LabelSpace(tones.label_space.classes, {"arousal": Scale(1, 7)})
    manifest = tmp_path_factory.mktemp("two") / "m.csv"
    dataclasses.replace(tones, utterances=tuple(rows), label_space=space).write(manifest)
    noise = {"hidden_dropout": 0.1, "attention_dropout": 0.1}
    return sections_over(
        manifest,
        name="two",
        data={"dimensions": ["arousal"]},
        config=WAVLM | noise,
        model={"dropout": 0.1},
        augmentation={"gain_db": 6.0, "mix": {"alpha": 1.0}},
        loss={"cross_entropy": {"class_weights": "balanced", "smoothing": 0.1}, "ccc": {"weight": 0.5}},
        train={
            "epochs": 2,
            "batch_seconds": 2.0,
            "encoder_lr": 0.02,
            "head_lr": 0.02,
            "schedule": "constant_with_warmup",
            "warmup_share": 0.0,
            "checkpoint_minutes": 0,
        },
    )


class Impatient(Listener):
    """Interrupts after so many steps."""

    def __init__(self, last_step: int) -> None:
        self.last_step = last_step

    def step(self, done: int, total: int, figures) -> None:
        if done >= self.last_step:
            os._exit(9)  # as hard as a kill: nothing is written any more


def one_of(
    count: int, number: int, port: str, recipe: dict, folder: str, last_step: int | None, plain: bool = True
) -> None:
    """A process of a group, with plain gradient descent: Adam would blow up the rounding of gradients that are zero."""
    launched(count, number, port)
    if plain:
        torch.optim.AdamW = torch.optim.SGD  # pyright: ignore
    listener = Listener() if last_step is None or number > 0 else Impatient(last_step)
    train_run(Recipe.model_validate(recipe), Path(folder), listener=listener)
    if recipe["train"].get("fsdp"):
        processes.leave()


def train_together(count: int, recipe: dict, folder: Path, *, last_step: int | None = None, plain: bool = True) -> None:
    port = free_port()
    context = torch.multiprocessing.get_context("spawn")
    running = [
        context.Process(target=one_of, args=(count, number, port, recipe, str(folder), last_step, plain))
        for number in range(count)
    ]
    for process in running:
        process.start()
    running[0].join(timeout=300)
    for process in running[1:]:
        if last_step is not None:
            process.kill()
        process.join(timeout=60)
    if last_step is None:
        assert [process.exitcode for process in running] == [0] * count


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder / "model").model.state_dict()


def assert_same_run(found: Path, expected: Path, *, atol: float) -> None:
    first, second = weights(found), weights(expected)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(
            tensor, second[name], rtol=0, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )
    for row, other in zip(read_rows(found / "metrics.jsonl"), read_rows(expected / "metrics.jsonl"), strict=True):
        for name in row.keys() - {"seconds"}:
            assert row[name] == pytest.approx(other[name], abs=1e-4), name


@pytest.fixture(scope="module")
def alone(sections, tmp_path_factory) -> Path:
    """One process that accumulates two batches a step."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    recipe = sections | {"train": sections["train"] | {"accumulate": 2}}
    train_together(1, recipe, folder)
    return folder


def test_two_processes_train_as_one_that_accumulates_twice_as_much(sections, alone, tmp_path):
    train_together(2, sections, tmp_path / "run")
    assert_same_run(tmp_path / "run", alone, atol=1e-5)
    assert json.loads((tmp_path / "run" / "provenance.json").read_text())["processes"] == 2


def test_two_processes_that_were_killed_go_on_with_the_same_batches(sections, alone, tmp_path):
    steps = read_rows(alone / "metrics.jsonl")[0]["step"]
    assert steps > 2
    train_together(2, sections, tmp_path / "run", last_step=steps + 2)  # in the middle of the second epoch
    assert json.loads((tmp_path / "run" / "provenance.json").read_text())["finished"] is None
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*"))
    assert kept == [f"step-{steps:08d}", f"step-{steps + 1:08d}"], "the newest, and the one before it"
    train_together(2, sections, tmp_path / "run")
    assert_same_run(tmp_path / "run", alone, atol=1e-5)


def test_sharded_over_two_processes_it_is_the_same_training(sections, alone, tmp_path):
    sharded = sections | {"train": sections["train"] | {"fsdp": True}}
    train_together(2, sharded, tmp_path / "run")
    assert_same_run(tmp_path / "run", alone, atol=1e-5)


def test_a_sharded_run_that_was_killed_goes_on_with_its_optimiser(sections, alone, tmp_path):
    """Killed in the second epoch, in which layers train that did not in the first."""
    train = sections["train"] | {"fsdp": True, "encoder_lr": 1e-3, "unfreeze": {"start_epoch": 1}}
    sharded = sections | {"train": train}
    steps = read_rows(alone / "metrics.jsonl")[0]["step"]
    train_together(2, sharded, tmp_path / "whole", plain=False)
    train_together(2, sharded, tmp_path / "killed", plain=False, last_step=steps + 2)
    train_together(2, sharded, tmp_path / "killed", plain=False)
    assert_same_run(tmp_path / "killed", tmp_path / "whole", atol=0)


def test_every_development_utterance_is_scored_once(sections, tmp_path, monkeypatch):
    """What the processes predict, put together, is the split; scored from parts it is scored as a whole."""
    seen = []
    scores = development.scores

    def watched(manifest, predictions: Predictions):
        seen.append([row.utterance_id for row in predictions])
        return scores(manifest, predictions)

    monkeypatch.setattr(development, "scores", watched)
    train_run(Recipe.model_validate(sections | {"train": sections["train"] | {"epochs": 1}}), tmp_path / "run")
    (whole,) = seen
    monkeypatch.setattr(processes, "count", lambda: 3)
    shares = []
    for number in range(3):
        monkeypatch.setattr(processes, "number", lambda number=number: number)
        shares += processes.own_part(whole)
    assert sorted(shares) == sorted(whole)
    assert len(set(whole)) == len(whole) == 8


def test_what_is_shared_out_comes_back_in_its_order(monkeypatch):
    items, answers = list(range(8)), []
    monkeypatch.setattr(processes, "count", lambda: 3)
    for number in range(3):
        monkeypatch.setattr(processes, "number", lambda number=number: number)
        answers.append([10 * item for item in processes.own_part(items)])
    monkeypatch.setattr(processes, "from_all", lambda own: answers)
    assert processes.shared_out(items, lambda own: [10 * item for item in own]) == [10 * item for item in items]


@pytest.mark.parametrize("fsdp", [False, True])
def test_torchrun_starts_it_and_one_process_talks(sections, tmp_path, fsdp):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(sections | {"train": sections["train"] | {"epochs": 1, "fsdp": fsdp}}))
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", free_port()]
    ended = subprocess.run(
        [sys.executable, *launcher, "-m", "emotune", "train", str(recipe), "-o", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("epoch 1:") == 1
    assert ended.stdout.count("report:") == 1
    assert (tmp_path / "run" / "development" / "report.html").exists()
    assert Predictions.read(tmp_path / "run" / "development" / "predictions.csv").failed == ()
