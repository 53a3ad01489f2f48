"""Our w2v-BERT 2.0 against transformers' own, from the waveform on, with constructed weights."""

from typing import Any

import numpy as np
import pytest
import torch
from layer_states import assert_same_gradients

from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_weights
from emotune.models.backbones.filter_bank import kaldi_filters, normed_filter_bank

transformers = pytest.importorskip("transformers")

CONFIG = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "left_max_position_embeddings": 7,
    "right_max_position_embeddings": 3,
}


def reference() -> Any:
    torch.manual_seed(0)
    model = transformers.Wav2Vec2BertModel(transformers.Wav2Vec2BertConfig(**CONFIG)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def ours(model: Any, *, layers: int | None = None) -> Backbone:
    backbone = BACKBONES["wav2vec2-bert"].from_config(CONFIG, layers=layers).eval()
    load_weights(backbone, model.state_dict(), source="transformers")
    return backbone


def speech_like(samples: int) -> np.ndarray:
    """Noise that is loud and quiet, as its own level would hide faults of the filter bank."""
    generator = np.random.default_rng(samples)
    return (0.2 * generator.standard_normal(samples) * np.linspace(0.01, 1, samples)).astype(np.float32)


def heard(waveforms: list[np.ndarray]) -> dict[str, torch.Tensor]:
    return transformers.SeamlessM4TFeatureExtractor()(waveforms, sampling_rate=16000, return_tensors="pt")


@pytest.mark.parametrize("samples", [560, 720, 5137, 32000])
@pytest.mark.parametrize("graph", [False, True], ids=["packed", "padded"])
def test_every_state_equals_that_of_transformers(samples: int, graph: bool) -> None:
    model = reference()
    waveform = speech_like(samples)
    inputs = heard([waveform])
    real = inputs["attention_mask"][0].bool()
    with torch.no_grad():
        expected = model(**inputs, output_hidden_states=True).hidden_states
    waveforms = torch.from_numpy(waveform)[None]
    with torch.set_grad_enabled(graph):
        states = ours(model)(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states
    assert len(states) == len(expected) == 4
    for state, truth in zip(states, expected, strict=True):
        torch.testing.assert_close(state[0].detach(), truth[0, real], rtol=0, atol=1e-4)


def test_the_filter_bank_is_that_of_transformers_for_each_clip_of_a_batch() -> None:
    clips = [speech_like(samples) for samples in (8000, 720, 4321)]
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(clip) for clip in clips], batch_first=True)
    found = normed_filter_bank(padded, torch.tensor([len(clip) for clip in clips]), bins=80)
    for row, clip in zip(found, clips, strict=True):
        truth = heard([clip])["input_features"].reshape(-1, 80)
        windows = 1 + (len(clip) - 400) // 160
        torch.testing.assert_close(row[: len(truth)].float()[:windows], truth[:windows], rtol=0, atol=2e-4)
    theirs = transformers.SeamlessM4TFeatureExtractor().mel_filters
    np.testing.assert_allclose(kaldi_filters(80).T, theirs, atol=1e-12)


def test_gradients_equal_those_of_transformers() -> None:
    model = reference()
    backbone = ours(model).double()
    model = model.double()
    waveforms = torch.from_numpy(speech_like(3120))[None].double()
    found = backbone(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states
    features = normed_filter_bank(waveforms, torch.tensor([3120]), bins=80).reshape(1, len(found[0][0]), 160)
    expected = model(features, output_hidden_states=True).hidden_states
    assert_same_gradients(model, expected, backbone, found)


def test_a_cut_model_takes_the_weights_of_a_whole_one_under_a_head() -> None:
    config = transformers.Wav2Vec2BertConfig(**CONFIG, vocab_size=7)
    whole = transformers.Wav2Vec2BertForCTC(config).eval()
    backbone = BACKBONES["wav2vec2-bert"].from_config(CONFIG, layers=2).eval()
    load_weights(backbone, whole.state_dict(), source="transformers")
    waveform = speech_like(5000)
    waveforms = torch.from_numpy(waveform)[None]
    with torch.no_grad():
        states = backbone(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states
        expected = whole.wav2vec2_bert(**heard([waveform]), output_hidden_states=True).hidden_states
    torch.testing.assert_close(states[2], expected[2][:, : states[2].shape[1]], rtol=0, atol=1e-4)


def test_the_full_size_has_as_many_parameters_as_transformers() -> None:
    with torch.device("meta"):
        backbone = BACKBONES["wav2vec2-bert"].from_config({})
        theirs = transformers.Wav2Vec2BertModel(transformers.Wav2Vec2BertConfig())
    masked = theirs.masked_spec_embed.numel()
    assert sum(p.numel() for p in backbone.parameters()) == sum(p.numel() for p in theirs.parameters()) - masked
