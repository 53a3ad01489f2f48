"""A folder from transformers' Trainer, fine-tuned on EmoDB-4: with us it answers the same, and trains on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from builders.whisper_classifier import (
    CLASSES,
    assert_answers_are_the_pipelines,
    clips_of_emodb,
    trained_on,
    untrained_classifier,
)
from emotune.models.store import load_model

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

A_CLASS, STEPS = 3, 6
pytestmark = pytest.mark.load


@pytest.fixture(scope="module")
def clips(shared) -> list[tuple[np.ndarray, str]]:
    return clips_of_emodb(shared, A_CLASS)


@pytest.fixture(scope="module")
def trained(shared, clips, tmp_path_factory) -> Path:
    """The folder that Trainer leaves, of an encoder of which every weight was trained for a few steps."""
    transformers.set_seed(0)
    model = untrained_classifier(shared)
    before = model.encoder.layers[0].fc1.weight.detach().clone()
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
    moved = model.encoder.layers[0].fc1.weight.detach() - before
    assert float(moved.abs().max()) > 1e-5
    trainer.save_model(str(folder / "model"))
    return folder / "model"


def test_it_answers_as_transformers_own_pipeline(trained, clips) -> None:
    assert_answers_are_the_pipelines(trained, clips[::4])


def test_training_goes_on_with_us(trained, shared, tmp_path) -> None:
    trained_on(trained, shared, tmp_path, train=1)
    ours, start = load_model(tmp_path / "run"), load_model(tmp_path / "imported")
    assert set(ours.model.label_space.classes) == set(CLASSES)
    kept, before = ours.model.state_dict(), start.model.state_dict()
    layers = [name for name in before if name.startswith("backbone.layers.")]
    changed = {name.split(".")[2] for name in layers if not torch.equal(kept[name], before[name])}
    assert changed == {"3"}  # the top one of four, which was asked to train
