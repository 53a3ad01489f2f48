"""Classifiers that transformers itself saved answer with us as with transformers, or are refused by name."""

import contextlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import emotune
from builders.models import CONFORMER
from builders.transformers_shapes import WAV2VEC2_SHAPE, WHISPER_SHAPE
from emotune.errors import ModelError
from emotune.models.store import load_model
from emotune.training.start import take_over

transformers = pytest.importorskip("transformers")

NAMES = ["neu", "hap", "ang", "sad"]
LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: index for index, name in enumerate(NAMES)}}
SMALL = {
    **WAV2VEC2_SHAPE,
    "classifier_proj_size": 8,
    **LABELS,
}
LARGE = {**SMALL, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
WHISPER = {
    **LABELS,
    **WHISPER_SHAPE,
    "vocab_size": 20,
    "classifier_proj_size": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
CLASSES = {
    "wavlm": ("WavLMForSequenceClassification", "WavLMConfig"),
    "hubert": ("HubertForSequenceClassification", "HubertConfig"),
    "wav2vec2": ("Wav2Vec2ForSequenceClassification", "Wav2Vec2Config"),
    "unispeech-sat": ("UniSpeechSatForSequenceClassification", "UniSpeechSatConfig"),
    "data2vec-audio": ("Data2VecAudioForSequenceClassification", "Data2VecAudioConfig"),
    "wav2vec2-bert": ("Wav2Vec2BertForSequenceClassification", "Wav2Vec2BertConfig"),
    "whisper": ("WhisperForAudioClassification", "WhisperConfig"),
}
CLIP = (0.1 * np.random.default_rng(0).standard_normal(9000)).astype(np.float32)


def saved(folder: Path, kind: str, shape: dict, *, weighted: bool = False, do_normalize: bool = True):
    """A folder as transformers writes it, of a model whose weights moved; the model."""
    torch.manual_seed(0)
    name, config = CLASSES[kind]
    model = getattr(transformers, name)(getattr(transformers, config)(**shape, use_weighted_layer_sum=weighted)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    extractor = {
        "wav2vec2-bert": transformers.SeamlessM4TFeatureExtractor,
        "whisper": transformers.WhisperFeatureExtractor,
    }.get(kind, partial(transformers.Wav2Vec2FeatureExtractor, do_normalize=do_normalize))()
    extractor.save_pretrained(folder)
    return model, extractor


@torch.no_grad()
def theirs(model, extractor, clip=CLIP) -> list[float]:
    inputs = extractor(clip, sampling_rate=16000, return_tensors="pt")
    return model(**inputs).logits.softmax(dim=1)[0].tolist()


def ours(folder: Path, clip=CLIP) -> list[float]:
    predicted = emotune.load(folder).predict(clip, 16000).probabilities
    assert list(predicted) == ["neutral", "happiness", "anger", "sadness"]
    return list(predicted.values())


def change(path: Path, **settings: object) -> None:
    content = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.parametrize("weighted", [False, True], ids=["last state", "weighted sum"])
@pytest.mark.parametrize(
    ("kind", "shape", "do_normalize"),
    [
        *((kind, SMALL, False) for kind in ("wavlm", "hubert", "wav2vec2")),
        *((kind, LARGE, True) for kind in ("wavlm", "hubert", "wav2vec2")),
        ("unispeech-sat", LARGE, True),
        ("data2vec-audio", SMALL, True),
        ("wav2vec2-bert", {**LABELS, **CONFORMER, "classifier_proj_size": 8}, True),
        ("whisper", WHISPER, True),
    ],
    ids=[
        *("wavlm", "hubert", "wav2vec2", "wavlm large", "hubert large", "wav2vec2 large"),
        *("unispeech-sat large", "data2vec-audio", "w2v-BERT", "whisper"),
    ],
)
def test_the_probabilities_are_those_of_transformers(tmp_path, kind, shape, do_normalize, weighted) -> None:
    model, extractor = saved(tmp_path, kind, shape, weighted=weighted, do_normalize=do_normalize)
    np.testing.assert_allclose(ours(tmp_path), theirs(model, extractor), rtol=0, atol=2e-5)
    np.testing.assert_allclose(ours(tmp_path, CLIP[:3000]), theirs(model, extractor, CLIP[:3000]), rtol=0, atol=2e-5)


def test_whisper_hears_the_first_30_seconds_of_a_longer_clip(tmp_path) -> None:
    model, extractor = saved(tmp_path, "whisper", WHISPER)
    long = np.tile(CLIP, 55)
    assert len(long) > 480_000
    np.testing.assert_allclose(ours(tmp_path, long), theirs(model, extractor, long), rtol=0, atol=2e-5)


@torch.no_grad()
def of_version_4(model, extractor) -> list[float]:
    """The sum of layers whose last state is the normed one, as transformers 4 had it."""
    inputs = extractor(CLIP, sampling_rate=16000, return_tensors="pt")
    out = model.wavlm(**inputs, output_hidden_states=True)
    states = torch.stack([*out.hidden_states[:-1], out.last_hidden_state])
    mixed = (states * model.layer_weights.softmax(0).view(-1, 1, 1, 1)).sum(0)
    return model.classifier(model.projector(mixed).mean(dim=1)).softmax(dim=1)[0].tolist()


@pytest.mark.parametrize(
    "stated",
    [{"transformers_version": "4.46.2"}, {"transformers_version": None}, {"tie_last_hidden_states": True}],
    ids=["version 4", "no version", "tied"],
)
def test_a_weighted_sum_of_version_4_ends_with_the_normed_state(tmp_path, stated) -> None:
    model, extractor = saved(tmp_path, "wavlm", LARGE, weighted=True)
    expected, other = of_version_4(model, extractor), theirs(model, extractor)
    assert np.abs(np.subtract(expected, other)).max() > 1e-3
    change(tmp_path / "config.json", **stated)
    np.testing.assert_allclose(ours(tmp_path), expected, rtol=0, atol=2e-5)


def test_a_weighted_sum_of_the_versions_between_is_refused_until_it_is_settled(tmp_path) -> None:
    model, extractor = saved(tmp_path, "wavlm", LARGE, weighted=True)
    change(tmp_path / "config.json", transformers_version="5.7.0")
    with pytest.raises(ModelError, match=r'5\.7\.0.*"tie_last_hidden_states"'):
        load_model(tmp_path)
    change(tmp_path / "config.json", tie_last_hidden_states=False)
    np.testing.assert_allclose(ours(tmp_path), theirs(model, extractor), rtol=0, atol=2e-5)


def without_head(state: dict) -> None:
    del state["classifier.weight"]


def without_a_layer(state: dict) -> None:
    del state["wavlm.encoder.layers.1.attention.q_proj.weight"]


def with_a_stranger(state: dict) -> None:
    state["attention_head.weight"] = torch.zeros(3)


def with_another_head_beside(state: dict) -> None:
    state["lm_head.weight"] = torch.zeros(3, 32)


def misshapen(state: dict) -> None:
    state["projector.weight"] = torch.zeros(8, 16)


def not_finite(state: dict) -> None:
    state["classifier.bias"][1] = torch.nan


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_head, r"says that it is WavLMForSequenceClassification, .*random weights"),
        (without_a_layer, r"1 missing: encoder\.layers\.1\.attention\.q_proj\.weight"),
        (with_a_stranger, r"unexpected attention_head\.weight"),
        (with_another_head_beside, r"unexpected lm_head\.weight"),
        (misshapen, r"heads\.classes\.out\.weight would have shape \[4, 16\], expected \[4, 32\]"),
        (not_finite, r"not finite: heads\.classes\.out\.bias"),
    ],
)
def test_a_wrong_weight_is_refused_by_name(tmp_path, spoil, message) -> None:
    saved(tmp_path, "wavlm", SMALL)
    state = load_file(tmp_path / "model.safetensors")
    spoil(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=message) as refused:
        load_model(tmp_path)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id2label": None}, "does not name the 4 classes"),
        ({"id2label": {str(index): f"LABEL_{index}" for index in range(4)}}, "does not name the 4 classes"),
        ({"id2label": {"0": "neu", "1": "hap"}}, "must name the 4 outputs"),
        ({"id2label": {"0": "a", "1": "a", "2": "b", "3": "c"}}, "must be different names"),
        ({"problem_type": "regression"}, "problem_type 'regression'"),
        ({"problem_type": "multi_label_classification"}, "problem_type 'multi_label_classification'"),
        ({"use_weighted_layer_sum": True}, "use_weighted_layer_sum is true, and the file lacks layer_weights"),
        (
            {"model_type": "sew"},
            r"type 'sew', which is not known here\. Known: data2vec-audio, depthwise, emotion2vec,",
        ),
        ({"add_adapter": True}, "add_adapter is true"),
    ],
)
def test_a_config_that_leaves_something_open_or_contradicts_itself_is_refused(tmp_path, settings, message) -> None:
    saved(tmp_path, "wavlm", SMALL)
    change(tmp_path / "config.json", **settings)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("wavlm", {"sampling_rate": 8000}, "sampling_rate is 8000, and only 16000 is known"),
        ("wavlm", {"do_normalize": 1}, "do_normalize is 1, expected true or false"),
        ("whisper", {"do_normalize": True}, "do_normalize is True, and only False is known"),
        ("whisper", {"feature_size": 128}, "feature_size is 128, and only 80 is known"),
        ("whisper", {"n_samples": 160000}, "n_samples is 160000, and only 480000 is known"),
    ],
)
def test_a_preprocessing_that_is_not_ours_is_refused(tmp_path, kind, settings, message) -> None:
    saved(tmp_path, kind, WHISPER if kind == "whisper" else SMALL)
    change(tmp_path / "preprocessor_config.json", **settings)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


READ = {
    *("model_type", "id2label", "problem_type", "use_weighted_layer_sum", "transformers_version", "hidden_size"),
    *("do_stable_layer_norm", "d_model", "max_source_positions", "num_mel_bins", "do_normalize", "sampling_rate"),
}


@pytest.mark.parametrize("value", [None, 10**30, float("nan"), "x", []], ids=repr)
@pytest.mark.parametrize("kind", ["wavlm", "whisper"])
def test_no_value_of_a_setting_is_a_traceback(tmp_path, kind, value) -> None:
    saved(tmp_path, kind, WHISPER if kind == "whisper" else SMALL)
    for file in ("config.json", "preprocessor_config.json"):
        written = (tmp_path / file).read_text()
        for key in READ & set(json.loads(written)):
            (tmp_path / file).write_text(json.dumps(json.loads(written) | {key: value}))
            with contextlib.suppress(ModelError):
                load_model(tmp_path)
        (tmp_path / file).write_text(written)


def test_words_that_are_no_emotions_stay_and_synonyms_stay_apart(tmp_path) -> None:
    saved(tmp_path, "wavlm", SMALL)
    change(tmp_path / "config.json", id2label={"0": "happy", "1": "joy", "2": "male", "3": "sad"})
    assert load_model(tmp_path).model.label_space.classes == ("happy", "joy", "male", "sad")


def test_a_head_that_was_never_trained_is_remarked_on(tmp_path, caplog) -> None:
    config = transformers.WavLMConfig(**SMALL)
    transformers.WavLMForSequenceClassification(config).save_pretrained(tmp_path)
    load_model(tmp_path)
    assert "looks as if it had never been trained" in caplog.text


def test_loading_names_format_classes_and_licence(tmp_path, caplog) -> None:
    caplog.set_level("INFO", logger="emotune")
    saved(tmp_path, "wavlm", SMALL)
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-sa-4.0\n---\n")
    load_model(tmp_path)
    assert "answers neutral, happiness, anger, sadness" in caplog.text
    assert "licence cc-by-nc-sa-4.0 (non-commercial use only)" in caplog.text


def test_an_encoder_without_head_is_no_emotion_model(tmp_path) -> None:
    transformers.WavLMModel(transformers.WavLMConfig(**SMALL)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="A pretrained encoder is not an emotion model yet"):
        load_model(tmp_path)


def test_code_beside_the_weights_is_not_run(tmp_path) -> None:
    saved(tmp_path, "wavlm", SMALL)
    (tmp_path / "modeling.py").write_text("raise SystemExit('run')")
    change(tmp_path / "config.json", auto_map={"AutoModelForAudioClassification": "modeling.Model"})
    assert load_model(tmp_path).model.label_space.classes[0] == "neutral"


def test_a_fingerprint_changes_with_weights_and_preprocessing(tmp_path) -> None:
    saved(tmp_path, "wavlm", SMALL)
    first = load_model(tmp_path).fingerprint
    assert load_model(tmp_path).fingerprint == first
    change(tmp_path / "preprocessor_config.json", do_normalize=False)
    assert load_model(tmp_path).fingerprint != first


def test_training_goes_on_from_it_with_its_head(tmp_path) -> None:
    saved(tmp_path, "wavlm", SMALL)
    start = load_model(tmp_path)
    model = type(start.model)(start.model.backbone, start.model.label_space, layer_mix="last", pooling="mean")
    assert take_over(model, start) == ["classes"]
    assert torch.equal(model.heads["classes"].out.weight, start.model.heads["classes"].out.weight)
