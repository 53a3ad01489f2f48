"""Adapter folders that PEFT itself wrote, on every encoder: ours answer as its own model does."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from layer_states import raw_states

import emotune
from builders.transformers_shapes import WAV2VEC2_SHAPE, WHISPER_SHAPE
from emotune.errors import ModelError
from emotune.models.backbones.checkpoint import load_pretrained

transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

CLASSES = {
    "data2vec-audio": ("Data2VecAudio", "Model"),
    "hubert": ("Hubert", "Model"),
    "unispeech-sat": ("UniSpeechSat", "Model"),
    "wav2vec2": ("Wav2Vec2", "Model"),
    "wavlm": ("WavLM", "Model"),
}
ENDS = ["intermediate_dense", "output_dense"]
METHODS: dict[str, dict[str, Any]] = {
    "lora": {"target_modules": ["q_proj", "v_proj", *ENDS]},
    "dora": {"target_modules": ["k_proj", *ENDS], "use_dora": True},
    "by the root, patterns": {
        "target_modules": ["q_proj", "out_proj", "output_dense"],
        "use_rslora": True,
        "rank_pattern": {"0.attention.q_proj": 3},
        "alpha_pattern": {"q_proj": 5},
    },
    "biases": {"target_modules": ["q_proj", "output_dense"], "bias": "all"},
    "bias of the lora": {"target_modules": ["v_proj", "output_dense"], "lora_bias": True},
}
ACTS = [(name, method) for name in CLASSES for method in ("lora", "dora")]
ACTS += [("wav2vec2", method) for method in METHODS if method not in ("lora", "dora")]


def stirred(model: Any) -> Any:
    """Moves everything that PEFT trains away from its start."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def encoder_with(name: str, folder: Path, **options: Any) -> Any:
    """An encoder of transformers with an adapter, and both folders."""
    torch.manual_seed(0)
    family, kind = CLASSES[name]
    model = getattr(transformers, family + kind)(getattr(transformers, f"{family}Config")(**WAV2VEC2_SHAPE))
    model.save_pretrained(folder / "base")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder / "base")
    model = transformers.AutoModel.from_pretrained(folder / "base")
    adapted = stirred(peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=3, **options)))
    adapted.save_pretrained(folder / "adapter")
    return adapted


def states_of(name: str, folder: Path, waveforms: torch.Tensor) -> tuple[torch.Tensor, ...]:
    backbone = load_pretrained(name, folder).eval()
    return backbone(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states


@pytest.mark.parametrize(("name", "method"), ACTS)
@torch.no_grad()
def test_an_encoder_with_its_adapter_gives_the_states_of_peft(name: str, method: str, tmp_path: Path) -> None:
    adapted = encoder_with(name, tmp_path, **METHODS[method])
    waveforms = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))
    found = states_of(name, tmp_path / "adapter", waveforms)
    for state, truth in zip(found, raw_states(adapted.base_model.model, waveforms), strict=True):
        torch.testing.assert_close(state, truth, rtol=0, atol=1e-4)
    plain = states_of(name, tmp_path / "base", waveforms)
    assert (plain[-1] - found[-1]).abs().max() > 1e-2


@torch.no_grad()
def test_a_pattern_that_begins_at_the_encoder_holds_where_the_base_has_a_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**WAV2VEC2_SHAPE, vocab_size=5))
    whole.save_pretrained(tmp_path / "base")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path / "base")
    model = transformers.AutoModel.from_pretrained(tmp_path / "base")
    layer = "encoder.layers.0.attention.q_proj"
    options = {"alpha_pattern": {f"^{layer}": 30}, "target_modules": ["q_proj"], "lora_bias": True}
    adapted = stirred(peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=3, **options)))
    adapted.save_pretrained(tmp_path / "adapter")
    waveforms = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))
    found = states_of("wav2vec2", tmp_path / "adapter", waveforms)
    for state, truth in zip(found, raw_states(adapted.base_model.model, waveforms), strict=True):
        torch.testing.assert_close(state, truth, rtol=0, atol=1e-4)


@torch.no_grad()
def test_adapters_that_wavlm_never_called_are_left_out_and_said(tmp_path: Path, caplog) -> None:
    adapted = encoder_with("wavlm", tmp_path, target_modules=["q_proj", "k_proj", "v_proj", "out_proj"])
    waveforms = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))
    truth = raw_states(adapted.base_model.model, waveforms)[-1]
    with caplog.at_level(logging.WARNING):
        found = states_of("wavlm", tmp_path / "adapter", waveforms)[-1]
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-4)
    assert "8 adapters on k_proj, out_proj, q_proj, v_proj of WavLM's attention are left out" in caplog.text
    merged = raw_states(adapted.merge_and_unload(), waveforms)[-1]
    assert (merged - truth).abs().max() > 1e-2  # merging, as PEFT does it, would be another model


def classifier_with(folder: Path, name: str) -> tuple[Any, Any]:
    """A classifier whose adapter and head PEFT saved, which knows no names of classes, and what it hears with."""
    torch.manual_seed(0)
    if name == "whisper":
        config = transformers.WhisperConfig(
            **WHISPER_SHAPE, max_source_positions=100, classifier_proj_size=8, num_labels=3
        )
        base = transformers.WhisperForAudioClassification(config)
        model_class, extractor = type(base), transformers.WhisperFeatureExtractor(chunk_length=2)
    else:
        config = transformers.Wav2Vec2Config(**WAV2VEC2_SHAPE, classifier_proj_size=8)
        base = transformers.Wav2Vec2Model(config)
        model_class, extractor = transformers.Wav2Vec2ForSequenceClassification, transformers.Wav2Vec2FeatureExtractor()
    base.save_pretrained(folder / "base")
    extractor.save_pretrained(folder / "base")
    model = model_class.from_pretrained(folder / "base", num_labels=3)
    options = {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["projector", "classifier"]}
    adapted = stirred(peft.get_peft_model(model, peft.LoraConfig(r=2, **options)))
    adapted.save_pretrained(folder / "adapter")
    return adapted, extractor


@pytest.mark.parametrize("name", ["wav2vec2", "whisper"])
def test_a_classifier_of_peft_answers_as_there(name: str, tmp_path: Path) -> None:
    adapted, extractor = classifier_with(tmp_path, name)
    folder = tmp_path / "adapter"
    with pytest.raises(ModelError, match="id2label"):
        emotune.load(folder)
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "angry", "1": "neutral", "2": "sad"}}))
    clip = torch.randn(9000, generator=torch.Generator().manual_seed(1)).numpy()
    with torch.no_grad():
        logits = adapted(**extractor(clip, sampling_rate=16000, return_tensors="pt")).logits
    found = emotune.load(folder, device="cpu").predict(clip, 16000).probabilities
    assert list(found) == ["anger", "neutral", "sadness"]
    torch.testing.assert_close(torch.tensor(list(found.values())), logits.softmax(1)[0], rtol=0, atol=2e-5)


def changed(folder: Path, **settings: Any) -> Path:
    path = folder / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder / "adapter"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("peft")
    encoder_with("wav2vec2", folder, **METHODS["lora"])
    return folder


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "IA3"}, r"peft_type is 'IA3'.*(?s:.*)merge_and_unload"),
        ({"init_lora_weights": "pissa"}, "changes the weights of the base too"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out is True, and is not known"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
        ({"lora_alpha": "much"}, "lora_alpha is 'much', expected a number above 0"),
        ({"alpha_pattern": {"(a+)+$": 1}}, "expected ends of names of layers"),
        ({"r": 3}, r"lora_A.weight of .* has shape \[2, 32\], expected \[3, 32\]"),
        ({"use_dora": True}, "use_dora is true, and .* lacks lengths"),
        ({"base_model_name_or_path": None}, "does not say which model it changes"),
        ({"base_model_name_or_path": "/nowhere/at/all"}, "there is no such folder here"),
    ],
)
def test_what_would_be_another_model_is_refused(whole: Path, settings: dict, message: str) -> None:
    kept = (whole / "adapter" / "adapter_config.json").read_text()
    try:
        with pytest.raises(ModelError, match=message):
            load_pretrained("wav2vec2", changed(whole, **settings))
    finally:
        (whole / "adapter" / "adapter_config.json").write_text(kept)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            lambda values: values.pop(next(name for name in values if "lora_B" in name)),
            "lora_B.weight of .* is missing",
        ),
        (lambda values: values.update({"stranger.weight": torch.ones(2)}), "does not begin with base_model"),
        (lambda values: next(iter(values.values())).fill_(torch.nan), "NaN or infinite"),
        (
            lambda values: values.update({n.replace("layers.1", "layers.9"): values.pop(n) for n in list(values)}),
            "does not fit its base: no weight, or more than one, is its",
        ),
        (
            lambda values: values.update({"base_model.model.mystery.weight": torch.ones(2)}),
            "unexpected: mystery.weight",
        ),
    ],
)
def test_damaged_weights_of_an_adapter_are_refused(whole: Path, fault, message: str, tmp_path: Path) -> None:
    values = safetensors.torch.load_file(whole / "adapter" / "adapter_model.safetensors")
    fault(values)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text((whole / "adapter" / "adapter_config.json").read_text())
    safetensors.torch.save_file(values, tmp_path / "adapter" / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=message):
        load_pretrained("wav2vec2", tmp_path / "adapter")
