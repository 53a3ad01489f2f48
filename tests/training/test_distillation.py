"""Distillation: what the teacher says of training clips alone is learnt, exactly, and goes on to the bit."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from builders.lessons import prepared_experiment
from builders.models import DEPTHWISE, save_tiny_model
from builders.recipes import sections_over
from emotune.batch import Batch, Output
from emotune.config.lessons import DistillationOptions
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.inference.loading import load
from emotune.losses.combined import CombinedLoss
from emotune.models.store import load_model
from emotune.runtime.listener import Listener
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.training.distillation import CLASSES, DIMENSIONS, EMBEDDING, DistillationTask
from emotune.training.fine_tune import describe, train_run
from emotune.training.loop.parallel import Replicated
from emotune.training.loop.step import Piece, StepGradients
from emotune.training.teacher import Teacher, mean_answers


@pytest.fixture
def voices(tones, tmp_path) -> Manifest:
    """The tones with an arousal that follows the class; it lies in ``tmp_path`` as a table."""
    arousal = {"anger": 6.0, "neutral": 2.0}
    valued = [dataclasses.replace(u, dimensions={"arousal": arousal[str(u.emotion)]}) for u in tones]
    space = LabelSpace(tones.label_space.classes, {"arousal": Scale(1, 7)})
    manifest = dataclasses.replace(tones, utterances=tuple(valued), label_space=space)
    manifest.write(tmp_path / "voices.csv")
    return manifest


@pytest.fixture
def recipe(voices, tiny_model, tmp_path):
    """Builds a recipe that distils the tiny model; keyword arguments are options of the task."""

    def build(train: dict | None = None, data: dict | None = None, manifest=None, **options) -> Recipe:
        task = {"name": "distillation", "teacher": str(tiny_model), "cache": str(tmp_path / "answers")} | options
        data = {"dimensions": ["arousal"]} | (data or {})
        backbone = {"name": "depthwise", "config": DEPTHWISE, "train_front_end": True}
        train = {"epochs": 2, "batch_seconds": 3.0, "encoder_lr": 1e-3} | (train or {})
        manifest = manifest or tmp_path / "voices.csv"
        sections = {"backbone": backbone, "model": {"dropout": 0.3}, "train": train, "data": data, "task": task}
        return Recipe.model_validate(sections_over(manifest, **sections))

    return build


def task_of(**weights: float) -> DistillationTask:
    names = {"soft": CLASSES, "dimensions": DIMENSIONS, "embedding": EMBEDDING}
    return DistillationTask(
        CombinedLoss({}), temperature=2.0, weights={names[name]: weight for name, weight in weights.items()}
    )


def batch_of(**targets: torch.Tensor) -> Batch:
    clips = len(next(iter(targets.values())))
    return Batch(torch.zeros(clips, 4), torch.ones(clips, 4, dtype=torch.bool), targets)


def test_the_loss_is_that_of_hinton_over_the_clips_that_the_teacher_answers():
    logits, teacher = torch.randn(5, 3), torch.randn(5, 3).softmax(dim=1)
    teacher[1] = math.nan
    task, batch = task_of(soft=0.7), batch_of(**{CLASSES: teacher})
    found = task.mean_losses(Output({"classes": logits}, logits), batch, task.normalisers(batch))[CLASSES]
    known = [0, 2, 3, 4]
    expected = F.kl_div(F.log_softmax(logits[known] / 2, dim=1), teacher[known], reduction="batchmean")
    assert float(found) == pytest.approx(0.7 * 4 * float(expected), rel=1e-5)
    same = task.mean_losses(
        Output({"classes": 2 * teacher.log().nan_to_num()}, logits), batch, task.normalisers(batch)
    )[CLASSES]
    assert float(same) == pytest.approx(0, abs=1e-6)


def test_the_loss_of_dimensions_is_their_mean_squared_difference():
    said, teacher = torch.rand(4, 2), torch.rand(4, 2)
    task, batch = task_of(dimensions=1.0), batch_of(**{DIMENSIONS: teacher})
    found = task.mean_losses(Output({"dimensions": said}, said), batch, task.normalisers(batch))[DIMENSIONS]
    torch.testing.assert_close(found, F.mse_loss(said, teacher))


def test_an_embedding_of_any_size_that_holds_the_same_clips_alike_costs_nothing():
    teacher, turn = torch.randn(6, 4), torch.linalg.qr(torch.randn(7, 7))[0][:4]
    whole = task_of(embedding=1.0).whole_losses[EMBEDDING]
    assert float(whole.loss(3 * teacher @ turn + 5, teacher)) == pytest.approx(0, abs=1e-6)
    student = torch.randn(6, 3)
    centred = [(own - own.mean(0)).numpy() for own in (student, teacher)]
    cosines = [
        [[F.cosine_similarity(torch.tensor(a), torch.tensor(b), dim=0) for a in own] for b in own] for own in centred
    ]
    squares = [(cosines[0][i][j] - cosines[1][i][j]) ** 2 for i in range(6) for j in range(6) if i != j]
    assert float(whole.loss(student, teacher)) == pytest.approx(float(np.mean(squares)), rel=1e-4)
    assert float(whole.loss(student[:1], teacher[:1])) == 0


def test_the_gradient_is_that_of_the_whole_step_however_it_is_cut(recipe):
    found = prepared_experiment(recipe(embedding=0.5, labels=0.3))
    from emotune.data.dataset import collate

    batch = collate([found.dataset[0, index] for index in range(8)])
    found.model.eval()
    gradients = []
    for cuts in ([slice(0, 8)], [slice(0, 3), slice(3, 8)]):
        found.model.zero_grad()
        step = StepGradients(Replicated(found.model), found.task, recipe().train, print)
        trained = [parameter for parameter in found.model.parameters() if parameter.requires_grad]
        step.add([Piece("0", batch.rows(cut)) for cut in cuts], trained)
        gradients.append([parameter.grad.clone() for parameter in trained if parameter.grad is not None])
    assert len(gradients[0]) > 10
    for one, cut in zip(*gradients, strict=True):
        torch.testing.assert_close(one, cut, rtol=1e-3, atol=1e-6)


def test_a_model_taught_by_several_hears_their_weighted_mean_and_silence_on_classes_it_lacks(tmp_path):
    spaces = [LabelSpace(("anger", "fear", "neutral")), LabelSpace(("neutral", "anger", "fear"))]
    teachers = [
        Teacher(str(save_tiny_model(tmp_path / str(n), space)), cache=tmp_path) for n, space in enumerate(spaces)
    ]
    answers = [np.array([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1]]), np.array([[0.1, 0.6, 0.3], [0.2, 0.1, 0.7]])]
    shares = dict(zip(teachers, [0.75, 0.25], strict=True))
    found = mean_answers(shares, LabelSpace(("neutral", "anger")), [own.astype(np.float32) for own in answers])
    first = np.array([0.75 * 0.3 + 0.25 * 0.1, 0.75 * 0.5 + 0.25 * 0.6])
    np.testing.assert_allclose(found[0], first / first.sum(), rtol=1e-5)
    assert np.isnan(found[1]).all()
    assert DistillationOptions(teacher={"a": 3, "b": 1}).teachers == {"a": 0.75, "b": 0.25}


def test_the_truth_is_what_the_teacher_says_softened_and_a_second_time_it_is_not_asked(recipe, tiny_model, monkeypatch):
    found = prepared_experiment(recipe(embedding=1.0))
    first = found.train.utterances[0]
    row = load(tiny_model).predict_manifest(found.train.replace_utterances([first])).rows[0]
    roots = np.sqrt(list(row.probabilities.values()))
    truth = found.dataset[0, 0].truth
    np.testing.assert_allclose(truth[CLASSES], roots / roots.sum(), rtol=1e-4)
    np.testing.assert_allclose(truth[DIMENSIONS], [Scale(1, 7).to_unit(row.dimensions["arousal"])], rtol=1e-4)
    assert len(truth[EMBEDDING]) == 32
    monkeypatch.setattr("emotune.inference.predictor.Predictor.predict_manifest", None)
    monkeypatch.setattr("emotune.training.teacher.embedded", None)
    assert prepared_experiment(recipe(embedding=1.0)).dataset[0, 0].truth == truth


@pytest.mark.load
def test_no_label_is_read_and_no_clip_but_those_for_training_is_heard_by_the_teacher(recipe, voices, tmp_path, opened):
    opened.clear()
    prepared_experiment(recipe())
    assert set(opened) == {Path(utterance.file).name for utterance in voices.split("train")}
    stripped = voices.replace_utterances(
        [dataclasses.replace(u, emotion=None, dimensions={}) if u.split == "train" else u for u in voices]
    )
    stripped.write(tmp_path / "stripped.csv")
    plain, without = (
        train_run(recipe(manifest=manifest), tmp_path / name) and weights(tmp_path / name)
        for name, manifest in (("plain", None), ("without", tmp_path / "stripped.csv"))
    )
    assert all(torch.equal(tensor, without[name]) for name, tensor in plain.items())


class Interrupted(Listener):
    def step(self, done, total, figures) -> None:
        if done == 3:
            raise KeyboardInterrupt


def weights(run) -> dict[str, torch.Tensor]:
    return load_model(run / "model").model.state_dict()


@pytest.mark.load
def test_an_interrupted_run_goes_on_to_the_bit_and_tells_of_its_teacher(recipe, tmp_path):
    options = {"embedding": 0.5, "labels": 0.5}
    train_run(recipe(**options), tmp_path / "whole")
    often = recipe({"checkpoint_minutes": 0}, **options)
    with pytest.raises(KeyboardInterrupt):
        train_run(often, tmp_path / "parts", listener=Interrupted())
    train_run(often, tmp_path / "parts")
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    card = (tmp_path / "whole" / "model" / "README.md").read_text()
    assert "This model was taught by model, and which speakers that heard is not known here" in card
    assert "of model, which taught it: unknown" in card
    (teacher,) = json.loads((tmp_path / "whole" / "provenance.json").read_text())["teachers"]
    assert teacher["share"] == 1.0 and len(teacher["fingerprint"]) == 64


def test_without_labels_the_prior_is_the_mean_of_the_teachers_answers(recipe, tmp_path):
    found = prepared_experiment(recipe())
    prior = found.lesson.prior
    assert list(prior) == ["anger", "neutral"]
    assert sum(prior.values()) == pytest.approx(1)
    assert prepared_experiment(recipe(labels=1.0)).lesson.prior is None


def test_a_dry_run_asks_the_teacher_nothing(recipe, monkeypatch):
    monkeypatch.setattr("emotune.training.teacher.Teacher.answers", None)
    assert describe(recipe())["parameters"] > 0


def test_what_a_teacher_cannot_teach_is_refused_by_name(recipe, tmp_path):
    other = save_tiny_model(tmp_path / "other", LabelSpace(("anger", "happiness")))
    with pytest.raises(ConfigError, match=r"knows anger, happiness, and not neutral.*data\.drop"):
        prepared_experiment(recipe(teacher=str(other)))
    with pytest.raises(ConfigError, match=r"knows no dimensions, and not arousal"):
        prepared_experiment(recipe(teacher=str(other), soft=0))
    with pytest.raises(ValueError, match="the teacher teaches nothing"):
        recipe(soft=0, dimensions=0)
    with pytest.raises(ValueError, match="two tasks"):
        recipe({"adversarial": {}})
    with pytest.raises(ValueError, match="draws classes"):
        recipe({"sampling": "balanced"})


def test_each_fold_of_a_protocol_has_its_own_teacher(tmp_path):
    (tmp_path / "a" / "fold1").mkdir(parents=True)
    own = DistillationOptions(teacher=str(tmp_path / "a")).of_fold("fold1")
    assert own.teacher == str(tmp_path / "a" / "fold1")
    both = DistillationOptions(teacher={str(tmp_path / "a"): 1, "mini": 2}).of_fold("fold1")
    assert both.teacher == {str(tmp_path / "a" / "fold1"): 1, "mini": 2}
