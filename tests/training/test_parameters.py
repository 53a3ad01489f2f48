"""Which parameters train, at which rate, and from which epoch on."""

import pytest

from builders.models import WAVLM
from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.config.training import UnfreezeSection
from emotune.inference import load
from emotune.models.store import load_model
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder
from emotune.training.build import build_experiment
from emotune.training.fine_tune import describe, train_run
from emotune.training.manifest import build_manifest
from emotune.training.parameters import GradualUnfreezing, parameter_groups
from emotune.training.probe import probe_run


@pytest.fixture
def recipe(tones):
    """Builds a recipe over the tones with three layers; keyword arguments go to its train section."""

    def build(model: dict | None = None, **train) -> Recipe:
        options = {"epochs": 3, "batch_seconds": 5.0, "encoder_lr": 1e-3, "head_lr": 1e-2} | train
        config = WAVLM | {"num_hidden_layers": 3}
        return Recipe.model_validate(
            sections_over(tones.root / "manifest.csv", config=config, model=model or {}, train=options)
        )

    return build


def rates(recipe: Recipe) -> dict[str, float]:
    model = build_experiment(recipe, build_manifest(recipe)).model
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, recipe.train)
    return {names[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]}


def test_the_rate_falls_from_layer_to_layer_downwards(recipe):
    found = rates(recipe(layer_decay=0.5, encoder_lr=0.08))
    for layer, rate in ((0, 0.02), (1, 0.04), (2, 0.08)):
        assert found[f"backbone.encoder.layers.{layer}.attention.q_proj.weight"] == pytest.approx(rate)
    assert found["backbone.feature_projection.projection.weight"] == pytest.approx(0.01)
    assert found["heads.classes.out.weight"] == 1e-2


def test_an_adapter_has_its_own_rate(recipe):
    found = rates(recipe({"adapter": {"name": "lora", "rank": 2}}, adapter_lr=0.5))
    of_encoder = {name: rate for name, rate in found.items() if name.startswith("backbone")}
    assert len(of_encoder) == 3 * 2 * 2
    assert set(of_encoder.values()) == {0.5}


@pytest.mark.parametrize(
    ("unfreeze", "expected"),
    [
        ({"start_epoch": 1}, [0, 3, 3]),
        ({"start_epoch": 1, "layers_per_epoch": 2}, [0, 2, 3]),
        ({"layers_per_epoch": 1}, [1, 2, 3]),
        ({"stages": {0: 1, 2: 8}}, [1, 1, 3]),
        ({"stages": {1: 2, 2: 3}}, [0, 2, 3]),
    ],
)
def test_layers_join_from_the_top(recipe, unfreeze, expected):
    chosen = recipe(unfreeze=unfreeze)
    model = build_experiment(chosen, build_manifest(chosen)).model
    unfreezing = GradualUnfreezing(model, UnfreezeSection(**unfreeze))
    for epoch, count in enumerate(expected):
        unfreezing.begin_epoch(epoch)
        trains = [any(p.requires_grad for p in layer.parameters()) for layer in model.backbone.layer_modules()]
        assert trains == [False] * (3 - count) + [True] * count
        assert model.backbone.feature_projection.projection.weight.requires_grad is (count == 3)
        assert not any(p.requires_grad for module in model.backbone.front_end() for p in module.parameters())
        assert model.heads["classes"].out.weight.requires_grad


def test_stages_that_cannot_be_are_refused(recipe):
    for unfreeze, fault in (
        ({"stages": {0: 2, 1: 2}}, "stages must open more layers from epoch to epoch, got {0: 2, 1: 2}"),
        ({"stages": {0: 2}, "start_epoch": 1}, "leave out start_epoch and layers_per_epoch"),
        ({"stages": {0: 1, 3: 2}}, r"train.unfreeze.stages: the last epoch is 3, .* than train.epochs = 3"),
    ):
        with pytest.raises(ValueError, match=fault):
            recipe(unfreeze=unfreeze)


def test_the_final_norm_trains_with_the_last_layer_and_at_its_rate(recipe, tiny_wavlm):
    config = {**tiny_wavlm, "num_hidden_layers": 3, "do_stable_layer_norm": True}
    backbone = {"name": "wavlm", "config": config, "final_norm": True}
    chosen = recipe({"backbone": backbone}, layer_decay=0.5, encoder_lr=0.08, unfreeze={"layers_per_epoch": 1})
    assert rates(chosen)["backbone.encoder.layer_norm.weight"] == pytest.approx(0.08)
    model = build_experiment(chosen, build_manifest(chosen)).model
    norm = model.backbone.final_norm
    assert norm is not None
    GradualUnfreezing(model, UnfreezeSection(start_epoch=1, layers_per_epoch=1)).begin_epoch(0)
    assert not any(parameter.requires_grad for parameter in norm.parameters())
    for layers, trains in ((0, False), (1, True), ("none", False)):
        model.choose_trainable(layers=layers, front_end=False)
        assert all(parameter.requires_grad is trains for parameter in norm.parameters())


def test_a_resumed_run_unfreezes_by_its_epoch(recipe):
    chosen = recipe(unfreeze={"layers_per_epoch": 1})
    model = build_experiment(chosen, build_manifest(chosen)).model
    GradualUnfreezing(model, UnfreezeSection(layers_per_epoch=1)).begin_epoch(1)
    trains = [any(p.requires_grad for p in layer.parameters()) for layer in model.backbone.layer_modules()]
    assert trains == [False, True, True]


@pytest.mark.parametrize(
    "model",
    [
        {"adapter": {"name": "lora", "rank": 2, "targets": ["q_proj", "output_dense"]}},
        {"adapter": {"name": "bottleneck", "size": 4}},
        {"adapter": {"name": "bitfit"}},
        {"layer_mix": "attentive_merging"},
        {"layer_mix": "varan", "varan": {"prior": "uniform"}},
        {"layer_mix": "varan", "hidden_size": 8, "pooling": "attention"},
    ],
    ids=["lora", "bottleneck", "bitfit", "attentive_merging", "varan", "varan with projectors"],
)
def test_every_way_trains_and_what_is_kept_predicts(recipe, tmp_path, model, tones):
    chosen = recipe(model, epochs=2, start_from_probe="hidden_size" not in model, average=0.5)
    evaluation = train_run(chosen, tmp_path / "run")
    assert evaluation.scored == 8
    rows = load(tmp_path / "run").predict_manifest(tones.split("development"))
    reported = Predictions.read(tmp_path / "run" / "development" / "predictions.csv")
    for row, told in zip(rows, reported, strict=True):
        assert dict(row.probabilities) == pytest.approx(dict(told.probabilities), abs=1e-5)


def test_of_a_probe_the_head_alone_trains(recipe, tmp_path):
    chosen = recipe()
    chosen = chosen.model_copy(update={"probe": chosen.probe.model_copy(update={"pooling": "mean"})})
    probe_run(chosen, tmp_path / "run")
    told = RunFolder(tmp_path / "run").information()
    assert told["pooling"] == "mean" and told["encoder"] == chosen.model.encoder
    page = (tmp_path / "run" / "development" / "report.html").read_text(encoding="utf-8")
    assert "tiny, mean pooling: development" in page and told["chosen"] in page
    head = 2 * (WAVLM["hidden_size"] + 1)  # two classes, the mean over frames
    assert told["trainable"] == told["trainable_by_part"]["heads"] == sum(told["trainable_by_part"].values()) == head
    assert told["parameters"] == sum(p.numel() for p in load_model(tmp_path / "run" / "model").model.parameters())


def test_a_description_says_what_trains_by_part(recipe):
    told = describe(recipe({"adapter": {"name": "lora", "rank": 2, "targets": ["q_proj"]}}))
    parts = told["trainable_by_part"]
    assert parts["adapter"] == 3 * 2 * (16 + 16)
    assert parts["encoder"] == parts["front end"] == 0
    assert sum(parts.values()) == told["trainable"]
