"""Model folders: what is saved is what is loaded, and nothing else is accepted."""

import json
import re
import subprocess
import sys

import pytest
import safetensors.torch
import torch
import yaml
from markdown_it import MarkdownIt

from builders.models import WHISPER, tiny_backbone
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Batch
from emotune.errors import ModelError
from emotune.inference.known_models import licence_at
from emotune.models.backbones import BACKBONES
from emotune.models.card import model_card
from emotune.models.emotion_model import EmotionModel
from emotune.models.folder import find_model_folder
from emotune.models.store import load_model, save_model
from emotune.models.weights import WeightsFile, is_finite
from emotune.schema.labels import LabelSpace, Scale

SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
PREPROCESSING = Preprocessing("clip", 40.0, 12.5, 800)


def build(kind: str, config: dict, **options) -> EmotionModel:
    model = EmotionModel(tiny_backbone(config, kind), SPACE, **options).eval()
    model.standardize.set(torch.rand_like(model.standardize.mean), torch.rand_like(model.standardize.std) + 0.5)
    return model


@pytest.fixture
def folder(tmp_path, tiny_wavlm):
    save_model(tmp_path / "model", build("wavlm", tiny_wavlm), PREPROCESSING, card="# Card")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "options",
    [
        {"layer_mix": "weighted_sum", "layer_mix_initial": [1, 2, 3], "pooling": "attentive_stats"},
        {"layer_mix": "last", "pooling": "mean", "hidden_size": 8, "dropout": 0.3},
    ],
)
@pytest.mark.parametrize("kind", ["wavlm", "whisper"])
@torch.no_grad()
def test_a_loaded_model_gives_the_same_output_bit_for_bit(tmp_path, tiny_wavlm, kind, options):
    model = build(kind, tiny_wavlm if kind == "wavlm" else WHISPER, **options)
    save_model(tmp_path, model, PREPROCESSING)
    stored = load_model(tmp_path)
    batch = Batch(torch.randn(2, 8000), torch.arange(8000)[None, :] < torch.tensor([8000, 5000])[:, None])
    expected, found = model(batch), stored.model(batch)
    assert torch.equal(found.heads["classes"], expected.heads["classes"])
    assert torch.equal(found.heads["dimensions"], expected.heads["dimensions"])
    assert torch.equal(found.features, expected.features)
    assert stored.preprocessing == PREPROCESSING
    assert stored.model.label_space == SPACE
    assert stored.model.settings == model.settings
    assert not stored.model.training


@pytest.mark.parametrize("mix", ["weighted_sum", "varan"])
def test_loading_draws_nothing_and_gives_the_bits_of_the_file(tmp_path, tiny_wavlm, mix):
    model = build("wavlm", tiny_wavlm, layer_mix=mix)
    save_model(tmp_path, model, PREPROCESSING)
    before = torch.get_rng_state()
    stored = load_model(tmp_path).model
    assert torch.equal(torch.get_rng_state(), before)
    for found, expected in ((stored.state_dict(), model.state_dict()), (buffers(stored), buffers(model))):
        assert found.keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    assert not any(tensor.is_meta for tensor in [*stored.parameters(), *stored.buffers()])
    attention = stored.get_submodule("backbone.encoder.layers.1.attention")
    together = [attention.get_submodule(name).weight for name in ("q_proj", "k_proj", "v_proj")]
    assert len({weight.untyped_storage().data_ptr() for weight in together}) == 1  # as one product needs them


def buffers(model: EmotionModel) -> dict[str, torch.Tensor]:
    return dict(model.named_buffers())  # those that are in no file, too


def test_a_model_is_loaded_without_the_compiler_of_pytorch(folder, tmp_path):
    save_model(tmp_path / "whisper", build("whisper", WHISPER, layer_mix="weighted_sum"), PREPROCESSING, card="# Card")
    code = (
        "import sys, emotune\n"
        "for folder in sys.argv[1:]:\n    emotune.load(folder, device='cpu')\n"
        "print('torch._dynamo' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, folder, tmp_path / "whisper"], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "False"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_stored_in_another_precision_become_float32(folder, dtype):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    other = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    safetensors.torch.save_file(other, folder / "model.safetensors")
    found = load_model(folder).model.state_dict()
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in other.items())
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}


def test_weights_that_shrink_while_they_are_read_are_an_error(folder):
    weights = WeightsFile.open(folder / "model.safetensors")
    places = {name: torch.zeros(tensor.shape) for name, tensor in weights.header.items()}
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ModelError, match="ends too early"):
        weights.read_into(places)


def test_weights_without_numbers_are_finite_and_one_that_is_not_is_found():
    assert is_finite(torch.zeros(0)) and is_finite(torch.tensor(3e38)) and is_finite(torch.tensor([-3e38, 3e38]))
    for word in ("nan", "inf", "-inf"):
        assert not is_finite(torch.tensor([0.0, float(word), 1.0]))


def test_a_model_cut_after_a_layer_is_stored_without_the_layers_above(tmp_path, tiny_wavlm):
    torch.manual_seed(0)
    model = EmotionModel(BACKBONES["wavlm"].from_config(tiny_wavlm, layers=1), SPACE)
    save_model(tmp_path, model, PREPROCESSING)
    assert load_model(tmp_path).model.backbone.num_layers == 1
    assert not [
        name for name in safetensors.torch.load_file(tmp_path / "model.safetensors") if "encoder.layers.1." in name
    ]


def test_the_config_follows_the_hubs_conventions_beside_our_own_keys(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "anger", "1": "neutral"}
    assert config["label2id"] == {"anger": 0, "neutral": 1}
    assert config["problem_type"] == "single_label_classification"
    assert config["model_type"] == "emotune"
    assert config["dimensions"] == {"arousal": [1.0, 7.0]}
    assert config["backbone"]["model_type"] == "wavlm"
    assert (config["layer_mix"], config["pooling"]) == ("weighted_sum", "mean_std")


def test_a_model_saved_before_there_were_adapters_is_loaded(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config.pop("adapter") is None and config.pop("varan") is None
    (folder / "config.json").write_text(json.dumps(config))
    assert load_model(folder).model.options["adapter"] is None


def test_there_is_no_pickle_in_the_folder(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "preprocessor_config.json",
    ]  # fmt: skip
    for path in folder.iterdir():
        assert b"PK\x03\x04" not in path.read_bytes()[:4]
        assert not path.read_bytes().startswith(b"\x80")


def test_the_fingerprint_knows_weights_and_config_but_not_the_card(folder):
    before = load_model(folder).fingerprint
    (folder / "README.md").write_text("another card")
    assert load_model(folder).fingerprint == before
    change(folder, lambda tensors: tensors["heads.classes.out.bias"].add_(1))
    assert load_model(folder).fingerprint != before


def change(folder, edit) -> None:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    edit(tensors)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.pop("heads.classes.out.bias"), r"missing heads\.classes\.out\.bias"),
        (lambda t: t.pop("standardize.mean"), r"missing standardize\.mean"),
        (lambda t: t.update(extra=torch.zeros(1)), "unexpected extra"),
        (lambda t: t.update({"heads.classes.out.bias": torch.zeros(3)}), r"has shape \[3\], expected \[2\]"),
        (lambda t: t["heads.classes.out.bias"].fill_(torch.nan), "NaN or infinite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folder, edit, message):
    change(folder, edit)
    with pytest.raises(ModelError, match=message):
        load_model(folder)


def test_a_run_folder_leads_to_the_model_inside(folder):
    assert find_model_folder(folder.parent).folder == folder
    assert load_model(folder.parent).fingerprint == load_model(folder).fingerprint


def test_a_folder_without_weights_and_a_pretrained_encoder_are_no_models(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="is missing"):
        load_model(folder)
    (folder / "config.json").write_text('{"model_type": "wavlm"}')
    with pytest.raises(ModelError, match="holds no weights: expected model"):
        load_model(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="a folder without config"):
        load_model(tmp_path / "empty")


def test_the_card_names_data_licence_figures_and_limits(tiny_wavlm):
    card = model_card(
        title="demo",
        config=build("wavlm", tiny_wavlm).settings,
        information={"corpus": "ravdess", "licence": "CC BY-NC-SA 4.0", "seed": 3},
        scores={"uar on the development split": 0.51234},
        notice="Synthetic corpus",
    )
    for line in (
        "# demo", "> **Synthetic corpus**", "- classes: anger, neutral", "- dimensions: arousal [1, 7]",
        "- backbone: wavlm", "- corpus: ravdess", "- licence: CC BY-NC-SA 4.0", "- seed: 3",
        "- uar on the development split: 0.512", "## Intended use and limits",
    ):  # fmt: skip
        assert line in card.splitlines()
    assert "the EU AI Act forbids emotion recognition there" in card
    assert "does not know what a person feels" in card
    assert "licen" in card.split("## Data and licences")[1].split("##")[0]


@pytest.mark.parametrize(
    ("licence", "named", "stated"),
    [
        ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0"),
        ("CC0; of whisper, which it goes on from: mit", "other", "CC0; of whisper, which it goes on from: mit"),
        ("unknown", None, None),
    ],
)
def test_the_front_of_a_card_states_a_licence_that_programs_know(tiny_wavlm, tmp_path, licence, named, stated):
    settings = build("wavlm", tiny_wavlm).settings
    about = {"licence": licence}
    card = model_card(title="m", config=settings, information=about, scores={}, notice=None, licence=licence)
    assert yaml.safe_load(card.split("---\n")[1]).get("license") == named
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert licence_at(tmp_path) == stated


def test_words_of_a_corpus_are_no_markup_in_the_card(tiny_wavlm):
    hostile = "<img src=x onerror=alert(1)> **bold** [text](http://x) `code`\n# heading\n---\nlicense: mit"
    model = EmotionModel(BACKBONES["wavlm"].from_config(tiny_wavlm), LabelSpace(("anger", hostile)))
    card = model_card(
        title=hostile,
        config=model.settings,
        information={"corpus": hostile, "licence": hostile, hostile: {"a": hostile}},
        scores={hostile: hostile},
        notice=hostile,
        corpora=[hostile],
    )
    front, body = card.removeprefix("---\n").split("\n---\n", 1)
    named = {"datasets": [" ".join(hostile.split())]}
    assert yaml.safe_load(front) == {"library_name": "emotune", "pipeline_tag": "audio-classification", **named}
    shown = MarkdownIt("commonmark").render(body)
    assert not re.search("<img|<strong>bold|<a |<hr|href", shown)
    assert re.findall(r"<h1>.*?</h1>", shown, flags=re.S) == [
        "<h1>&lt;img src=x onerror=alert(1)&gt; **bold** [text](http://x) `code` # heading --- license: mit</h1>"
    ]
    assert shown.count("<h2>") == body.count("\n## ")
    assert "<p>license" not in shown


def test_a_card_names_a_folder_by_its_last_part_alone(tiny_wavlm):
    folder, hub = ({"name": name, "revision": "1"} for name in ("/home/somebody/runs/gender", "org/encoder"))
    about = {"gender": {"size": 2, "predictor": folder}, "text": {"size": 2, "width": 3, "encoder": hub}}
    settings = build("wavlm", tiny_wavlm, conditions=about).settings
    card = model_card(title="demo", config=settings, information={}, scores={}, notice=None)
    assert "with gender (revision 1); works" in card and "with org/encoder (revision 1); works" in card
    assert "somebody" not in card
