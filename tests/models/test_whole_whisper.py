"""The whole of Whisper tiny.en with its real weights: what transformers computes, and what faster-whisper hears."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from emotune import audio
from emotune.errors import ModelError
from emotune.metrics.words import plain_words
from emotune.models.backbones.log_mel import log_mel
from emotune.models.sequences.base import load_base
from emotune.models.sequences.decoding import transcripts
from emotune.models.sequences.encoder_decoder import EncoderDecoder
from emotune.models.sequences.sequence_model import SequenceModel

SHARED = Path(os.environ.get("EMOTUNE_SHARED", Path(__file__).parents[2] / ".." / "shared"))
CT2, TOOL = SHARED / "models" / "whisper-tiny.en-ct2", SHARED / "tools" / "whisper_ct2_to_torch.py"
pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(not (CT2.is_dir() and TOOL.is_file()), reason=f"no whole Whisper tiny.en in {SHARED}"),
]
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whisper") / "whisper-tiny.en"
    subprocess.run([sys.executable, TOOL, CT2, out], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def base(folder) -> EncoderDecoder:
    return load_base(folder).model


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    """Two clips of RAVDESS within 30 s of silence, shape (2, samples)."""
    files = sorted((SHARED / "data" / "ravdess" / "audio").rglob("*.*"))[:200:150]
    padded = torch.zeros(2, 480_000)
    for row, path in enumerate(files):
        samples = audio.clip(path).samples
        padded[row, : len(samples)] = torch.from_numpy(samples)
    return padded


@torch.no_grad()
def test_encoder_and_decoder_give_the_scores_of_transformers(folder, base, speech):
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    features = log_mel(speech, torch.full((2,), speech.shape[1]), bins=80)
    tokens = torch.tensor([[*base.prompt, 11, 257, 314]] * 2)
    expected = theirs(input_features=features, decoder_input_ids=tokens).logits
    heard = base.hear(speech, torch.ones_like(speech, dtype=torch.bool))
    hidden, _ = base.decoder(base.embedded(tokens), heard.attended, heard.mask)
    assert torch.allclose(base.decoder.scores(hidden, slice(None)), expected, atol=1e-3)


def test_it_transcribes_as_faster_whisper_does(base, speech):
    faster_whisper = pytest.importorskip("faster_whisper")
    theirs = faster_whisper.WhisperModel(str(CT2), device="cpu", compute_type="float32", cpu_threads=1)
    ours = transcripts(SequenceModel(base).eval(), speech, torch.ones_like(speech, dtype=torch.bool))
    for clip, text in zip(speech.numpy().astype(np.float32), ours, strict=True):
        segments, _ = theirs.transcribe(clip, beam_size=1, without_timestamps=True, language="en")
        said = " ".join(segment.text for segment in segments)
        assert len(plain_words(text)) > 3 and plain_words(text) == plain_words(said)


def test_an_encoder_alone_and_a_folder_without_tokenizer_are_refused(folder, tmp_path):
    with pytest.raises(ModelError, match="encoder without its decoder"):
        load_base(SHARED / "models" / "whisper-tiny.en-encoder")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(folder / name)
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing"):
        load_base(tmp_path)
