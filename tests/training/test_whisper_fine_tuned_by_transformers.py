"""The real Whisper encoder, fine-tuned by transformers on real speech: with us it answers the same, and trains on."""

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

STEPS = 20


@pytest.fixture(scope="module")
def clips(shared) -> list[tuple[np.ndarray, str]]:
    return clips_of_emodb(shared, 1)


@pytest.fixture(scope="module")
def fine_tuned(shared, clips, tmp_path_factory) -> Path:
    """A folder that transformers saved, of a head trained for a few steps over the frozen encoder."""
    torch.manual_seed(0)
    model = untrained_classifier(shared)
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
    assert_answers_are_the_pipelines(fine_tuned, clips[:2])


@pytest.mark.load
def test_training_goes_on_with_us(fine_tuned, shared, tmp_path) -> None:
    trained_on(fine_tuned, shared, tmp_path, train="none")
    ours = load_model(tmp_path / "run")
    assert set(ours.model.label_space.classes) == set(CLASSES)
    assert (ours.preprocessing.min_samples, ours.preprocessing.too_short) == (480_000, "pad")
    kept, start = ours.model.state_dict(), load_model(tmp_path / "imported").model.state_dict()
    assert all(torch.equal(kept[name], start[name]) for name in start if name.startswith("backbone."))
