"""The real Whisper encoder, fine-tuned by transformers on real speech: with us it answers the same, and trains on."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import emotune
from emotune.config.recipe import Recipe
from emotune.corpora import CORPORA, read_corpus
from emotune.models.published.import_model import import_model
from emotune.models.store import load_model
from emotune.training.fine_tune import train_run

transformers = pytest.importorskip("transformers")

CLASSES = ["anger", "happiness", "neutral", "sadness"]
STEPS = 20


@pytest.fixture(scope="module")
def clips(shared) -> list[tuple[np.ndarray, str]]:
    """One clip of each class of EmoDB-4: samples and class."""
    folder = shared / "data" / "emodb4"
    if not folder.is_dir() or not (shared / "models" / "whisper-tiny.en-encoder").is_dir():
        pytest.skip(f"no data/emodb4 or models/whisper-tiny.en-encoder in {shared}")
    with (folder / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    found = {}
    for row in rows:
        found.setdefault(row["emotion"], folder / row["file"])
    return [(soundfile.read(found[name], dtype="float32")[0], name) for name in CLASSES]


@pytest.fixture(scope="module")
def fine_tuned(shared, clips, tmp_path_factory) -> Path:
    """A folder that transformers saved, of a head trained for a few steps over the frozen encoder."""
    torch.manual_seed(0)
    encoder = transformers.models.whisper.modeling_whisper.WhisperEncoder.from_pretrained(
        shared / "models" / "whisper-tiny.en-encoder", dtype=torch.float32
    )
    config = encoder.config
    config.id2label, config.label2id = dict(enumerate(CLASSES)), {name: place for place, name in enumerate(CLASSES)}
    model = transformers.WhisperForAudioClassification(config)
    model.encoder.load_state_dict(encoder.state_dict())
    model.freeze_encoder()
    extractor = transformers.WhisperFeatureExtractor()
    inputs = extractor([samples for samples, _ in clips], sampling_rate=16000, return_tensors="pt")
    states = model.encoder(inputs.input_features)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(STEPS):
        loss = model(encoder_outputs=states, labels=torch.arange(len(CLASSES))).loss
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.7 * losses[0]
    folder = tmp_path_factory.mktemp("transformers") / "model"
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def test_it_answers_as_transformers_own_pipeline(fine_tuned, clips) -> None:
    theirs = transformers.pipeline("audio-classification", model=str(fine_tuned), top_k=None)
    ours = emotune.load(fine_tuned, device="cpu")
    for samples, _ in clips[:2]:
        expected = {one["label"]: one["score"] for one in theirs({"raw": samples, "sampling_rate": 16000})}
        found = ours.predict(samples, 16000).probabilities
        assert set(found) == set(CLASSES)
        assert max(abs(found[name] - expected[name]) for name in CLASSES) < 1e-4


@pytest.mark.load
def test_training_goes_on_with_us(fine_tuned, shared, tmp_path) -> None:
    import_model(fine_tuned, tmp_path / "imported")
    manifest = read_corpus(CORPORA["emodb"], shared / "data" / "emodb4")
    few = [u for name in CLASSES for u in [u for u in manifest if u.emotion == name][:3]]
    split = dict(zip([u.utterance_id for u in few], ["train", "train", "development"] * len(CLASSES), strict=True))
    write_split(manifest, split, tmp_path / "m.csv")
    content = {
        "name": "on",
        "data": {"manifest": str(tmp_path / "m.csv"), "allow": ["speaker_overlap"]},
        "model": {"start": str(tmp_path / "imported"), "backbone": {"train": "none"}},
        "train": {"epochs": 1, "batch_seconds": 60.0},
    }
    train_run(Recipe.model_validate(content), tmp_path / "run")
    ours = load_model(tmp_path / "run")
    assert set(ours.model.label_space.classes) == set(CLASSES)
    assert (ours.preprocessing.min_samples, ours.preprocessing.too_short) == (480_000, "pad")
    kept, start = ours.model.state_dict(), load_model(tmp_path / "imported").model.state_dict()
    assert all(torch.equal(kept[name], start[name]) for name in start if name.startswith("backbone."))


def write_split(manifest, split: dict[str, str], path: Path) -> None:
    rows = tuple(dataclasses.replace(u, split=split[u.utterance_id]) for u in manifest if u.utterance_id in split)
    dataclasses.replace(manifest, utterances=rows).write(path)
