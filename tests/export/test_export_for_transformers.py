"""Models of ours become transformers' classifiers where the head allows it: same probabilities, there and back."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import emotune
from builders.command import run_command
from builders.models import CONFORMER, WAVLM, tiny_backbone
from builders.transformers_shapes import WAV2VEC2_SHAPE, WHISPER_SHAPE
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError
from emotune.export.transformers_folder import export_for_transformers
from emotune.models.emotion_model import EmotionModel
from emotune.models.store import load_model, save_model
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace, Scale

transformers = pytest.importorskip("transformers")

CLASSES = ("anger", "neutral", "sadness")
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
WHISPER = {
    **WHISPER_SHAPE,
    "max_source_positions": 200,
}
LORA = {"name": "lora", "rank": 2, "targets": ["q_proj", "v_proj"]}
CASES = {
    "wavlm base": ("wavlm", WAV2VEC2_SHAPE, {"layer_mix": "last"}),
    "wavlm base, weighted": ("wavlm", WAV2VEC2_SHAPE, {}),
    "wavlm large, weighted, raw": ("wavlm", WAV2VEC2_SHAPE | STABLE, {}),
    "wavlm large, weighted, normed": ("wavlm", WAV2VEC2_SHAPE | STABLE | {"final_norm": True}, {}),
    "wavlm with lora": ("wavlm", WAV2VEC2_SHAPE, {"layer_mix": "last", "adapter": LORA}),
    "hubert large": ("hubert", WAV2VEC2_SHAPE | STABLE | {"final_norm": True}, {"layer_mix": "last"}),
    "wav2vec2": ("wav2vec2", WAV2VEC2_SHAPE, {"layer_mix": "last"}),
    "unispeech-sat": ("unispeech-sat", WAV2VEC2_SHAPE, {}),
    "data2vec-audio": ("data2vec-audio", WAV2VEC2_SHAPE, {"layer_mix": "last"}),
    "wav2vec2-bert": ("wav2vec2-bert", CONFORMER, {"layer_mix": "last"}),
    "whisper": ("whisper", WHISPER | {"final_norm": True}, {"layer_mix": "last"}),
    "whisper, weighted, raw": ("whisper", WHISPER, {}),
}


def saved(folder, kind="wavlm", config=WAV2VEC2_SHAPE, space=None, *, hears=None, temperature=1.7, **options):
    """A folder of a model whose weights, standardisation and temperature are none of their defaults."""
    backbone = tiny_backbone(config, kind)
    model = EmotionModel(backbone, space or LabelSpace(CLASSES), pooling=options.pop("pooling", "mean"), **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        shape = model.standardize.mean.shape
        model.standardize.set(0.3 * torch.randn(shape), 0.5 + torch.rand(shape))
    heard = Preprocessing("clip" if kind == "hubert" else "none", min_samples=backbone.min_samples)
    if kind == "whisper":
        samples = backbone.window_samples
        heard = Preprocessing(max_duration_s=samples / 16000, min_samples=samples, too_short="pad", too_long="cut")
    save_model(folder, model, hears or heard, calibration=Calibration(temperature))
    return folder


@pytest.mark.parametrize("case", CASES)
def test_transformers_answers_the_same_and_so_do_we_when_it_comes_back(tmp_path, case) -> None:
    kind, config, options = CASES[case]
    saved(tmp_path / "model", kind, config, **options)
    made = export_for_transformers(tmp_path / "model", tmp_path / "exported")
    assert made.theirs is not None and max(made.ours, made.theirs) < 1e-4
    clip = (0.1 * np.random.default_rng(5).standard_normal(11_111)).astype(np.float32)
    expected = emotune.load(tmp_path / "model").predict(clip, 16000).probabilities
    model = transformers.AutoModelForAudioClassification.from_pretrained(tmp_path / "exported").eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "exported")
    with torch.no_grad():
        logits = model(**extractor(clip, sampling_rate=16000, return_tensors="pt")).logits[0]
    assert [model.config.id2label[place] for place in range(3)] == list(expected) == list(CLASSES)
    np.testing.assert_allclose(logits.softmax(0).tolist(), list(expected.values()), rtol=0, atol=1e-4)
    back = emotune.load(tmp_path / "exported").predict(clip, 16000).probabilities
    np.testing.assert_allclose(list(back.values()), list(expected.values()), rtol=0, atol=1e-4)


def test_the_round_trip_begins_with_transformers_too(tmp_path) -> None:
    torch.manual_seed(0)
    labels = {"id2label": dict(enumerate(CLASSES)), "label2id": {name: place for place, name in enumerate(CLASSES)}}
    config = transformers.WavLMConfig(
        **WAV2VEC2_SHAPE, **STABLE, **labels, use_weighted_layer_sum=True, classifier_proj_size=8
    )
    first = transformers.WavLMForSequenceClassification(config).eval()
    first.save_pretrained(tmp_path / "first")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "first")
    export_for_transformers(tmp_path / "first", tmp_path / "second")
    second = transformers.WavLMForSequenceClassification.from_pretrained(tmp_path / "second").eval()
    waveforms = torch.randn(1, 6000)
    with torch.no_grad():
        torch.testing.assert_close(first(waveforms).logits, second(waveforms).logits, rtol=0, atol=1e-4)


def test_the_command_says_how_far_both_are_apart(tmp_path) -> None:
    saved(tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("a card")
    ended = run_command("export", tmp_path / "model", "-o", tmp_path / "exported", "--format", "hf")
    assert ended.code == 0, ended.err
    assert "WavLMForSequenceClassification" in ended.out and "read by transformers" in ended.out
    assert (tmp_path / "exported" / "README.md").read_text() == "a card"
    assert json.loads((tmp_path / "exported" / "config.json").read_text())["transformers_version"]
    refused = run_command("export", tmp_path / "model", "-o", tmp_path / "x", "--format", "hf", "--precision", "int8")
    assert refused.code == 2 and "go with --format onnx" in refused.err


PLAIN = Preprocessing()
OBSTACLES = {
    "dimensions": ({"space": LabelSpace(CLASSES, {"arousal": Scale(1, 7)})}, "heads classes, dimensions"),
    "hidden layer": ({"hidden_size": 4}, "its head has a hidden layer"),
    "pooling": ({"pooling": "mean_std"}, "its pooling is mean_std"),
    "mix": ({"layer_mix": "attentive_merging"}, "its layer mix is attentive_merging"),
    "adapter": ({"adapter": {"name": "bottleneck", "size": 2}}, "adapter bottleneck cannot be merged"),
    "raw last state": ({"config": WAV2VEC2_SHAPE | STABLE, "layer_mix": "last"}, "its last state is the raw one"),
    "trimmed": ({"hears": dataclasses.replace(PLAIN, trim_silence_db=40.0)}, "it cuts silence"),
    "one mean for all": ({"hears": dataclasses.replace(PLAIN, normalize="fixed", std=0.1)}, "normalised otherwise"),
    "other floor": (
        {"hears": dataclasses.replace(PLAIN, normalize="clip", variance_floor=1e-5)},
        "normalised otherwise",
    ),
    "whisper's own length": ({"kind": "whisper", "config": WHISPER, "hears": PLAIN}, "within 30 s of silence"),
}


@pytest.mark.parametrize("case", OBSTACLES)
def test_what_transformers_does_not_have_is_named_and_nothing_is_written(tmp_path, case) -> None:
    changes, message = OBSTACLES[case]
    if case == "whisper's own length":
        changes = changes | {"hears": dataclasses.replace(PLAIN, max_duration_s=4.0)}
    saved(tmp_path / "model", **changes)
    with pytest.raises(ConfigError, match=message):
        export_for_transformers(tmp_path / "model", tmp_path / "exported")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_all_obstacles_are_named_at_once(tmp_path) -> None:
    saved(tmp_path / "model", config=WAVLM, hidden_size=3, pooling="std")
    with pytest.raises(ConfigError, match=r"(?s)hidden layer.*pooling is std"):
        export_for_transformers(tmp_path / "model", tmp_path / "exported")
    assert load_model(tmp_path / "model").model.options["pooling"] == "std"
