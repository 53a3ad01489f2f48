"""Semi-supervised learning: sure answers to clips as they are become labels of the clips as they were changed."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from builders.models import DEPTHWISE
from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.data.dataset import collate
from emotune.errors import ConfigError, CorpusError
from emotune.models.store import load_model
from emotune.runtime.listener import Listener
from emotune.training.build import build_experiment
from emotune.training.fine_tune import describe, train_run
from emotune.training.manifest import build_manifest
from emotune.training.probe import baseline_run, probe_run
from emotune.training.semi_supervised import NONE, PSEUDO, SemiSupervisedTask, threshold_of


@pytest.fixture
def recipe(tones):
    """Builds a recipe with labels for half of the training clips; keyword arguments are options of the task."""

    def build(train: dict | None = None, budget: float | None = 0.5, **options) -> Recipe:
        backbone = {"name": "depthwise", "config": DEPTHWISE, "train_front_end": True}
        train = {"epochs": 3, "batch_seconds": 3.0, "encoder_lr": 1e-3} | (train or {})
        sections = {"backbone": backbone, "model": {"dropout": 0.3}, "train": train, "data": {"budget": budget}}
        sections |= {"task": {"name": "semi_supervised", **options}, "augmentation": {"gain_db": 6, "noise": {}}}
        return Recipe.model_validate(sections_over(tones.root / "manifest.csv", **sections))

    return build


def experiment_of(recipe: Recipe):
    return build_experiment(recipe, build_manifest(recipe))


def test_clips_beyond_the_budget_are_heard_without_their_label(recipe, tones):
    kept, lost = ({u.utterance_id: u for u in build_manifest(recipe(budget=share))} for share in (1.0, 0.5))
    assert kept.keys() == lost.keys() == {u.utterance_id for u in tones}
    labelled = [u for u in lost.values() if u.split == "train" and u.emotion is not None]
    assert 0 < len(labelled) < len(tones.split("train"))
    assert all(u.emotion for u in lost.values() if u.split != "train")
    assert not any(u.dimensions or u.votes for u in lost.values() if u.emotion is None)


def test_sure_answers_to_the_clips_as_they_are_become_labels_of_those_without_one(recipe):
    found = experiment_of(recipe(threshold=0.5))
    batch = collate([found.dataset[0, index] for index in range(len(found.train))])
    known = ~torch.isnan(batch.targets["classes"]).any(dim=1)
    assert 0 < int(known.sum()) < len(known)
    assert not torch.equal(batch.waveforms, batch.unchanged.waveforms)
    model = found.model.train()
    with torch.no_grad():
        answers = model.eval()(batch.unchanged).heads["classes"].softmax(dim=1)
        model.train()
    found.task.threshold.fill_(float(answers[~known].max(dim=1).values.median()))
    heard = found.task.heard(model, batch)
    assert model.training and heard.waveforms is batch.waveforms
    sure = ~known & (answers.max(dim=1).values >= found.task.threshold - 1e-6)
    labels = heard.targets[PSEUDO]
    assert 0 < int(sure.sum()) < int((~known).sum())
    assert torch.equal(~torch.isnan(labels).any(dim=1), sure)
    assert torch.equal(labels[sure].argmax(dim=1), answers[sure].argmax(dim=1))
    output = model.eval()(heard)
    losses = found.task.mean_losses(output, heard, found.task.normalisers(heard))
    expected = F.cross_entropy(output.heads["classes"][sure], labels[sure].argmax(dim=1), reduction="sum")
    assert losses[PSEUDO].item() == pytest.approx(expected.item() / int((~known).sum()), rel=1e-5)


def test_no_clip_gets_a_label_before_development_has_said_how_sure_is_sure(recipe):
    found = experiment_of(recipe())
    batch = collate([found.dataset[0, index] for index in range(8)])
    assert float(found.task.threshold) == NONE
    assert bool(torch.isnan(found.task.heard(found.model, batch).targets[PSEUDO]).all())


def test_without_weight_the_labels_alone_are_learnt_over_the_same_clips(recipe):
    found, other = experiment_of(recipe(threshold=1e-6, weight=0)), experiment_of(recipe(threshold=1e-6))
    assert len(found.train) == len(other.train)
    batch = collate([found.dataset[0, index] for index in range(len(found.train))])
    heard, labelled = found.task.heard(found.model, batch), other.task.heard(other.model, batch)
    assert bool(torch.isnan(heard.targets[PSEUDO]).all()) and not bool(torch.isnan(labelled.targets[PSEUDO]).all())
    output = found.model.eval()(heard)
    losses = found.task.mean_losses(output, heard, found.task.normalisers(heard))
    more = other.task.mean_losses(output, labelled, other.task.normalisers(labelled))
    assert losses[PSEUDO] == 0 and more[PSEUDO] > 0
    assert losses.keys() > {PSEUDO}
    assert all(torch.equal(losses[name], more[name]) for name in losses if name != PSEUDO)


def test_the_threshold_is_the_lowest_that_is_right_often_enough():
    generator = np.random.default_rng(0)
    sure = generator.choice(np.linspace(0.3, 1.0, 30), 200)
    is_right = generator.random(200) < sure
    for precision in (0.6, 0.75, 0.9):
        good = [t for t in np.unique(sure) if (sure >= t).sum() >= 5 and is_right[sure >= t].mean() >= precision]
        assert threshold_of(sure, is_right, precision=precision) == (min(good) if good else NONE)
    assert threshold_of(np.array([0.9] * 4), np.ones(4, dtype=bool), precision=0.5) == NONE
    assert threshold_of(np.zeros(0), np.zeros(0, dtype=bool), precision=0.5) == NONE


class Interrupted(Listener):
    """Interrupts in the second epoch, and remembers the rows."""

    def __init__(self, last_step: float = 1e9) -> None:
        self.last_step, self.rows = last_step, []

    def step(self, done, total, figures) -> None:
        if done == self.last_step:
            raise KeyboardInterrupt

    def epoch(self, rows) -> None:
        self.rows = list(rows)


@pytest.mark.load
def test_an_interrupted_run_goes_on_to_the_bit_with_the_threshold_of_its_last_epoch(recipe, tmp_path, monkeypatch):
    original, labelled = SemiSupervisedTask._labels, []
    monkeypatch.setattr(SemiSupervisedTask, "_labels", lambda *given: labelled.append(original(*given)) or labelled[-1])
    low = {"precision": 0.2}
    whole = Interrupted()
    train_run(recipe(**low), tmp_path / "whole", listener=whole)
    assert any(not torch.isnan(own).all() for own in labelled)
    steps = whole.rows[0]["step"]
    assert whole.rows[0]["development_sure_threshold"] < NONE
    often = recipe({"checkpoint_minutes": 0}, **low)
    with pytest.raises(KeyboardInterrupt):
        train_run(often, tmp_path / "parts", listener=Interrupted(steps + 2))
    train_run(often, tmp_path / "parts")
    first, second = (load_model(tmp_path / name / "model").model.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_what_cannot_be_learnt_so_is_refused(recipe, tones, tmp_path):
    for work in (experiment_of, describe, lambda own: train_run(own, tmp_path / "run")):
        with pytest.raises(CorpusError, match=r"all have one\. Set data\.budget"):
            work(recipe(budget=None))
    with pytest.raises(ConfigError, match="leave task: semi_supervised out"):
        probe_run(recipe(), tmp_path / "probe")
    with pytest.raises(ConfigError, match="The baseline learns from labels alone: leave task: semi_supervised out"):
        baseline_run(recipe(), tmp_path / "baseline")
    sections = recipe().model_dump(mode="json")
    with pytest.raises(ValueError, match="mixes labels"):
        Recipe.model_validate(sections | {"augmentation": {"mix": {}}})
    with pytest.raises(ValueError, match="Unknown task 'distilation', did you mean 'distillation'"):
        Recipe.model_validate(sections | {"task": {"name": "distilation"}})
    with pytest.raises(ValueError, match="development hears the averaged model"):
        recipe({"average": 0.9})
    recipe({"average": 0.9}, threshold=0.95)
    recipe({"average": 0.9}, weight=0)
