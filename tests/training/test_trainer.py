"""Fine-tuning with a tiny encoder: what a run sees, does, keeps and continues."""

import copy
import dataclasses
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml

from builders.recipes import sections_over
from emotune.batch import Batch
from emotune.config.recipe import Recipe
from emotune.data.dataset import EmotionDataset, collate
from emotune.errors import ConfigError, CorpusError, ModelError
from emotune.inference import load
from emotune.io.locks import alone_in
from emotune.io.tables import read_json, read_rows
from emotune.models.store import load_model
from emotune.runtime.listener import Listener
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.training import fine_tune
from emotune.training.build import build_experiment
from emotune.training.features import pooled_features
from emotune.training.fine_tune import describe, train_run
from emotune.training.loop.step import StepGradients
from emotune.training.loop.trainer import Trainer
from emotune.training.manifest import build_manifest
from emotune.training.parameters import parameter_groups


@pytest.fixture
def recipe(tones):
    """Builds a recipe over the tones; keyword arguments go to its train section, or replace a section by name."""

    def build(**options) -> Recipe:
        sections = {name: options.pop(name) for name in ("data", "augmentation", "loss") if name in options}
        model = {"dropout": 0.0} | options.pop("model", {})
        train = {"epochs": 3, "batch_seconds": 3.0, "encoder_lr": 1e-3, "head_lr": 1e-2, "warmup_share": 0.0}
        backbone = {"train": "all", "train_front_end": True}
        manifest = tones.root / "manifest.csv"
        return Recipe.model_validate(
            sections_over(manifest, name="tones", backbone=backbone, model=model, train=train | options, **sections)
        )

    return build


class Recorder(Listener):
    """A listener that remembers the rows of the epochs, and what was said."""

    def __init__(self) -> None:
        self.rows: list[dict] = []
        self.said: list[str] = []

    def epoch(self, rows) -> None:
        self.rows.append(dict(rows[-1]))

    def say(self, message: str) -> None:
        self.said.append(message)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_model(run / "model").model.state_dict()


def assert_same_weights(first: dict, second: dict, **tolerance) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("accumulate", [1, 2])
def test_training_sees_every_utterance_exactly_once_an_epoch(recipe, tmp_path, monkeypatch, tones, accumulate):
    fetched, trained = Counter(), []
    get_item, forward = EmotionDataset.__getitem__, StepGradients._forward

    def counted_item(self, key):
        fetched[key] += 1
        return get_item(self, key)

    def counted_forward(self, piece):
        trained.append(piece.batch.mask.sum(dim=1).tolist())
        return forward(self, piece)

    monkeypatch.setattr(EmotionDataset, "__getitem__", counted_item)
    monkeypatch.setattr(StepGradients, "_forward", counted_forward)
    train_run(recipe(epochs=3, accumulate=accumulate), tmp_path / "run")
    assert fetched == Counter((epoch, index) for epoch in range(3) for index in range(16))
    batches = len(trained) // 3
    assert batches > 2
    lengths = sorted(round(u.duration_s * 16000) for u in tones.split("train"))
    for epoch in range(3):
        seen = [length for batch in trained[epoch * batches : (epoch + 1) * batches] for length in batch]
        assert sorted(seen) == lengths


@pytest.fixture
def plain_descent(monkeypatch):
    """Plain gradient descent in AdamW's place: Adam would blow up the rounding of gradients that are zero."""
    monkeypatch.setattr(torch.optim, "AdamW", torch.optim.SGD)


@pytest.fixture
def unbalanced(tones, tmp_path) -> dict:
    """A data section with 5 of anger and 8 of neutral to train on."""
    kept = [u for u in tones if not (u.split == "train" and u.utterance_id in ("u00", "u04", "u08"))]
    manifest = tones.replace_utterances(kept)
    manifest.write(tmp_path / "unbalanced.csv")
    return {"manifest": tmp_path / "unbalanced.csv"}


@pytest.mark.usefixtures("plain_descent")
def test_two_accumulated_batches_train_as_one_of_twice_the_size(recipe, tmp_path, unbalanced):
    manifest = Manifest.read(unbalanced["manifest"]).split("train")
    seconds = sum(u.duration_s for u in manifest)
    loss = {"cross_entropy": {"class_weights": "balanced", "smoothing": 0.1}}
    options = {"data": unbalanced, "loss": loss, "epochs": 2, "schedule": "constant_with_warmup", "clip_norm": 0}
    for parts in (1, 2):
        batch_seconds = seconds / parts * 1.001
        chosen = recipe(**options, accumulate=parts, batch_seconds=batch_seconds)
        assert describe(chosen)["batches"]["an_epoch"] == parts
        assert describe(chosen)["optimiser_steps"] == 2
        train_run(chosen, tmp_path / f"parts{parts}")
    assert_same_weights(weights(tmp_path / "parts1"), weights(tmp_path / "parts2"), rtol=0, atol=1e-5)


@pytest.mark.usefixtures("plain_descent")
def test_a_run_is_the_plain_pytorch_loop(recipe, tmp_path, unbalanced, monkeypatch):
    chosen = recipe(
        data=unbalanced, epochs=2, batch_seconds=1000, schedule="constant_with_warmup", clip_norm=0, encoder_lr=0.02
    )
    monkeypatch.setattr(fine_tune, "development_scores", rising_scores([0.1, 0.2]))
    experiment = build_experiment(chosen, build_manifest(chosen))
    model = experiment.model.train()
    before = copy.deepcopy(model.state_dict())
    batch = collate([experiment.dataset[0, index] for index in range(13)])
    class_weights = torch.tensor([13 / (2 * 5), 13 / (2 * 8)])
    assert batch.targets["classes"].sum(dim=0).tolist() == [5, 8]
    for _ in range(2):
        model.zero_grad()
        logits = model(Batch(batch.waveforms, batch.mask)).heads["classes"]
        F.cross_entropy(logits, batch.targets["classes"].argmax(dim=1), weight=class_weights).backward()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.grad is not None:
                    parameter.sub_(_plain_rate(name, chosen) * (parameter.grad + _plain_decay(parameter, chosen)))
    train_run(chosen, tmp_path / "run")
    found = weights(tmp_path / "run")
    assert max((found[name] - before[name]).abs().max().item() for name in found) > 1e-3
    assert_same_weights(found, model.state_dict(), rtol=0, atol=1e-5)


def _plain_rate(name: str, recipe: Recipe) -> float:
    rates = {"backbone": recipe.train.encoder_lr, "layer_mix": recipe.train.mix_lr}
    return rates.get(name.partition(".")[0], recipe.train.head_lr)


def _plain_decay(parameter: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    return parameter * (recipe.train.weight_decay if parameter.ndim > 1 else 0.0)


def test_encoder_mix_and_heads_have_their_learning_rates_and_vectors_no_decay(recipe):
    chosen = recipe(encoder_lr=1e-5, mix_lr=2e-3, head_lr=3e-4, weight_decay=0.05, model={"pooling": "attention"})
    model = build_experiment(chosen, build_manifest(chosen)).model
    model.choose_trainable(layers=1, front_end=False)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in parameter_groups(model, chosen.train)
        for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in found
            continue
        room = name.partition(".")[0]
        rate = {"backbone": 1e-5, "layer_mix": 2e-3, "pooling": 3e-4, "heads": 3e-4}[room]
        assert found[id(parameter)] == (rate, 0.05 if parameter.ndim > 1 else 0.0), name
    assert sum(len(group["params"]) for group in parameter_groups(model, chosen.train)) == len(found)


@pytest.mark.usefixtures("plain_descent")
def test_the_average_of_the_weights_is_what_is_scored_and_kept(recipe, tmp_path, monkeypatch):
    after_steps, kept = [], []
    step = Trainer._step

    def watched(self, *arguments):
        figures = step(self, *arguments)
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        after_steps.append([p.detach().clone() for p in parameters])
        return figures

    monkeypatch.setattr(Trainer, "_step", watched)
    monkeypatch.setattr(fine_tune, "development_scores", rising_scores([0.1, 0.2], kept))
    chosen = recipe(epochs=2, average=0.7)
    train_run(chosen, tmp_path / "run")
    average = after_steps[0]
    for number, moved in enumerate(after_steps[1:], start=1):
        decay = min(0.7, (1 + number) / (10 + number))
        average = [decay * old + (1 - decay) * new for old, new in zip(average, moved, strict=True)]
    model = build_experiment(chosen, build_manifest(chosen)).model
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    order = [names[id(p)] for group in parameter_groups(model, chosen.train) for p in group["params"]]
    saved = weights(tmp_path / "run")
    assert_same_weights(
        {name: saved[name] for name in order}, dict(zip(order, average, strict=True)), rtol=0, atol=1e-5
    )
    assert_same_weights(saved, kept[1], rtol=0, atol=0)
    assert not torch.allclose(
        saved["heads.classes.out.weight"], after_steps[-1][order.index("heads.classes.out.weight")]
    )


def rising_scores(values: list[float], kept: list | None = None):
    """A stand-in for the development score that says what it is told, and keeps the weights that it was asked about."""
    told = iter(values)

    def score(experiment, batch_seconds, workers, listener, model) -> dict[str, float]:
        if kept is not None:
            kept.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {"uar": next(told), "loss": 1.0}

    return score


@pytest.mark.parametrize(("told", "best"), [([0.4, 0.9, 0.6], 2), ([0.5, 0.5, 0.4], 1), ([0.1, 0.2, 0.3], 3)])
def test_the_weights_of_the_best_epoch_are_kept(recipe, tmp_path, monkeypatch, told, best):
    kept: list[dict] = []
    monkeypatch.setattr(fine_tune, "development_scores", rising_scores(told, kept))
    train_run(recipe(epochs=3), tmp_path / "run")
    assert_same_weights(weights(tmp_path / "run"), kept[best - 1], rtol=0, atol=0)
    assert not torch.equal(kept[0]["heads.classes.out.weight"], kept[2]["heads.classes.out.weight"])
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    assert [row["epoch"] for row in rows if row.get("best")] == [best]
    assert [row["development_uar"] for row in rows] == told


def test_training_stops_when_patience_is_over(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(fine_tune, "development_scores", rising_scores([0.5, 0.4, 0.4, 0.9, 0.9]))
    train_run(recipe(epochs=5, patience=2), tmp_path / "run")
    assert [row["epoch"] for row in read_rows(tmp_path / "run" / "metrics.jsonl")] == [1, 2, 3]


@pytest.fixture(scope="session")
def finished(tones, tmp_path_factory):
    """A run that came to its end: folder, recipe, evaluation and what the listener heard."""
    sections = sections_over(
        tones.root / "manifest.csv",
        name="tones",
        notice="Tones, not speech.",
        backbone={"train_front_end": True},
        model={"dropout": 0.3},
        train={"epochs": 2, "encoder_lr": 1e-3, "head_lr": 1e-2},
    )
    chosen = Recipe.model_validate(sections)
    folder, recorder = tmp_path_factory.mktemp("finished") / "run", Recorder()
    evaluation = train_run(chosen, folder, listener=recorder)
    return folder, chosen, evaluation, recorder


def test_the_saved_model_predicts_what_the_report_was_made_of(finished, tones):
    folder, _, evaluation, recorder = finished
    reported = Predictions.read(folder / "development" / "predictions.csv")
    again = load(folder, batch_seconds=1.5).predict_manifest(tones.split("development"))
    assert [row.utterance_id for row in again] == [row.utterance_id for row in reported]
    for found, expected in zip(again, reported, strict=True):
        assert dict(found.probabilities) == pytest.approx(dict(expected.probabilities), abs=1e-6)
    assert again.model_fingerprint == reported.model_fingerprint
    truth = [u.emotion for u in tones.split("development")]
    hits = [a.emotion == t for a, t in zip(again, truth, strict=True)]
    recalls = [sum(h for h, t in zip(hits, truth, strict=True) if t == name) / truth.count(name) for name in set(truth)]
    assert evaluation.overall["uar"].value == pytest.approx(sum(recalls) / len(recalls))
    best = next(row for row in read_rows(folder / "metrics.jsonl") if row.get("best"))
    assert best["development_uar"] == pytest.approx(evaluation.overall["uar"].value)
    assert [row["epoch"] for row in recorder.rows] == [1, 2]


def test_a_finished_run_folder_holds_model_recipe_provenance_and_report_and_no_checkpoints(finished, tones):
    folder, chosen, _, _ = finished
    names = {path.name for path in folder.iterdir()}
    assert {"model", "recipe.yaml", "provenance.json", "manifest.csv", "metrics.jsonl", "development"} <= names
    assert "checkpoints" not in names
    results = {path.name for path in (folder / "development").iterdir()}
    assert {"predictions.csv", "report.json", "report.html"} <= results
    assert Recipe.model_validate(yaml.safe_load((folder / "recipe.yaml").read_text())) == chosen
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["finished"]
    assert provenance["manifest_fingerprint"] == tones.fingerprint()
    assert Manifest.read(folder / "manifest.csv").fingerprint() == tones.fingerprint()
    assert "Tones, not speech." in (folder / "model" / "README.md").read_text()


def test_a_folder_with_a_finished_run_is_refused(finished, tmp_path):
    folder, chosen, _, _ = finished
    before = sorted(path.stat().st_mtime_ns for path in folder.rglob("*"))
    with pytest.raises(ConfigError, match="already holds a finished run"):
        train_run(chosen, folder)
    assert sorted(path.stat().st_mtime_ns for path in folder.rglob("*")) == before
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not a run folder"):
        train_run(chosen, tmp_path)


class Impatient(Recorder):
    """Interrupts, as Ctrl-C does, either in the middle of an epoch or between its score and its checkpoint."""

    def __init__(self, *, step: float = math.inf, epoch: float = math.inf) -> None:
        super().__init__()
        self.last_step, self.last_epoch = step, epoch

    def step(self, done: int, total: int, figures) -> None:
        if done >= self.last_step:
            raise KeyboardInterrupt

    def epoch(self, rows) -> None:
        super().epoch(rows)
        if rows[-1]["epoch"] >= self.last_epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("moment", "train"),
    [
        ("in the first epoch", {}),
        ("once the second is scored", {}),
        ("in the third epoch", {"average": 0.8}),
        ("in the third epoch", {"checkpoint_minutes": 0, "workers": 2, "accumulate": 2, "average": 0.8}),
        ("once the second is scored", {"checkpoint_minutes": 0, "unfreeze": {"layers_per_epoch": 1}}),
    ],
)
def test_an_interrupted_run_continues_and_ends_with_the_same_weights(recipe, tmp_path, tiny_wavlm, moment, train):
    noisy = {"backbone": {"name": "wavlm", "config": {**tiny_wavlm, "hidden_dropout": 0.2}}, "dropout": 0.2}
    augmentation = {"crop_s": 0.4, "noise": {"snr_db": [5, 20]}, "gain_db": 6.0, "mix": {"alpha": 1.0}}
    chosen = recipe(epochs=4, model=noisy, augmentation=augmentation, **train)
    train_run(chosen, tmp_path / "whole")
    steps = describe(chosen)["optimiser_steps"] // 4
    listener = {
        "in the first epoch": Impatient(step=2),
        "once the second is scored": Impatient(epoch=2),
        "in the third epoch": Impatient(step=2 * steps + 1),
    }[moment]
    with pytest.raises(KeyboardInterrupt):
        train_run(chosen, tmp_path / "broken", listener=listener)
    assert json.loads((tmp_path / "broken" / "provenance.json").read_text())["finished"] is None
    recorder = Recorder()
    train_run(chosen, tmp_path / "broken", listener=recorder)
    first = {"in the first epoch": 1, "once the second is scored": 3, "in the third epoch": 3}[moment]
    assert [row["epoch"] for row in recorder.rows] == list(range(first, 5))
    assert_same_weights(weights(tmp_path / "broken"), weights(tmp_path / "whole"), rtol=0, atol=0)
    timeless = [
        [{name: value for name, value in row.items() if name != "seconds"} for row in read_rows(path)]
        for path in (tmp_path / "broken" / "metrics.jsonl", tmp_path / "whole" / "metrics.jsonl")
    ]
    assert timeless[0] == timeless[1]


def test_two_runs_do_not_write_into_one_folder(recipe, tmp_path):
    with (
        alone_in(tmp_path / "run", others="training into"),
        pytest.raises(ConfigError, match="Another process is training into"),
    ):
        train_run(recipe(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_how_the_head_started_is_kept_when_a_run_is_continued(recipe, tmp_path):
    chosen = recipe(epochs=2, start_from_probe=True)
    with pytest.raises(KeyboardInterrupt):
        train_run(chosen, tmp_path / "run", listener=Impatient(epoch=1))
    began = json.loads((tmp_path / "run" / "provenance.json").read_text())["started_from_probe"]
    train_run(chosen, tmp_path / "run")
    ended = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert ended["started_from_probe"] == began and 0 <= began["development_uar"] <= 1
    assert ended["finished"]


def test_a_gradient_that_is_not_finite_changes_no_weight(recipe, tmp_path, monkeypatch):
    add, steps = StepGradients.add, []

    def broken(self, pieces, trained):
        loss = add(self, pieces, trained)
        trained[0].grad.fill_(math.inf)
        return loss

    monkeypatch.setattr(StepGradients, "add", broken)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: steps.append(1))
    with pytest.raises(ModelError, match=r"gradient's norm became (inf|nan) at step 1\. Lower train\.encoder_lr"):
        train_run(recipe(), tmp_path / "run")
    assert not steps


def test_a_run_that_had_lost_its_patience_stops_at_once_when_it_is_continued(recipe, tmp_path, monkeypatch):
    """Killed between the last checkpoint and the end, it does not train another epoch."""
    told = [0.5, 0.4, 0.3, 0.9]
    monkeypatch.setattr(fine_tune, "development_scores", rising_scores(told))
    finish = fine_tune.finish_run

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fine_tune, "finish_run", killed)
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe(epochs=5, patience=2), tmp_path / "run")
    monkeypatch.setattr(fine_tune, "finish_run", finish)
    train_run(recipe(epochs=5, patience=2), tmp_path / "run")
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    assert [(row["epoch"], row["best"]) for row in rows] == [(1, True), (2, False), (3, False)]


def test_a_run_moved_to_another_place_is_continued_there(recipe, tmp_path, monkeypatch):
    chosen = recipe(epochs=3)
    train_run(chosen, tmp_path / "whole")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train_run(chosen, Path("here"), listener=Impatient(epoch=2))
    (tmp_path / "there").mkdir()
    (tmp_path / "here").rename(tmp_path / "there" / "run")
    train_run(chosen, tmp_path / "there" / "run")
    assert_same_weights(weights(tmp_path / "there" / "run"), weights(tmp_path / "whole"), rtol=0, atol=0)


def test_an_unfinished_run_of_another_recipe_is_not_continued(recipe, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe(epochs=2), tmp_path / "run", listener=Impatient(step=1))
    with pytest.raises(ConfigError, match="an unfinished run of another recipe"):
        train_run(recipe(epochs=3), tmp_path / "run")


def test_a_dry_run_describes_what_training_would_do_and_writes_nothing(recipe, tones, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = recipe(epochs=3, accumulate=2)
    told = describe(chosen)
    model = build_experiment(chosen, build_manifest(chosen)).model
    assert told["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert told["trainable"] == sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert told["utterances"] == {"train": 16, "development": 8, "all": 24}
    steps = math.ceil(sum(u.duration_s for u in tones.split("train")) / 3.0 / 2)
    assert told["batches"]["an_epoch"] == 2 * steps
    assert told["optimiser_steps"] == 3 * steps
    assert told["memory_gb"]["total"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_head_started_from_a_probe_begins_where_the_probe_ends(recipe, tmp_path):
    recorder = Recorder()
    chosen = recipe(epochs=1, start_from_probe=True, encoder_lr=1e-9, head_lr=1e-9)
    train_run(chosen, tmp_path / "run", listener=recorder)
    said = next(message for message in recorder.said if message.startswith("head started from a probe"))
    assert recorder.rows[0]["development_uar"] == pytest.approx(float(said.split()[-1]), abs=5e-4)
    assert not torch.equal(weights(tmp_path / "run")["standardize.std"], torch.ones(32))


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_probe_that_no_epoch_betters_is_kept_across_an_interruption(recipe, tmp_path, interrupted):
    chosen = recipe(epochs=3, start_from_probe=True, encoder_lr=1e-9, head_lr=1e-9, patience=2)
    recorder = Recorder()
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            train_run(chosen, tmp_path / "run", listener=Impatient(epoch=2))
    train_run(chosen, tmp_path / "run", listener=recorder)
    assert "no epoch is better on development than the probe it started from, which is kept" in recorder.said
    rows = read_rows(tmp_path / "run" / "metrics.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2], "the patience counts from the start"
    assert not any(row["best"] for row in rows)
    train_run(recipe(epochs=1, start_from_probe=True, encoder_lr=1e-9, head_lr=1e-9), tmp_path / "other")
    kept = weights(tmp_path / "run")
    assert_same_weights(kept, weights(tmp_path / "other"), rtol=0, atol=0)


@pytest.mark.parametrize("layer_mix", ["last", "varan"])
def test_features_are_standardised_by_the_training_split_alone(recipe, tones, tmp_path, tiny_wavlm, layer_mix):
    backbone = {"name": "wavlm", "config": tiny_wavlm, "train": "none"}
    model = {"backbone": backbone, "layer_mix": layer_mix, "hidden_size": 8}
    train_run(recipe(model=model, epochs=1, standardize_features=True), tmp_path / "run")
    loaded = load_model(tmp_path / "run" / "model")
    features = pooled_features(loaded.model, loaded.preprocessing, tones.split("train"))
    np.testing.assert_allclose(loaded.model.standardize.mean, features.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(loaded.model.standardize.std, features.std(axis=0), rtol=1e-3)


def test_dimensions_are_trained_beside_classes(recipe, tones, tmp_path):
    rows = [
        dataclasses.replace(u, dimensions={} if n % 5 == 0 else {"arousal": 6.0 if u.emotion == "anger" else 2.0})
        for n, u in enumerate(tones)
    ]
    space = LabelSpace(tones.label_space.classes, {"arousal": Scale(1, 7)})
    manifest = dataclasses.replace(tones, utterances=tuple(rows), label_space=space)
    manifest.write(tmp_path / "m.csv")
    chosen = recipe(data={"manifest": tmp_path / "m.csv", "dimensions": ["arousal"]}, epochs=1, metric="ccc")
    evaluation = train_run(chosen, tmp_path / "run")
    assert {"uar", "ccc"} <= set(evaluation.overall)
    (row, *_) = load(tmp_path / "run").predict_manifest(manifest.split("development"))
    assert set(row.dimensions) == {"arousal"}


def test_a_class_that_training_lacks_is_an_error_before_anything_is_trained(recipe, tones, tmp_path):
    rows = [dataclasses.replace(u, emotion="neutral") if u.split == "train" else u for u in tones]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    with pytest.raises(CorpusError, match="No training utterance of class anger"):
        train_run(recipe(data={"manifest": tmp_path / "m.csv"}), tmp_path / "run")


@pytest.mark.parametrize("lost", ["duration_s", "content_sha256"])
def test_an_utterance_without_duration_or_fingerprint_is_refused_before_the_long_work(recipe, tones, tmp_path, lost):
    rows = [dataclasses.replace(u, **{lost: None}) if u.utterance_id == "u05" else u for u in tones]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    with pytest.raises(CorpusError, match="u05 has no duration_s or no content_sha256; read the corpus again"):
        build_manifest(recipe(data={"manifest": tmp_path / "m.csv"}))


def test_splits_that_share_a_speaker_are_refused_unless_allowed(recipe, tones, tmp_path):
    rows = [dataclasses.replace(u, speaker="s0") if u.utterance_id == "u23" else u for u in tones]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    with pytest.raises(CorpusError, match="1 speaker in more than one split, such as s0"):
        build_manifest(recipe(data={"manifest": tmp_path / "m.csv"}))
    allowed = {"manifest": tmp_path / "m.csv", "allow": ["speaker_overlap"]}
    assert len(build_manifest(recipe(data=allowed))) == 24
    with pytest.raises(CorpusError, match=r"data\.allow=\[speaker_overlap\]"):
        build_manifest(recipe(data={**allowed, "allow": ["recording_overlap"]}))


def test_near_copies_in_two_splits_are_refused_unless_allowed(recipe, tones, tmp_path):
    rows = [dataclasses.replace(u, copy_of="u00") if u.utterance_id == "u23" else u for u in tones]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    with pytest.raises(CorpusError, match="1 near copy of a recording in another split, such as u00 in train, u23 in"):
        build_manifest(recipe(data={"manifest": tmp_path / "m.csv", "allow": ["speaker_overlap"]}))
    assert len(build_manifest(recipe(data={"manifest": tmp_path / "m.csv", "allow": ["recording_overlap"]}))) == 24


def test_every_report_and_the_card_say_whether_the_run_is_speaker_dependent(recipe, tones, tmp_path):
    rows = [dataclasses.replace(u, speaker="s0") if u.utterance_id == "u23" else u for u in tones]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    stamp = "Speaker-dependent: 1 of 3 speakers of this split were trained on"
    for data, dependent in (({"manifest": tmp_path / "m.csv", "allow": ["speaker_overlap"]}, True), ({}, False)):
        run = tmp_path / str(dependent)
        train_run(recipe(epochs=1, **({"data": data} if data else {})), run)
        report = read_json(run / "development" / "report.json", "The report")
        assert report["information"]["speaker_dependent"] is dependent
        page = (run / "development" / "report.html").read_text(encoding="utf-8")
        card = (run / "model" / "README.md").read_text(encoding="utf-8")
        assert [stamp in text for text in (" ".join(report["notices"]), page, card)] == [dependent] * 3
        assert f"- speaker_dependent: {str(dependent).lower()}" in card


def test_votes_teach_and_who_has_none_is_counted(recipe, tones, tmp_path):
    rows = [
        dataclasses.replace(u, votes={} if n % 5 == 0 else {u.emotion: 4.0, "other": 1.0, "neutral": 1.0})
        for n, u in enumerate(tones)
    ]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    votes_only = {"cross_entropy": {"weight": 0}, "kl": {"weight": 1.0}}
    recorder = Recorder()
    chosen = recipe(data={"manifest": tmp_path / "m.csv"}, loss=votes_only, epochs=1)
    assert train_run(chosen, tmp_path / "run", listener=recorder).scored == 8
    assert "votes: 4 of 16 training utterances have none and teach no vote loss" in recorder.said
    with pytest.raises(CorpusError, match=r"loss\.kl learns from votes, and no training utterance has any"):
        train_run(recipe(loss=votes_only), tmp_path / "none")


@pytest.mark.usefixtures("plain_descent")
def test_ccc_over_accumulated_batches_trains_as_one_batch(recipe, tones, tmp_path):
    rows = [dataclasses.replace(u, dimensions={"arousal": 1 + 6 * (n % 7) / 6}) for n, u in enumerate(tones)]
    manifest = dataclasses.replace(
        tones, utterances=tuple(rows), label_space=LabelSpace(tones.label_space.classes, {"arousal": Scale(1, 7)})
    )
    manifest.write(tmp_path / "m.csv")
    data = {"manifest": tmp_path / "m.csv", "dimensions": ["arousal"]}
    seconds = sum(u.duration_s for u in manifest.split("train"))
    options = {"data": data, "epochs": 2, "schedule": "constant_with_warmup", "clip_norm": 0, "encoder_lr": 0.02}
    for parts in (1, 3):
        chosen = recipe(**options, accumulate=parts, batch_seconds=seconds / parts * 1.001)
        assert describe(chosen)["optimiser_steps"] == 2
        train_run(chosen, tmp_path / f"parts{parts}")
    assert_same_weights(weights(tmp_path / "parts1"), weights(tmp_path / "parts3"), rtol=0, atol=1e-4)
    losses = [[r["train_loss"] for r in read_rows(tmp_path / f"parts{n}" / "metrics.jsonl")] for n in (1, 3)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
