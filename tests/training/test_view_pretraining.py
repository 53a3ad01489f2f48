"""Multi-view pre-training on tones: what is heard, what a step's loss is, what is kept, and what goes on from it."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from builders.processes import launched, run_together
from builders.recipes import sections_over
from emotune.batch import Batch
from emotune.config.recipe import Recipe
from emotune.data.dataset import collate
from emotune.errors import ConfigError, CorpusError, ModelError
from emotune.inference import load
from emotune.io.tables import read_rows, to_json
from emotune.models.store import load_model
from emotune.runtime.listener import Listener
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.training.build import build_experiment
from emotune.training.fine_tune import train_run
from emotune.training.loop import processes
from emotune.training.manifest import build_manifest
from emotune.training.pretraining import run
from emotune.training.pretraining.run import (
    _parameter_groups,
    build_pretraining,
    describe_pretraining,
    pretrain_run,
    pretraining_trainer,
)
from emotune.training.views.score import alignment, retrieval, uniformity

TRAIN = {"epochs": 2, "batch_seconds": 3.0, "head_lr": 3e-3, "warmup_share": 0.0}


HELD_OUT = "emotune.training.pretraining.run._HELD_OUT"


@pytest.fixture
def recipe(tones, tmp_path, monkeypatch):
    """Builds a recipe of pre-training over the tones, of which a quarter chooses the epoch."""
    monkeypatch.setattr(HELD_OUT, 0.25)

    def build(manifest: Manifest = tones, *, train: dict | None = None, **sections) -> Recipe:
        manifest.write(tmp_path / "m.csv")
        task = {"name": "views", "mel": {"features": 8, "bins": 20}, "descriptors": {"features": 8}, "width": 8}
        task |= {"cache": str(tmp_path / "measured"), **sections.pop("task", {})}
        content = sections_over(tmp_path / "m.csv", backbone={"train": "none"}, train=TRAIN | (train or {}), **sections)
        content["model"]["pooling"] = "mean_std"
        return Recipe.model_validate({**content, "task": task})

    return build


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder / "model").model.state_dict()


def test_the_models_view_is_standardized_before_it_is_projected_and_its_mix_has_a_rate_of_its_own(recipe):
    parts, data = build_pretraining(recipe(train={"mix_lr": 0.25}))
    view = parts.model.eval()
    assert parts.prepare is not None
    parts.prepare(view)
    batch = collate([parts.dataset[0, index] for index in range(len(data.learnt))])
    with torch.no_grad():
        features = view.standardize(view.model.pooled(batch.waveforms, batch.mask))
    assert features.mean(dim=0).abs().max() < 1e-3
    spread = features.std(dim=0, correction=0)
    assert (spread - 1)[spread > 0.5].abs().max() < 1e-2
    groups = _parameter_groups(view, encoder=parts.encoder, train=recipe(train={"mix_lr": 0.25}).train)
    (mix,) = [group for group in groups if group["lr"] == 0.25]
    assert {id(one) for one in mix["params"]} == {id(one) for one in view.model.layer_mix.parameters()}


@pytest.mark.load
def test_no_development_or_test_clip_is_opened(recipe, tones, tmp_path, opened):
    pretrain_run(recipe(), tmp_path / "run")
    of_split = {Path(u.file).name: u.split for u in tones}
    assert opened
    assert {of_split[name] for name in opened} == {"train"}
    heard = Manifest.read(tmp_path / "run" / "manifest.csv")
    assert {u.utterance_id for u in heard} == {u.utterance_id for u in tones if u.split == "train"}
    assert heard.label_space == LabelSpace(())


@pytest.mark.load
def test_without_labels_the_weights_are_the_same_to_the_bit(recipe, tones, tmp_path):
    blank = [dataclasses.replace(u, emotion=None, dimensions={}, votes={}) for u in tones]
    bare = dataclasses.replace(tones, utterances=tuple(blank), label_space=LabelSpace(()))
    for name, manifest in (("with", tones), ("without", bare)):
        pretrain_run(recipe(manifest), tmp_path / name)
    one, other = weights(tmp_path / "with"), weights(tmp_path / "without")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def gradients(model, trainer, batches: list[Batch]) -> tuple[float, dict[str, torch.Tensor]]:
    from emotune.training.loop.step import Piece

    for parameter in model.parameters():
        parameter.grad = None
    pieces = [Piece(str(number), batch) for number, batch in enumerate(batches)]
    loss = trainer.gradients.add(pieces, trainer.trained)
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return loss, found


@pytest.mark.parametrize("options", [{}, {"hardness": 0.5, "same_speaker": "leave_out"}])
def test_the_loss_of_accumulated_batches_is_that_of_all_clips_at_once(recipe, tmp_path, options):
    """Nothing is random in these models, so that cutting is all that differs."""
    chosen = recipe(task={"descriptors": {"features": 8, "dropout": 0.0}, **options})
    work, data = build_pretraining(chosen)
    trainer = pretraining_trainer(chosen, work, data, chosen.train, folder=tmp_path, listener=Listener())
    work.model.train()
    rows = [(0, row) for row in range(len(work.dataset))]
    from emotune.data.dataset import collate

    cut = [collate([work.dataset[key] for key in part]) for part in (rows[:2], rows[2:5], rows[5:])]
    whole = collate([work.dataset[key] for key in rows])
    loss, expected = gradients(work.model, trainer, [whole])
    assert 0.3 * math.log(len(rows)) < loss < 3 * math.log(len(rows))
    found_loss, found = gradients(work.model, trainer, cut)
    assert found_loss == pytest.approx(loss, rel=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-5, msg=name)


def test_the_figures_are_those_of_their_papers_on_vectors_that_are_known():
    corners = torch.eye(4)
    assert retrieval(corners, corners) == 1.0
    assert retrieval(corners, corners.roll(1, dims=0)) == 0.0
    assert retrieval(torch.ones(4, 2), torch.ones(4, 2)) == 0.0, "equal ones find nobody"
    views = torch.stack([corners, corners], dim=1)
    assert alignment(views) == 0.0
    assert alignment(torch.stack([corners, -corners], dim=1)) == pytest.approx(4.0)
    assert uniformity(views) == pytest.approx(-4.0), "every two corners are at the squared distance 2"
    assert math.isnan(uniformity(views[:1]))


@pytest.fixture
def start(recipe, tmp_path):
    """A pre-trained run."""
    pretrain_run(recipe(train={"epochs": 1}), tmp_path / "start")
    return tmp_path / "start"


@pytest.mark.load
def test_a_model_without_heads_is_not_exported(start, tmp_path):
    pytest.importorskip("onnxscript")
    from emotune.export.export_model import export_model

    with pytest.raises(ModelError, match=r"without heads.*model\.start"):
        export_model(start, tmp_path / "exported")


@pytest.mark.load
def test_a_recipe_goes_on_from_the_pre_trained_model_which_by_itself_predicts_nothing(start, tones, tmp_path):
    with pytest.raises(ModelError, match=r"without heads.*model\.start"):
        load(start)
    content = sections_over(tmp_path / "m.csv", name="labels", train={"standardize_features": False})
    content["model"] = {"start": str(start), "backbone": {"train": "none"}, "dropout": 0.2}
    chosen = Recipe.model_validate(content)
    assert (chosen.model.backbone.name, chosen.model.pooling, chosen.model.dropout) == ("wavlm", "mean_std", 0.2)
    theirs, model = weights(start), build_experiment(chosen, build_manifest(chosen)).model
    assert {name for name in model.state_dict() if name not in theirs} == {
        "heads.classes.out.weight",
        "heads.classes.out.bias",
    }
    assert all(torch.equal(model.state_dict()[name], theirs[name]) for name in theirs)
    assert not torch.equal(theirs["standardize.mean"], torch.zeros_like(theirs["standardize.mean"]))
    train_run(chosen, tmp_path / "labels")
    assert load(tmp_path / "labels").label_space.classes == tones.label_space.classes


@pytest.mark.load
def test_a_model_that_labels_for_itself_goes_on_from_a_pre_trained_one(start, tmp_path):
    content = sections_over(tmp_path / "m.csv", data={"budget": 0.5}, task={"name": "semi_supervised"})
    chosen = Recipe.model_validate({**content, "model": {"start": str(start)}})
    found = build_experiment(chosen, build_manifest(chosen))
    theirs, ours = weights(start), found.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.load
def test_a_start_that_has_heard_what_is_to_be_tested_is_refused(start, tones, tmp_path):
    swapped = {"train": "development", "development": "train"}
    rows = [dataclasses.replace(u, split=swapped.get(str(u.split), u.split)) for u in tones]
    tones.replace_utterances(rows).write(tmp_path / "swapped.csv")
    content = sections_over(tmp_path / "swapped.csv", name="labels")
    content["model"] = {"start": str(start)}
    chosen = Recipe.model_validate(content)
    with pytest.raises(CorpusError, match=r"model\.start.*has heard"):
        build_experiment(chosen, build_manifest(chosen))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": {"mel": None, "descriptors": None}}, "every view is null"),
        ({"task": {"meel": {}}}, r"task\.meel"),
        ({"data": {"budget": 0.1}}, r"data\.budget does nothing for task views"),
        ({"train": {"metric": "ccc"}}, r"train\.metric does nothing"),
        ({"train": {"start_from_probe": True}}, r"train\.start_from_probe does nothing"),
    ],
)
def test_what_does_nothing_without_labels_is_refused(recipe, change, said):
    with pytest.raises(ValueError, match=said):
        recipe(**change)


def test_a_handful_of_recordings_is_refused(recipe, monkeypatch):
    monkeypatch.setattr(HELD_OUT, 0.05)
    with pytest.raises(CorpusError, match="give it 30 or more"):
        build_pretraining(recipe())


@pytest.mark.load
def test_speakers_that_nobody_knows_cannot_be_left_out(recipe, tones):
    nameless = tones.replace_utterances([dataclasses.replace(u, speaker=None) for u in tones])
    build_pretraining(recipe(nameless))
    with pytest.raises(CorpusError, match=r"same_speaker needs speakers"):
        build_pretraining(recipe(nameless, task={"same_speaker": "only"}))


def test_a_recipe_of_pre_training_is_no_recipe_of_labels(recipe, tmp_path):
    with pytest.raises(ConfigError, match="pre-training, which goes with"):
        train_run(recipe(), tmp_path / "run")


def test_a_dry_run_describes_views_clips_and_batches(recipe, tmp_path):
    found = describe_pretraining(recipe())
    assert json.loads(to_json(found))["task"]["name"] == "views"
    assert found["views"].startswith("model, mel, descriptors,")
    assert 0 < found["trainable"] < found["parameters"] - found["encoder_parameters"] + 1
    assert found["optimiser_steps"] == 2 * found["batches"]["an_epoch"]
    assert not (tmp_path / "run").exists()


class Impatient(Listener):
    """Interrupts after so many steps, as Ctrl-C does."""

    def __init__(self, last_step: int) -> None:
        self.last_step = last_step

    def step(self, done: int, total: int, figures) -> None:
        if done >= self.last_step:
            raise KeyboardInterrupt


@pytest.mark.load
@pytest.mark.parametrize("train", [{}, {"accumulate": 2, "checkpoint_minutes": 0, "average": 0.8}])
def test_an_interrupted_run_goes_on_to_the_same_bits(recipe, tmp_path, train):
    chosen = recipe(
        train={"epochs": 3, "batch_seconds": 1.5, **train},
        augmentation={"gain_db": 6.0, "noise": {"snr_db": [10, 20]}},
        task={"hardness": 0.5},
    )
    pretrain_run(chosen, tmp_path / "whole")
    steps = describe_pretraining(chosen)["optimiser_steps"] // 3
    with pytest.raises(KeyboardInterrupt):
        pretrain_run(chosen, tmp_path / "broken", listener=Impatient(steps + 1))
    pretrain_run(chosen, tmp_path / "broken")
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert all(torch.equal(one[name], other[name]) for name in one)
    rows = [read_rows(tmp_path / name / "metrics.jsonl") for name in ("whole", "broken")]
    timeless = [[{key: value for key, value in row.items() if key != "seconds"} for row in own] for own in rows]
    assert timeless[0] == timeless[1]


def one_of(count: int, number: int, port: str, recipe: dict, folder: str) -> None:
    """A process of two, with plain gradient descent."""
    launched(count, number, port)
    torch.optim.AdamW = torch.optim.SGD  # pyright: ignore
    run._HELD_OUT = 0.25
    pretrain_run(Recipe.model_validate(recipe), Path(folder))


@pytest.mark.load
def test_two_processes_train_as_one_with_twice_the_batches_a_step(recipe, tmp_path, monkeypatch):
    views = {"descriptors": {"features": 8, "dropout": 0.0}}
    train = {"epochs": 2, "batch_seconds": 1.5, "head_lr": 0.05, "schedule": "constant_with_warmup"}
    two = recipe(train=train, task=views).model_dump(mode="json")
    run_together(one_of, 2, two, str(tmp_path / "two"), timeout_s=300)
    assert processes.count() == 1
    monkeypatch.setattr(torch.optim, "AdamW", torch.optim.SGD)
    pretrain_run(recipe(train={**train, "accumulate": 2}, task=views), tmp_path / "one")
    one, other = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    losses = [[row["train_loss"] for row in read_rows(tmp_path / name / "metrics.jsonl")] for name in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
