"""Our Whisper encoder and log-mel spectrogram against transformers' ones, with the real weights of tiny.en."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from builders.models import WHISPER
from emotune.models.backbones.checkpoint import load_pretrained, load_weights
from emotune.models.backbones.log_mel import log_mel, mel_filters
from emotune.models.backbones.whisper import Whisper, sinusoids

transformers = pytest.importorskip("transformers")

SHARED = Path(os.environ.get("EMOTUNE_SHARED", Path(__file__).parents[2] / ".." / "shared"))
TINY = SHARED / "models" / "whisper-tiny.en-encoder"
needs_weights = pytest.mark.skipif(not TINY.is_dir(), reason=f"no whisper-tiny.en-encoder in {SHARED}/models")


def speech_like(samples: int, total: int = 480_000) -> Tensor:
    """Noise through a slow envelope and a low pass, then silence; shape (1, total)."""
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(0))
    low = torch.nn.functional.avg_pool1d(noise[None, None], 9, stride=1, padding=4)[0, 0]
    envelope = 0.5 + 0.5 * torch.sin(torch.arange(samples) / 16000 * 2 * torch.pi * 4)
    return torch.nn.functional.pad(0.3 * low * envelope, (0, total - samples))[None]


def everything(waveforms: Tensor) -> Tensor:
    return torch.ones(waveforms.shape, dtype=torch.bool)


def reference_features(waveform: Tensor, bins: int = 80) -> Tensor:
    extractor = transformers.WhisperFeatureExtractor(feature_size=bins)
    return extractor(waveform[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features


def reference_encoder() -> Any:
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    return WhisperEncoder.from_pretrained(TINY, dtype=torch.float32, attn_implementation="eager").eval()


def raw_states(encoder: Any, features: Tensor) -> list[Tensor]:
    states: list[Tensor] = []
    layers = list(encoder.layers)
    hooks = [layers[0].register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))]
    hooks += [layer.register_forward_hook(lambda _, __, output: states.append(output)) for layer in layers]
    encoder(features)
    for hook in hooks:
        hook.remove()
    return states


@pytest.mark.parametrize("bins", [80, 128])
def test_the_mel_filters_equal_those_of_transformers(bins: int) -> None:
    expected = transformers.WhisperFeatureExtractor(feature_size=bins).mel_filters.T
    np.testing.assert_allclose(mel_filters(bins), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("bins", [80, 128])
def test_the_log_mel_spectrogram_equals_that_of_transformers(bins: int) -> None:
    waveform = speech_like(24 * 16000)
    found = log_mel(waveform, torch.tensor([480_000]), bins=bins)
    torch.testing.assert_close(found, reference_features(waveform, bins), rtol=0, atol=1e-4)


def test_a_short_clip_has_the_spectrogram_it_has_within_its_30_seconds() -> None:
    waveform = speech_like(16000 * 3 + 77)
    found = log_mel(waveform[:, : 16000 * 3 + 77], torch.tensor([16000 * 3 + 77]), bins=80)
    assert found.shape == (1, 80, 300)
    torch.testing.assert_close(found, reference_features(waveform)[:, :, :300], rtol=0, atol=1e-4)


def test_the_floor_of_a_clip_comes_from_its_own_frames_in_a_batch_too() -> None:
    samples = torch.tensor([9999, 16000])
    waveforms = torch.cat([speech_like(5000, total=16000), 50 * speech_like(16000, total=16000)])
    waveforms[0, 9998] = 100.0  # a click that no frame of the clip sees, but the first padded frame does
    alone = log_mel(waveforms[:1, :9999], samples[:1], bins=80)
    batched = log_mel(waveforms, samples, bins=80)
    assert alone.shape == (1, 80, 62)
    torch.testing.assert_close(batched[:1, :, :62], alone, rtol=0, atol=1e-5)
    assert not batched[0, :, 62:].any()


@needs_weights
@torch.no_grad()
def test_every_state_of_30_seconds_equals_that_of_transformers() -> None:
    waveform = speech_like(24 * 16000)
    expected = raw_states(reference_encoder(), reference_features(waveform))
    hidden = load_pretrained("whisper", TINY).eval()(waveform, everything(waveform))
    assert hidden.mask.shape == (1, 1500)
    assert hidden.mask.all()
    assert len(hidden.states) == len(expected) == 5
    for state, truth in zip(hidden.states, expected, strict=True):
        # Relative too: the real weights drive single features of the last layer to 590.
        torch.testing.assert_close(state, truth, rtol=1e-5, atol=1e-4)


@needs_weights
@torch.no_grad()
def test_with_the_final_norm_the_last_state_is_the_published_last_hidden_state() -> None:
    waveform = speech_like(24 * 16000)
    found = load_pretrained("whisper", TINY, final_norm=True).eval()(waveform, everything(waveform)).states[-1]
    expected = reference_encoder()(reference_features(waveform)).last_hidden_state
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


@needs_weights
@torch.no_grad()
def test_a_truncated_model_gives_the_full_models_raw_states() -> None:
    waveform = speech_like(16000, total=16000)
    full = load_pretrained("whisper", TINY).eval()(waveform, everything(waveform))
    cut = load_pretrained("whisper", TINY, layers=2).eval()(waveform, everything(waveform))
    assert len(cut.states) == 3
    for state, truth in zip(cut.states, full.states, strict=False):
        assert torch.equal(state, truth)


def test_the_random_position_table_is_that_of_transformers() -> None:
    from transformers.models.whisper.modeling_whisper import sinusoids as expected

    torch.testing.assert_close(sinusoids(1500, 384), expected(1500, 384), rtol=0, atol=1e-4)


def test_the_weights_of_a_whole_whisper_load() -> None:
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "vocab_size": 50}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    whole = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**WHISPER, **decoder, **tokens))
    for state in (whole.state_dict(), whole.model.state_dict(), whole.model.encoder.state_dict()):
        backbone = Whisper.from_config(WHISPER)
        load_weights(backbone, state, source="transformers")
        assert torch.equal(backbone.conv2.weight, whole.model.encoder.conv2.weight)
