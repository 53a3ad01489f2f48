"""Fixtures that several test folders share."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotune import audio
from emotune.labels import LabelSpace
from emotune.manifest import Manifest, Utterance

REPOSITORY = Path(__file__).parents[1]
TONES_HZ = {"anger": 440, "neutral": 150}
TONE_SPLITS = ("train", "train", "train", "train", "development", "development")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real recordings and checkpoints; they are third-party data and no part of the project."""
    folder = Path(os.environ.get("EMOTUNE_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist (set EMOTUNE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def demo_corpus() -> Path:
    """The synthetic corpus that comes with the examples: ``labels.csv`` and ``audio/``."""
    return REPOSITORY / "examples" / "demo" / "corpus"


@pytest.fixture(scope="session")
def tiny_wavlm() -> dict:
    """Config of a WavLM that runs in milliseconds: a frame every 40 ms, nothing random in training."""
    return {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": [8, 8, 8],
        "conv_kernel": [40, 8, 4],
        "conv_stride": [20, 8, 4],
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 4,
        "num_buckets": 16,
        "max_bucket_distance": 40,
        "hidden_dropout": 0.0,
        "activation_dropout": 0.0,
        "attention_dropout": 0.0,
    }


@pytest.fixture(scope="session")
def tones(tmp_path_factory) -> Manifest:
    """24 short clips by six speakers, a high tone for anger and a low one for neutral; arousal follows the class."""
    root = tmp_path_factory.mktemp("tones")
    generator = np.random.default_rng(0)
    utterances = []
    for number in range(24):
        speaker, emotion = number // 4, list(TONES_HZ)[number % 2]
        samples = int(generator.integers(6000, 14000))
        phase = 2 * np.pi * TONES_HZ[emotion] * (1 + 0.05 * speaker) * np.arange(samples) / 16000
        path = root / f"s{speaker}" / f"{number:02d}.wav"
        path.parent.mkdir(exist_ok=True)
        clip = 0.3 * np.sin(phase) + 0.1 * generator.standard_normal(samples)
        soundfile.write(path, clip, 16000, subtype="PCM_16")
        recording = audio.decode(path)
        utterances.append(
            Utterance(
                f"u{number:02d}",
                path.relative_to(root).as_posix(),
                duration_s=recording.duration_s,
                content_sha256=recording.content_sha256(),
                speaker=f"s{speaker}",
                gender=("female", "male")[speaker % 2],
                split=TONE_SPLITS[speaker],
                emotion=emotion,
            )
        )
    manifest = Manifest(tuple(utterances), LabelSpace(("anger", "neutral")), root, {"corpus": "tones"})
    manifest.write(root / "manifest.csv")
    return manifest
