"""The field's published emotion models, by their exact names and shapes, against forwards written here from the papers.

The encoders under them are transformers' own. Their real weights could not be had: shapes are the published ones, the
numbers are small models of the same names.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

import emotune
from builders.command import run_command
from builders.originals import FORM_OF_LARGE, drawn, model_of
from builders.originals import SMALL as FOUR_HEADS
from emotune.errors import ModelError
from emotune.models.folder import find_model_folder
from emotune.models.published import FORMATS
from emotune.models.published.checkpoint_format import PublishedFolder
from emotune.models.published.known import PUBLISHED
from emotune.models.published.read import fitting_encoder
from emotune.models.store import load_model
from emotune.models.weight_files import StateDict

pytest.importorskip("transformers")

CLIP = (0.1 * np.random.default_rng(0).standard_normal(9000)).astype(np.float32)
SMALL = {**FOUR_HEADS, "num_attention_heads": 1}
LARGE = {**SMALL, **FORM_OF_LARGE}
ODYSSEY = ("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral")
VOX = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "other")
OLD = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def under(prefix: str, model, *, old: bool = False) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in model.state_dict().items():
        parts = [spelling for new, spelling in OLD.items() if old and name.endswith(new)]
        own = name.partition("parametrizations.")[0] + parts[0] if parts else name
        renamed[prefix + own] = tensor.contiguous()
    return renamed


def random(*shape: int) -> Tensor:
    return 0.3 * torch.randn(*shape)


def layer(name: str, outputs: int, *inputs: int) -> dict[str, Tensor]:
    return {f"{name}.weight": random(outputs, *inputs), f"{name}.bias": random(outputs)}


def odyssey_head(outputs: int, size: int) -> dict[str, Tensor]:
    return {
        "pool_model.attention": random(size, 1),
        **layer("pool_model.sap_linear", size, size),
        **layer("ser_model.fc.0.0", size, 2 * size),
        **layer("ser_model.fc.0.1", size),
        **layer("ser_model.out.0", outputs, size),
    }


def dense_head(outputs: int, size: int, out: str) -> dict[str, Tensor]:
    return layer("classifier.dense", size, size) | layer(f"classifier.{out}", outputs, size)


def vox_head(size: int, layers: int, *, categorical: bool, width: int = 256) -> dict[str, Tensor]:
    head = {"weights": random(layers + 1), **layer("model_seq.0", width, size, 1)}
    head |= layer("model_seq.3", width, width, 1) | layer("model_seq.6", width, width, 1)
    outputs = {"arousal_layer": 1, "valence_layer": 1, "dominance_layer": 1}
    if categorical:
        outputs |= {"emotion_layer": 9, "detailed_out_layer": 17}
    for name, count in outputs.items():
        head |= layer(f"{name}.0", width, width) | layer(f"{name}.2", count, width)
    return head


def written(folder: Path, state: dict[str, Tensor], config: dict, preprocessor: dict | None = None) -> Path:
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def config_of(model) -> dict:
    return json.loads(model.config.to_json_string())


def answers(folder: Path, clip: np.ndarray = CLIP) -> tuple[dict[str, float], dict[str, float]]:
    predicted = emotune.load(folder).predict(clip, 16000)
    return dict(predicted.probabilities), dict(predicted.dimensions)


def assert_answers(found: dict[str, float], names, expected: Tensor) -> None:
    assert list(found) == list(names)
    np.testing.assert_allclose(list(found.values()), expected.tolist(), rtol=0, atol=2e-5)


def of_clip(clip: np.ndarray) -> Tensor:
    return torch.from_numpy(((clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)).astype(np.float32))[None]


# 1 -------------------------------------------------------------------------------------------------------- Odyssey


@torch.no_grad()
def odyssey_reference(model, head: dict[str, Tensor], clip: np.ndarray) -> Tensor:
    wave = torch.from_numpy((clip - -8.278621631819787e-05) / (0.08485510250851999 + 0.000001)).float()[
        None, : 12 * 16000
    ]
    states = model(wave).last_hidden_state
    inner = torch.tanh(F.linear(states, head["pool_model.sap_linear.weight"], head["pool_model.sap_linear.bias"]))
    share = torch.softmax(inner @ head["pool_model.attention"], dim=1)
    mean = (share * states).sum(dim=1)
    spread = ((share * states**2).sum(dim=1) - mean**2).clamp(min=1e-5).sqrt()
    hidden = F.linear(torch.cat([mean, spread], dim=1), head["ser_model.fc.0.0.weight"], head["ser_model.fc.0.0.bias"])
    normed = F.layer_norm(hidden, hidden.shape[1:], head["ser_model.fc.0.1.weight"], head["ser_model.fc.0.1.bias"])
    return F.linear(F.relu(normed), head["ser_model.out.0.weight"], head["ser_model.out.0.bias"])[0]


def odyssey_folder(folder: Path, outputs: int, **config: object):
    model = model_of("wavlm", LARGE)
    head = odyssey_head(outputs, 64)
    head["ser_model.out.0.weight"] *= 0.1
    head["ser_model.out.0.bias"] = head["ser_model.out.0.bias"] * 0.1 + (0.5 if outputs < 8 else 0)
    stated = {
        "model_type": "ser",
        "architectures": ["SERModel"],
        "auto_map": {"AutoModel": "pipeline.SERModel"},
        **config,
    }
    written(folder, under("ssl_model.", model, old=True) | head, stated)
    return model, head


@pytest.mark.parametrize("clip", [CLIP, np.tile(CLIP, 25)], ids=["short", "cut to 12 s"])
def test_the_odyssey_classes_are_those_of_its_paper(tmp_path, clip) -> None:
    model, head = odyssey_folder(tmp_path, 8)
    nouns = ("anger", "sadness", "happiness", "surprise", "fear", "disgust", "contempt", "neutral")
    assert_answers(answers(tmp_path, clip)[0], nouns, odyssey_reference(model, head, clip).softmax(dim=0))


def test_the_odyssey_dimensions_are_on_one_to_seven_by_name(tmp_path) -> None:
    model, head = odyssey_folder(tmp_path, 3, id2label={"0": "arousal", "1": "dominance", "2": "valence"})
    expected = odyssey_reference(model, head, CLIP)
    assert bool(((expected > 0) & (expected < 1)).all())
    found = answers(tmp_path)[1]
    assert list(found) == ["arousal", "dominance", "valence"]
    np.testing.assert_allclose(list(found.values()), (6 * expected + 1).tolist(), rtol=0, atol=1e-4)


def test_an_odyssey_model_of_one_dimension_says_which(tmp_path) -> None:
    odyssey_folder(tmp_path, 1, id2label={"0": "Valence"})
    assert list(load_model(tmp_path).model.label_space.dimensions) == ["valence"]
    odyssey_folder(tmp_path, 1)
    with pytest.raises(ModelError, match="1 outputs that config"):
        load_model(tmp_path)


# 2 and 4 ------------------------------------------------------------------------------------------- a dense layer


@torch.no_grad()
def dense_reference(model, head: dict[str, Tensor], out: str, *, normalised: bool) -> Tensor:
    wave = of_clip(CLIP) if normalised else torch.from_numpy(CLIP)[None]
    mean = model(wave).last_hidden_state.mean(dim=1)
    inner = torch.tanh(F.linear(mean, head["classifier.dense.weight"], head["classifier.dense.bias"]))
    return F.linear(inner, head[f"classifier.{out}.weight"], head[f"classifier.{out}.bias"])[0]


AUDEERING = {
    "architectures": ["Wav2Vec2ForSpeechClassification"],
    "problem_type": "regression",
    "id2label": {"0": "arousal", "1": "dominance", "2": "valence"},
}
EHCALABRES = {
    "architectures": ["Wav2Vec2ForSpeechClassification"],
    "pooling_mode": "mean",
    "id2label": dict(enumerate(("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised"))),
}


def audeering_folder(folder: Path, **config: object):
    model, head = model_of("wav2vec2", {**LARGE, "conv_bias": True}), dense_head(3, 64, "out_proj")
    head["classifier.out_proj.weight"] *= 0.1
    head["classifier.out_proj.bias"] = torch.tensor([0.4, 0.5, 0.6])
    written(
        folder, under("wav2vec2.", model) | head, {**config_of(model), **AUDEERING, **config}, {"do_normalize": True}
    )
    return model, head


def test_audeerings_dimensions_are_those_of_its_paper(tmp_path) -> None:
    model, head = audeering_folder(tmp_path)
    expected = dense_reference(model, head, "out_proj", normalised=True)
    assert bool(((expected > 0) & (expected < 1)).all())
    assert_answers(answers(tmp_path)[1], ["arousal", "dominance", "valence"], expected)


@pytest.mark.parametrize("out", ["output", "out_proj"])
def test_classes_behind_a_dense_layer_are_not_of_random_weights(tmp_path, out) -> None:
    model, head = model_of("wav2vec2", LARGE), dense_head(8, 64, out)
    written(tmp_path, under("wav2vec2.", model) | head, {**config_of(model), **EHCALABRES}, {"do_normalize": False})
    nouns = ("anger", "calm", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    expected = dense_reference(model, head, out, normalised=False).softmax(dim=0)
    assert_answers(answers(tmp_path)[0], nouns, expected)


# 3 ---------------------------------------------------------------------------------------------------- Vox-Profile


@torch.no_grad()
def vox_reference(model, head: dict[str, Tensor], clip: np.ndarray) -> dict[str, Tensor]:
    out = model(of_clip(clip[: 15 * 16000]), output_hidden_states=True)
    states = torch.stack([*out.hidden_states[:-1], out.last_hidden_state])
    mixed = (head["weights"].softmax(0)[:, None, None, None] * states).sum(dim=0).transpose(1, 2)
    for place in (0, 3, 6):
        mixed = F.conv1d(mixed, head[f"model_seq.{place}.weight"], head[f"model_seq.{place}.bias"])
        mixed = F.relu(mixed) if place < 6 else mixed
    mean, said = mixed.mean(dim=2), {}
    for name in {key.partition(".")[0] for key in head if key.endswith("_layer.0.weight")}:
        inner = F.relu(F.linear(mean, head[f"{name}.0.weight"], head[f"{name}.0.bias"]))
        said[name] = F.linear(inner, head[f"{name}.2.weight"], head[f"{name}.2.bias"])[0]
    return said


def vox_folder(folder: Path, *, categorical: bool = True, **config: object):
    model, head = model_of("wavlm", LARGE), vox_head(64, 2, categorical=categorical, width=32)
    written(folder, under("backbone_model.", model) | head, {"pretrain_model": "wavlm_large", **config})
    return model, head


@pytest.mark.parametrize("clip", [CLIP, np.tile(CLIP, 30)], ids=["short", "cut to 15 s"])
def test_vox_profiles_classes_and_dimensions_are_those_of_its_paper(tmp_path, caplog, clip) -> None:
    caplog.set_level("INFO", logger="emotune")
    model, head = vox_folder(tmp_path)
    said, (classes, dimensions) = vox_reference(model, head, clip), answers(tmp_path, clip)
    assert_answers(classes, VOX, said["emotion_layer"].softmax(dim=0))
    names = ["arousal", "valence", "dominance"]
    assert_answers(dimensions, names, torch.cat([said[f"{name}_layer"].sigmoid() for name in names]))
    assert "left out: detailed_out_layer; trained on clips of 3 to 15 s" in caplog.text


def test_vox_profiles_dimensions_come_alone_too(tmp_path) -> None:
    model, head = vox_folder(tmp_path, categorical=False)
    said, (classes, dimensions) = vox_reference(model, head, CLIP), answers(tmp_path)
    assert not classes
    names = ["arousal", "valence", "dominance"]
    assert_answers(dimensions, names, torch.cat([said[f"{name}_layer"].sigmoid() for name in names]))


# 5 ---------------------------------------------------------------------------------------------------- SpeechBrain


def speechbrain_folder(folder: Path):
    model, out = model_of("wav2vec2", SMALL), random(4, 64)
    torch.save(under("model.", model, old=True), folder / "wav2vec2.ckpt")
    torch.save({"0.w.weight": out}, folder / "model.ckpt")
    lines = ["'neu' => 0", "'ang' => 1", "'hap' => 2", "'sad' => 3", "=" * 20, "'starting_index' => 0"]
    (folder / "label_encoder.txt").write_text("\n".join(lines) + "\n")
    return model, out


def test_speechbrains_classes_are_those_of_its_recipe(tmp_path) -> None:
    model, out = speechbrain_folder(tmp_path)
    with torch.no_grad():
        wave = F.layer_norm(torch.from_numpy(CLIP), CLIP.shape)[None]
        states = model(wave).last_hidden_state
        expected = (F.layer_norm(states, states.shape).mean(dim=1) @ out.T)[0].softmax(dim=0)
    assert_answers(answers(tmp_path)[0], ["neutral", "anger", "happiness", "sadness"], expected)


def test_speechbrains_labels_in_another_order_are_refused(tmp_path) -> None:
    speechbrain_folder(tmp_path)
    path = tmp_path / "label_encoder.txt"
    path.write_text(path.read_text().replace("'neu' => 0", "'ang' => 0").replace("'ang' => 1", "'neu' => 1"))
    with pytest.raises(ModelError, match=r"label_encoder\.txt has ang, neu, hap, sad; .*known with neu, ang"):
        load_model(tmp_path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path) -> None:
    speechbrain_folder(tmp_path)
    torch.save({"0.w.weight": Path("/")}, tmp_path / "model.ckpt")
    with pytest.raises(ModelError, match=r"model\.ckpt cannot be read as plain weights"):
        load_model(tmp_path)


# planted faults --------------------------------------------------------------------------------------------------

SWAPPED = {"0": "arousal", "1": "valence", "2": "dominance"}
PLANTED = {
    "odyssey, other mean": (lambda f: odyssey_folder(f, 8, mean=0.0, std=1.0), r"mean of config\.json is 0\.0"),
    "odyssey, swapped": (lambda f: odyssey_folder(f, 3, id2label=SWAPPED), "names the outputs arousal, valence, dom"),
    "odyssey, other classes": (
        lambda f: odyssey_folder(f, 8, id2label={str(i): name for i, name in enumerate(reversed(ODYSSEY))}),
        "names the outputs Neutral, Contempt",
    ),
    "audeering, swapped": (
        lambda f: audeering_folder(f, id2label=SWAPPED),
        "names the outputs arousal, valence, dom",
    ),
    "audeering, other pooling": (lambda f: audeering_folder(f, pooling_mode="max"), "pooling_mode is 'max'"),
    "vox, swapped": (
        lambda f: vox_folder(f, id2label={str(i): name for i, name in enumerate(sorted(VOX))}),
        "names the outputs anger, contempt, disgust, fear, happiness, neutral, other",
    ),
}


@pytest.mark.parametrize("case", PLANTED)
def test_what_contradicts_the_format_is_refused(tmp_path, case) -> None:
    plant, message = PLANTED[case]
    plant(tmp_path)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize(("make", "told"), [(lambda f: odyssey_folder(f, 8), True), (vox_folder, False)])
def test_a_preprocessor_with_another_normalisation_is_refused(tmp_path, make, told) -> None:
    make(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": told}))
    with pytest.raises(ModelError, match=f"do_normalize is {str(told).lower()}"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("make", "lost"),
    [
        (lambda f: odyssey_folder(f, 8), "ser_model.fc.0.1.bias"),
        (lambda f: odyssey_folder(f, 8), "ssl_model.encoder.layer_norm.weight"),
        (audeering_folder, "classifier.out_proj.bias"),
        (audeering_folder, "wav2vec2.encoder.layers.1.attention.v_proj.bias"),
        (vox_folder, "valence_layer.2.weight"),
        (vox_folder, "backbone_model.encoder.layers.0.gru_rel_pos_const"),
        (vox_folder, "backbone_model.feature_projection.projection.bias"),
    ],
)
def test_a_missing_weight_is_refused_by_name(tmp_path, make, lost) -> None:
    make(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    lost = next(name for name in state if name == lost or name == lost.replace("layers.0.", "layers.0.attention."))
    del state[lost]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=lost.partition(".")[2].replace(".", r"\.")):
        load_model(tmp_path)


# published shapes ------------------------------------------------------------------------------------------------

PUBLISHED_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
TWELVE = {**PUBLISHED_LARGE, "num_hidden_layers": 12, "conv_bias": True}


def shapes_of(kind: str, shape: dict) -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(drawn(kind, shape).state_dict())


@pytest.mark.parametrize(
    ("name", "kind", "shape", "prefix", "head", "config", "parameters"),
    [
        ("odyssey", "wavlm", PUBLISHED_LARGE, "ssl_model.", lambda: odyssey_head(8, 1024), {}, 318_612_168),
        (
            "dense_head",
            "wav2vec2",
            TWELVE,
            "wav2vec2.",
            lambda: dense_head(3, 1024, "out_proj"),
            AUDEERING,
            165_336_707,
        ),
        (
            "vox_profile",
            "wavlm",
            PUBLISHED_LARGE,
            "backbone_model.",
            lambda: vox_head(1024, 24, categorical=True),
            {},
            None,
        ),
        ("speechbrain", "wav2vec2", {}, "model.", lambda: {"0.w.weight": random(4, 768)}, {}, None),
    ],
)
def test_the_published_shapes_fit(tmp_path, name, kind, shape, prefix, head, config, parameters) -> None:
    with torch.device("meta"):
        weights = {prefix + key: tensor for key, tensor in shapes_of(kind, shape).items()} | head()
    stated = {"model_type": kind, **shape, **config}
    folder = PublishedFolder(
        tmp_path,
        stated,
        {"do_normalize": True} if kind == "wav2vec2" else None,
        StateDict(weights),
        tmp_path / "preprocessor_config.json",
    )
    assert [one for one in FORMATS if FORMATS[one].fits(weights)] == [name]
    encoder_names = fitting_encoder(folder, FORMATS[name].describe(folder))
    assert len(encoder_names) == len([key for key in weights if key.startswith(prefix)]) - 1  # masked_spec_embed
    if parameters is not None:  # 315,453,120 of WavLM Large and the head's; those that audeering's file holds
        assert sum(tensor.numel() for tensor in weights.values()) == parameters


def test_the_known_models_are_of_formats_that_are_known_and_answer_what_these_do(tmp_path) -> None:
    assert {one.format for one in PUBLISHED} <= set(FORMATS)
    assert len({one.name for one in PUBLISHED}) == len(PUBLISHED)
    makers = {
        "hf:3loi/SER-Odyssey-Baseline-WavLM-Categorical": lambda f: odyssey_folder(f, 8),
        "hf:3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes": lambda f: odyssey_folder(f, 3),
        "hf:audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": audeering_folder,
        "hf:tiantiaf/wavlm-large-categorical-emotion": vox_folder,
        "hf:speechbrain/emotion-recognition-wav2vec2-IEMOCAP": speechbrain_folder,
    }
    for number, (name, make) in enumerate(makers.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder)
        space = load_model(folder).model.label_space
        known = next(one for one in PUBLISHED if one.name == name)
        assert (known.classes, known.dimensions) == (space.classes, tuple(space.dimensions))


def test_the_list_of_models_names_what_others_published() -> None:
    ended = run_command("models", "--json")
    assert "hf:speechbrain/emotion-recognition-wav2vec2-IEMOCAP" in ended.out
    assert "CC BY-NC-SA 4.0 (non-commercial)" in ended.out
    assert "hf:superb/hubert-large-superb-er" in run_command("models").out


def test_models_of_a_folder_that_is_not_there_are_not_listed(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command("models").code == 0  # there are no runs yet
    assert run_command("models", tmp_path).code == 0
    ended = run_command("models", "nope")
    assert ended.code == 2 and "There is no folder nope" in ended.err and not ended.out


def test_a_published_model_of_the_hub_is_fetched_with_the_files_that_it_has(tmp_path) -> None:
    asked: list[list[str]] = []

    def download(repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        folder = tmp_path / "0a1b"
        folder.mkdir(exist_ok=True)
        if "wav2vec2.ckpt" in allow_patterns:
            speechbrain_folder(folder)
        return str(folder)

    found = find_model_folder("hf:speechbrain/x", download=download)
    assert load_model(found.folder).model.label_space.classes[0] == "neutral"
    assert len(asked) == 2 and "model.safetensors" in asked[0]
