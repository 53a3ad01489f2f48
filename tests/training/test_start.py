"""Training that goes on from a trained model: what is kept, what is new, what is refused."""

import dataclasses
import json
import shutil

import pytest
import torch
import yaml

from builders.models import WAVLM, save_tiny_model
from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError, ModelError
from emotune.io.hub import corpora_of
from emotune.models.store import load_model
from emotune.schema.labels import LabelSpace, Scale
from emotune.training.build import build_experiment
from emotune.training.fine_tune import train_run
from emotune.training.heard_before import earlier_models
from emotune.training.licences import inherited_licences
from emotune.training.manifest import build_manifest
from emotune.training.probe import probe_run

BODY = ("backbone.", "layer_mix.", "pooling.", "standardize.")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A model of anger and neutral, with features that were standardised and a mix of its own."""
    folder = tmp_path_factory.mktemp("start") / "model"
    return save_tiny_model(folder, LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)}), pooling="mean")


@pytest.fixture(scope="module")
def exported(start, tmp_path_factory):
    """The same model exported, by precision."""
    pytest.importorskip("onnxscript")
    from emotune.export.export_model import export_model

    folders = {precision: tmp_path_factory.mktemp("exported") / precision for precision in ("fp32", "int8")}
    for precision, folder in folders.items():
        export_model(start, folder, precision=precision)
    return folders


@pytest.fixture
def recipe_from(tones, tmp_path):
    """Builds a recipe over the tones that goes on from a model; ``classes`` renames theirs."""

    def build(start, *, classes=("anger", "neutral"), model=None, **sections) -> Recipe:
        own = dict(zip(("anger", "neutral"), classes, strict=True))
        rows = [dataclasses.replace(u, emotion=own[u.emotion or ""]) for u in tones]
        space = LabelSpace(classes)
        dataclasses.replace(tones, utterances=tuple(rows), label_space=space).write(tmp_path / "m.csv")
        content = sections_over(tmp_path / "m.csv", **sections)
        content["model"] = {"start": str(start), **(model or {})}
        return Recipe.model_validate(content)

    return build


def built(recipe: Recipe) -> dict[str, torch.Tensor]:
    return build_experiment(recipe, build_manifest(recipe)).model.state_dict()


def test_encoder_mix_and_pooling_are_kept_and_the_heads_of_other_classes_are_new(start, recipe_from):
    theirs = load_model(start).model.state_dict()
    ours = built(recipe_from(start, classes=("calm", "neutral")))
    body = [name for name in theirs if name.startswith(BODY)]
    assert {name for name in ours if name.startswith(BODY)} == set(body)
    assert all(torch.equal(ours[name], theirs[name]) for name in body)
    head = [name for name in ours if name.startswith("heads.classes.") and name.endswith("weight")]
    assert head
    assert not any(torch.equal(ours[name], theirs[name]) for name in head)


def test_a_head_of_the_same_classes_is_kept(start, recipe_from):
    theirs, ours = load_model(start).model.state_dict(), built(recipe_from(start))
    assert not any(name.startswith("heads.dimensions") for name in ours), "this recipe learns no dimensions"
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_head_of_another_form_is_new(start, recipe_from):
    ours = built(recipe_from(start, model={"hidden_size": 5}))
    assert any(name.startswith("heads.classes.") and 5 in value.shape for name, value in ours.items())


def test_the_written_recipe_reads_back_and_trains_only_what_it_is_told(start, recipe_from, tmp_path):
    chosen = recipe_from(start, model={"backbone": {"train": "none"}})
    assert chosen.model.pooling == "mean"
    assert chosen.model.encoder == "model"
    train_run(chosen, tmp_path / "run")
    assert Recipe.model_validate(yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())) == chosen
    theirs, ours = load_model(start).model.state_dict(), load_model(tmp_path / "run").model.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items() if name.startswith("backbone."))
    again = recipe_from(tmp_path / "run", classes=("calm", "neutral"))
    assert built(again).keys() == ours.keys()
    (earlier,) = earlier_models(again)
    assert earlier.training.name == "run" and not earlier.training.complete
    assert {name for _, name in earlier.training.speakers} == {u.speaker for u in build_manifest(chosen).split("train")}


def test_a_probe_hears_with_the_encoder_that_is_gone_on_from(start, recipe_from, tmp_path):
    chosen = recipe_from(start, probe={"cache": str(tmp_path / "cache"), "inverse_regularisation": [1.0]})
    probe_run(chosen, tmp_path / "run")
    theirs, ours = load_model(start).model.state_dict(), load_model(tmp_path / "run").model.state_dict()
    shared = [name for name in ours if name.startswith("backbone.") and name in theirs]
    assert shared
    assert all(torch.equal(ours[name], theirs[name]) for name in shared)
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "; of model, which it goes on from: " in next(line for line in card.splitlines() if "licence: " in line)
    assert "- speaker_dependent: unknown" in card.splitlines()
    report = json.loads((tmp_path / "run" / "development" / "report.json").read_text(encoding="utf-8"))
    assert any("goes on from model, and which speakers that heard is not known here" in one for one in report["notes"])


def test_a_model_says_what_the_one_that_it_goes_on_from_was_trained_on(start, recipe_from, tmp_path):
    start = shutil.copytree(start, tmp_path / "model")
    (start / "README.md").write_text("---\ndatasets: [Harbour, '# Quay: 2']\n---\n")
    chosen = recipe_from(start, probe={"cache": str(tmp_path / "cache"), "inverse_regularisation": [1.0]})
    probe_run(chosen, tmp_path / "run")
    report = json.loads((tmp_path / "run" / "development" / "report.json").read_text(encoding="utf-8"))
    assert any("goes on from model, by its card trained on Harbour, # Quay: 2, and" in one for one in report["notes"])
    assert corpora_of(tmp_path / "run" / "model" / "README.md")[-2:] == ("Harbour", "# Quay: 2")


def test_the_licence_of_a_checkpoint_is_inherited(tmp_path):
    backbone = {"name": "wavlm", "checkpoint": str(tmp_path / "wavlm-large")}
    recipe = Recipe.model_validate(sections_over(tmp_path / "m.csv") | {"model": {"backbone": backbone}})
    assert inherited_licences(recipe, "CC0") == "CC0; of wavlm-large, which it goes on from: unknown"
    (tmp_path / "wavlm-large").mkdir()
    (tmp_path / "wavlm-large" / "README.md").write_text("---\nlicense: mit\n---\n")
    assert inherited_licences(recipe, "CC0") == "CC0; of wavlm-large, which it goes on from: mit"
    assert inherited_licences(Recipe.model_validate(sections_over(tmp_path / "m.csv")), "CC0") == "CC0"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            {"backbone": {"name": "wavlm", "checkpoint": "x"}},
            "leave out model.backbone.checkpoint, or, .* model.start=null",
        ),
        ({"backbone": {"config": dict(WAVLM)}}, "leave out model.backbone.config, or, .* model.start=null"),
        ({"backbone": {"layers": 1}}, "leave out model.backbone.layers, or, .* model.start=null"),
    ],
)
def test_an_encoder_beside_a_start_is_refused(start, recipe_from, model, words):
    with pytest.raises(ValueError, match=words):
        recipe_from(start, model=model)


def test_clips_are_normalised_as_the_start_has_them(tmp_path, recipe_from):
    """A checkpoint's preprocessor may say otherwise than its encoder's kind."""
    start = save_tiny_model(tmp_path / "start", LabelSpace(("anger", "neutral")), pooling="mean")
    preprocessing = json.loads((start / "preprocessor_config.json").read_text())
    assert preprocessing["normalize"] == "none"
    (start / "preprocessor_config.json").write_text(json.dumps({**preprocessing, "normalize": "clip"}))
    recipe = recipe_from(start)
    assert build_experiment(recipe, build_manifest(recipe)).preprocessing.normalize == "clip"


@pytest.mark.load
def test_an_exported_model_is_a_start_like_its_source(start, exported, recipe_from):
    from emotune.export.read_back import read_back

    source = built(recipe_from(start))
    plain = [name for name in source if "pos_conv" not in name]  # the graph has its product, without the weight norm
    waveform, mask = (
        torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)),
        torch.ones(1, 8000, dtype=torch.bool),
    )
    for precision, folder in exported.items():
        ours = built(recipe_from(folder))
        assert ours.keys() == source.keys()
        for name in plain:
            bound = float(source[name].abs().max()) / 100 if precision == "int8" else 0.0
            torch.testing.assert_close(ours[name], source[name], rtol=0, atol=bound)
        one, other = (
            model.pooled(waveform, mask).detach() for model in (load_model(start).model, read_back(folder).model)
        )
        torch.testing.assert_close(one, other, rtol=0, atol=0.05 if precision == "int8" else 1e-5)


@pytest.mark.load
def test_a_graph_without_some_weight_is_no_start(exported, recipe_from, tmp_path):
    onnx = pytest.importorskip("onnx")
    shutil.copytree(exported["fp32"], tmp_path / "exported")
    graph = onnx.load_model(tmp_path / "exported" / "model.onnx")
    noted = next(entry for entry in graph.metadata_props if entry.key == "emotune.weights")
    noted.value = json.dumps({name: place for name, place in json.loads(noted.value).items() if "q_proj" not in name})
    onnx.save_model(graph, tmp_path / "exported" / "model.onnx")
    with pytest.raises(ModelError, match=r"does not hold .*q_proj.* as the model had it.*run or model folder"):
        built(recipe_from(tmp_path / "exported"))


def test_another_pooling_or_encoder_than_the_starts_is_refused(start, recipe_from):
    with pytest.raises(ConfigError, match=r"model.pooling is std, and model.start has mean: leave model.pooling out"):
        built(recipe_from(start, model={"pooling": "std"}))
    with pytest.raises(ConfigError, match="has another encoder than the one that this recipe was written with"):
        built(recipe_from(start, model={"backbone": {"name": "wavlm", "config": {**WAVLM, "num_hidden_layers": 1}}}))


def test_what_cannot_be_trained_further_is_refused(start, recipe_from, tmp_path):
    with pytest.raises(ValueError, match=r"model.start: .*nowhere"):
        recipe_from(tmp_path / "nowhere")
    without = shutil.copytree(start, tmp_path / "without")
    (without / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no model.safetensors or no encoder in its config; copy the folder"):
        recipe_from(without)
    adapted = shutil.copytree(start, tmp_path / "adapted")
    config = json.loads((adapted / "config.json").read_text())
    (adapted / "config.json").write_text(json.dumps({**config, "adapter": {"name": "bottleneck", "size": 4}}))
    with pytest.raises(ValueError, match="has adapter, with which a recipe cannot go on yet"):
        recipe_from(adapted)
