"""A folder from transformers' Trainer, fine-tuned on EmoDB-4: with us it answers the same, and trains on."""

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
pytest.importorskip("accelerate")

CLASSES = ["anger", "happiness", "neutral", "sadness"]
A_CLASS, STEPS = 3, 6
pytestmark = pytest.mark.load


@pytest.fixture(scope="module")
def clips(shared) -> list[tuple[np.ndarray, str]]:
    """A few clips of each class of EmoDB-4: samples and class."""
    folder = shared / "data" / "emodb4"
    if not folder.is_dir() or not (shared / "models" / "whisper-tiny.en-encoder").is_dir():
        pytest.skip(f"no data/emodb4 or models/whisper-tiny.en-encoder in {shared}")
    with (folder / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    chosen = [row for name in CLASSES for row in [r for r in rows if r["emotion"] == name][:A_CLASS]]
    return [(soundfile.read(folder / row["file"], dtype="float32")[0], row["emotion"]) for row in chosen]


@pytest.fixture(scope="module")
def trained(shared, clips, tmp_path_factory) -> Path:
    """The folder that Trainer leaves, of an encoder of which every weight was trained for a few steps."""
    transformers.set_seed(0)
    encoder = transformers.models.whisper.modeling_whisper.WhisperEncoder.from_pretrained(
        shared / "models" / "whisper-tiny.en-encoder", dtype=torch.float32
    )
    config = encoder.config
    config.id2label, config.label2id = dict(enumerate(CLASSES)), {name: place for place, name in enumerate(CLASSES)}
    model = transformers.WhisperForAudioClassification(config)
    model.encoder.load_state_dict(encoder.state_dict())
    extractor = transformers.WhisperFeatureExtractor()
    features = extractor([samples for samples, _ in clips], sampling_rate=16000).input_features
    rows = [
        {"input_features": torch.as_tensor(feature), "labels": CLASSES.index(name)}
        for feature, (_, name) in zip(features, clips, strict=True)
    ]
    folder = tmp_path_factory.mktemp("trainer") / "out"
    settings = transformers.TrainingArguments(
        str(folder / "work"),
        max_steps=STEPS,
        per_device_train_batch_size=4,
        learning_rate=1e-4,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(model, settings, train_dataset=rows, processing_class=extractor)
    trainer.train()
    moved = model.encoder.layers[0].fc1.weight.detach() - encoder.layers[0].fc1.weight.detach()
    assert float(moved.abs().max()) > 1e-5
    trainer.save_model(str(folder / "model"))
    return folder / "model"


def test_it_answers_as_transformers_own_pipeline(trained, clips) -> None:
    theirs = transformers.pipeline("audio-classification", model=str(trained), top_k=None)
    ours = emotune.load(trained, device="cpu")
    for samples, _ in clips[::4]:
        expected = {one["label"]: one["score"] for one in theirs({"raw": samples, "sampling_rate": 16000})}
        found = ours.predict(samples, 16000).probabilities
        assert set(found) == set(CLASSES)
        assert max(abs(found[name] - expected[name]) for name in CLASSES) < 1e-4


def test_training_goes_on_with_us(trained, shared, tmp_path) -> None:
    import_model(trained, tmp_path / "imported")
    manifest = read_corpus(CORPORA["emodb"], shared / "data" / "emodb4")
    few = [u for name in CLASSES for u in [u for u in manifest if u.emotion == name][:3]]
    split = dict(zip([u.utterance_id for u in few], ["train", "train", "development"] * len(CLASSES), strict=True))
    rows = tuple(dataclasses.replace(u, split=split[u.utterance_id]) for u in manifest if u.utterance_id in split)
    dataclasses.replace(manifest, utterances=rows).write(tmp_path / "m.csv")
    content = {
        "name": "on",
        "data": {"manifest": str(tmp_path / "m.csv"), "allow": ["speaker_overlap"]},
        "model": {"start": str(tmp_path / "imported"), "backbone": {"train": 1}},
        "train": {"epochs": 1, "batch_seconds": 60.0},
    }
    train_run(Recipe.model_validate(content), tmp_path / "run")
    ours, start = load_model(tmp_path / "run"), load_model(tmp_path / "imported")
    assert set(ours.model.label_space.classes) == set(CLASSES)
    kept, before = ours.model.state_dict(), start.model.state_dict()
    layers = [name for name in before if name.startswith("backbone.layers.")]
    changed = {name.split(".")[2] for name in layers if not torch.equal(kept[name], before[name])}
    assert changed == {"3"}  # the top one of four, which was asked to train
