"""Encoders out of folders that transformers itself wrote, of every class that stands on one."""

import json
from pathlib import Path

import pytest
import torch
from layer_states import raw_states

from builders.transformers_shapes import WAV2VEC2_SHAPE, WHISPER_SHAPE
from emotune.errors import ModelError
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.backbones.log_mel import log_mel

transformers = pytest.importorskip("transformers")

SMALL = {
    **WAV2VEC2_SHAPE,
    "vocab_size": 9,
    "classifier_proj_size": 8,
    "tdnn_dim": [8, 8],
    "tdnn_kernel": [3, 1],
    "tdnn_dilation": [1, 1],
    "xvector_output_dim": 8,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
}
LARGE = {**SMALL, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
WHISPER = {
    **WHISPER_SHAPE,
    "max_source_positions": 100,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "vocab_size": 20,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
FAMILY = {
    "wavlm": "WavLM",
    "hubert": "Hubert",
    "wav2vec2": "Wav2Vec2",
    "unispeech-sat": "UniSpeechSat",
    "data2vec-audio": "Data2VecAudio",
}
OF_FAMILY = {
    "Model": "",
    "ForSequenceClassification": "classification (4 weights: classifier, projector)",
    "ForSequenceClassification, weighted": "classification (5 weights: classifier, layer_weights, projector)",
    "ForCTC": "recognition (2 weights: lm_head)",
}
OF_TWO = {
    "ForXVector": "classification (4 weights: classifier, projector), speaker vectors (7 weights:",
    "ForXVector, weighted": "classification (5 weights: classifier, layer_weights, projector), speaker vectors",
    "ForAudioFrameClassification": "classification (2 weights: classifier)",
}
CASES = [
    *((family, name, said) for family in FAMILY for name, said in OF_FAMILY.items()),
    *((family, name, said) for family in FAMILY if family != "hubert" for name, said in OF_TWO.items()),
    ("wav2vec2", "ForPreTraining", "pre-training (7 weights: project_hid, project_q, quantizer)"),
    ("unispeech-sat", "ForPreTraining", "pre-training (12 weights: label_embeddings_concat, layer_norm_for_extract,"),
]
WHISPER_CASES = {
    "WhisperModel": "Whisper's decoder (",
    "WhisperForConditionalGeneration": "Whisper's decoder (",
    "WhisperForAudioClassification": "classification (4 weights: classifier, projector)",
    "WhisperForAudioClassification, weighted": "classification (5 weights: classifier, layer_weights, projector)",
}


def random_weights(model) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def of_transformers(family: str, name: str, shape=SMALL):
    torch.manual_seed(0)
    name, _, weighted = name.partition(", ")
    config = getattr(transformers, FAMILY[family] + "Config")(**shape, use_weighted_layer_sum=bool(weighted))
    model = getattr(transformers, FAMILY[family] + name)(config).eval()
    random_weights(model)
    return model


def largest_difference(found, expected) -> float:
    assert len(found) == len(expected)
    return max(float((state - truth).abs().max()) for state, truth in zip(found, expected, strict=True))


def assert_same_states(folder: Path, family: str, encoder, samples: int = 3000) -> None:
    loaded = load_pretrained(family, folder).eval()
    waveforms = torch.randn(1, samples, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        states = loaded(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states
        assert largest_difference(states, raw_states(encoder, waveforms)) < 1e-4


@pytest.mark.parametrize(("family", "name", "said"), CASES)
def test_the_encoder_of_every_class_loads_and_what_stands_on_it_is_said(tmp_path, caplog, family, name, said) -> None:
    caplog.set_level("INFO", logger="emotune")
    model = of_transformers(family, name, LARGE if name == "ForCTC" and family != "data2vec-audio" else SMALL)
    model.save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    assert_same_states(tmp_path, family, model if name == "Model" else getattr(model, family.replace("-", "_")))
    assert (f"left out of it: {said}" in caplog.text) if said else not caplog.records


@pytest.mark.parametrize("name", WHISPER_CASES)
def test_the_encoder_of_every_class_of_whisper_loads(tmp_path: Path, caplog, name: str) -> None:
    caplog.set_level("INFO", logger="emotune")
    torch.manual_seed(0)
    class_name, _, weighted = name.partition(", ")
    config = transformers.WhisperConfig(**WHISPER, use_weighted_layer_sum=bool(weighted))
    model = getattr(transformers, class_name)(config).eval()
    random_weights(model)
    model.save_pretrained(tmp_path)
    encoder = model.encoder if hasattr(model, "encoder") else model.model.encoder
    loaded = load_pretrained("whisper", tmp_path, final_norm=True).eval()
    waveform = torch.randn(1, 32_000, generator=torch.Generator().manual_seed(1))
    features = log_mel(waveform, torch.tensor([32_000]), bins=80)
    with torch.no_grad():
        states = loaded(waveform, torch.ones_like(waveform, dtype=torch.bool)).states
        expected = encoder(features, output_hidden_states=True).hidden_states
    assert largest_difference(states, expected) < 1e-4
    assert f"left out of it: {WHISPER_CASES[name]}" in caplog.text


def save_bin_in_shards(model, folder: Path) -> None:
    state = model.state_dict()
    shards = {name: f"pytorch_model-0000{1 + index % 2}-of-00002.bin" for index, name in enumerate(state)}
    for shard in set(shards.values()):
        torch.save({name: state[name] for name in state if shards[name] == shard}, folder / shard)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": shards}))
    model.config.save_pretrained(folder)


FILES = {
    "model.fp16.safetensors": lambda model, folder: model.half().save_pretrained(folder, variant="fp16"),
    "model.safetensors.index.fp16.json": lambda model, folder: model.half().save_pretrained(
        folder, variant="fp16", max_shard_size="20KB"
    ),
    "model.safetensors.index.json": lambda model, folder: model.save_pretrained(folder, max_shard_size="20KB"),
    "pytorch_model.bin.index.json": save_bin_in_shards,
}


@pytest.mark.parametrize("file", FILES)
def test_weights_load_from_every_file_that_holds_them(tmp_path: Path, file: str) -> None:
    model = of_transformers("wavlm", "ForSequenceClassification")
    FILES[file](model, tmp_path)
    assert (tmp_path / file).exists()
    assert not (tmp_path / "model.safetensors").exists()
    assert_same_states(tmp_path, "wavlm", model.float().wavlm)


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    save_bin_in_shards(of_transformers("wavlm", "Model"), tmp_path)
    (tmp_path / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model-00002-of-00002\.bin"):
        load_pretrained("wavlm", tmp_path)


def test_a_head_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    model = of_transformers("wavlm", "ForSequenceClassification")
    model.mystery = torch.nn.Linear(2, 2)
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"2 unexpected: mystery\.bias, mystery\.weight"):
        load_pretrained("wavlm", tmp_path)


def test_adapter_layers_of_transformers_are_refused_by_name(tmp_path: Path) -> None:
    of_transformers("wav2vec2", "Model", {**SMALL, "add_adapter": True}).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="add_adapter is true"):
        load_pretrained("wav2vec2", tmp_path)
