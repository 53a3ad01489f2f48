"""Embeddings of an engine: what comes behind the pooling says of them what the whole model said."""

import numpy as np
import pytest

from builders.models import save_tiny_model
from emotune.inference.jobs.workers import WorkerEngine
from emotune.inference.torch_engine import TorchEngine
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace, Scale

SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
CLIPS = [np.random.default_rng(n).standard_normal(6000 + 3000 * n).astype(np.float32) for n in range(3)]
GENDER = {"gender": np.array([1, 0], dtype=np.float32)}


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"pooling": "mean"}, (3, 16)),
        ({"conditions": {"gender": {}}}, (3, 32)),
        ({"layer_mix": "varan", "varan": {"parameter": 5.0}}, (3, 2, 32)),
    ],
)
def test_answers_to_embeddings_are_those_of_the_whole_model(tmp_path, options, shape):
    engine = TorchEngine.load(save_tiny_model(tmp_path, SPACE, **options))
    engine.calibration = Calibration(temperature=1.7)
    conditions = [GENDER] * 3 if "conditions" in options else []
    whole = engine.run(CLIPS, conditions)
    assert whole.embeddings.shape == shape
    again = engine.answers_to(whole.embeddings, conditions)
    np.testing.assert_allclose(again.probabilities, whole.probabilities, atol=1e-6)
    np.testing.assert_allclose(again.dimensions, whole.dimensions, atol=1e-6)
    moved = engine.answers_to(whole.embeddings + 1, conditions)
    assert np.abs(moved.probabilities - whole.probabilities).max() > 1e-4


def test_worker_processes_answer_to_embeddings_too(tmp_path):
    save_tiny_model(tmp_path, SPACE)
    with WorkerEngine(tmp_path, workers=1) as engine:
        whole = engine.run(CLIPS)
        again = engine.answers_to(whole.embeddings)
    np.testing.assert_allclose(again.probabilities, whole.probabilities, atol=1e-6)
