"""Classifiers of transformers over the real Whisper encoder, and the few clips of EmoDB-4 that they learn from."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import emotune
from emotune.config.recipe import Recipe
from emotune.corpora import CORPORA, read_corpus
from emotune.models.published.import_model import import_model
from emotune.training.fine_tune import train_run

CLASSES = ["anger", "happiness", "neutral", "sadness"]


def clips_of_emodb(shared: Path, a_class: int) -> list[tuple[np.ndarray, str]]:
    """The first clips of each class: samples and class."""
    folder = shared / "data" / "emodb4"
    if not folder.is_dir() or not (shared / "models" / "whisper-tiny.en-encoder").is_dir():
        pytest.skip(f"no data/emodb4 or models/whisper-tiny.en-encoder in {shared}")
    with (folder / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    chosen = [row for name in CLASSES for row in [row for row in rows if row["emotion"] == name][:a_class]]
    return [(soundfile.read(folder / row["file"], dtype="float32")[0], row["emotion"]) for row in chosen]


def untrained_classifier(shared: Path) -> Any:
    """A new head of transformers' own on the encoder, whose weights are taken over."""
    import torch
    import transformers

    encoder = transformers.models.whisper.modeling_whisper.WhisperEncoder.from_pretrained(
        shared / "models" / "whisper-tiny.en-encoder", dtype=torch.float32
    )
    config = encoder.config
    config.id2label, config.label2id = dict(enumerate(CLASSES)), {name: place for place, name in enumerate(CLASSES)}
    model = transformers.WhisperForAudioClassification(config)
    model.encoder.load_state_dict(encoder.state_dict())
    return model


def assert_answers_are_the_pipelines(folder: Path, clips: list[tuple[np.ndarray, str]]) -> None:
    """Ours of a folder are within 1e-4 of those of transformers' own pipeline."""
    import transformers

    theirs = transformers.pipeline("audio-classification", model=str(folder), top_k=None)
    ours = emotune.load(folder, device="cpu")
    for samples, _ in clips:
        expected = {one["label"]: one["score"] for one in theirs({"raw": samples, "sampling_rate": 16000})}
        found = ours.predict(samples, 16000).probabilities
        assert set(found) == set(CLASSES)
        assert max(abs(found[name] - expected[name]) for name in CLASSES) < 1e-4


def trained_on(folder: Path, shared: Path, place: Path, *, train: str | int) -> None:
    """Imports a folder to ``place/imported`` and trains on for an epoch of three clips a class, into ``place/run``."""
    import_model(folder, place / "imported")
    manifest = read_corpus(CORPORA["emodb"], shared / "data" / "emodb4")
    few = [u for name in CLASSES for u in [u for u in manifest if u.emotion == name][:3]]
    split = dict(zip([u.utterance_id for u in few], ["train", "train", "development"] * len(CLASSES), strict=True))
    rows = tuple(dataclasses.replace(u, split=split[u.utterance_id]) for u in manifest if u.utterance_id in split)
    dataclasses.replace(manifest, utterances=rows).write(place / "m.csv")
    content = {
        "name": "on",
        "data": {"manifest": str(place / "m.csv"), "allow": ["speaker_overlap"]},
        "model": {"start": str(place / "imported"), "backbone": {"train": train}},
        "train": {"epochs": 1, "batch_seconds": 60.0},
    }
    train_run(Recipe.model_validate(content), place / "run")
