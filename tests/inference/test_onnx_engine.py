"""The engine of exported models, on graphs written by hand: what they say is known from a formula."""

import json
import subprocess
import sys

import numpy as np
import pytest

import emotune
from builders.exported import save_exported
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError, ModelError
from emotune.inference import load
from emotune.inference.onnx_engine import OnnxEngine
from emotune.schema.labels import LabelSpace, Scale

SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})


def sound(loudness: float, seconds: float = 1.0) -> np.ndarray:
    """Clip of a known root mean square."""
    noise = np.random.default_rng(0).standard_normal(int(16000 * seconds))
    return (loudness * noise / np.sqrt((noise**2).mean())).astype(np.float32)


def anger_of(loudness: float, temperature: float = 1.0) -> float:
    return 1 / (1 + np.exp(-6 * loudness / temperature))


def test_an_exported_folder_is_loaded_by_its_config_and_answers_by_name(tmp_path):
    predictor = emotune.load(save_exported(tmp_path, SPACE))
    prediction = predictor.predict(sound(0.2), 16000)
    assert prediction.probabilities["anger"] == pytest.approx(anger_of(0.2), abs=1e-5)
    assert prediction.dimensions["arousal"] == pytest.approx(1.2, abs=1e-5)
    assert len(predictor.identity["revision"]) == 12


def test_clips_of_all_lengths_keep_their_order_and_their_answers(tmp_path):
    engine = OnnxEngine.load(save_exported(tmp_path, SPACE))
    seconds = [3.0, 0.1, 1.0, 2.9, 0.5, 1.02, 0.1]
    levels = [0.05 * (n + 1) for n in range(len(seconds))]
    clips = [sound(level, length) for level, length in zip(levels, seconds, strict=True)]
    output = engine.run(clips)
    np.testing.assert_allclose(output.embeddings[:, 0], levels, atol=1e-6)
    np.testing.assert_allclose(output.probabilities[:, 0], [anger_of(level) for level in levels], atol=1e-5)
    np.testing.assert_allclose(output.dimensions[:, 0], np.array(levels) / 6, atol=1e-5)  # unit scale of [1, 7]
    again = engine.answers_to(output.embeddings)
    np.testing.assert_allclose(again.probabilities, output.probabilities, atol=1e-7)


def test_a_clip_gives_the_same_bits_alone_and_among_others(tmp_path):
    engine = OnnxEngine.load(save_exported(tmp_path, SPACE))
    clips = [sound(0.1, length) for length in (0.3, 2.0, 0.7)]
    together = engine.run(clips)
    for row, clip in enumerate(clips):
        np.testing.assert_array_equal(engine.run([clip]).probabilities[0], together.probabilities[row])
    padded = engine.run_padded(clips)
    np.testing.assert_allclose(padded.probabilities, together.probabilities, atol=1e-6)


def test_a_condition_that_nobody_gives_is_unknown_to_the_graph(tmp_path):
    save_exported(tmp_path, SPACE, conditions={"gender": {"width": 2}})
    engine = OnnxEngine.load(tmp_path)
    output = engine.run([sound(0.1)])
    assert output.probabilities.shape == (1, 2)
    known = engine.run([sound(0.1)], [{"gender": np.array([1, 0], dtype=np.float32)}])
    np.testing.assert_allclose(known.probabilities, output.probabilities)


def test_workers_run_an_exported_model_without_torch(tmp_path):
    predictor = load(save_exported(tmp_path, SPACE), workers=1)
    try:
        assert predictor.predict(sound(0.2), 16000).probabilities["anger"] == pytest.approx(anger_of(0.2), abs=1e-5)
    finally:
        predictor.engine.close()  # type: ignore[attr-defined]


def test_predicting_with_an_exported_model_imports_no_torch(tmp_path):
    save_exported(tmp_path, SPACE)
    program = (
        "import sys, numpy, emotune;"
        f"emotune.load({str(tmp_path)!r}).predict(numpy.ones(16000, dtype='float32') * 0.1, 16000);"
        "print([name for name in ('torch', 'transformers', 'scipy', 'sklearn', 'onnx') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[]"


def test_another_device_is_refused_in_words(tmp_path):
    with pytest.raises(ConfigError, match="runs on the CPU; device 'cuda'"):
        load(save_exported(tmp_path, SPACE), device="cuda")


def test_a_graph_that_does_not_fit_its_config_is_an_error(tmp_path):
    save_exported(tmp_path, SPACE)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, words in [
        ({"classes": ["anger", "neutral", "sadness"]}, "gives 2 probabilities; the config has 3 classes"),
        ({"dimensions": {}}, "the config says probabilities, embedding"),
        ({"dimensions": {"valence": [1, 7]}}, "gives probabilities, arousal, embedding"),
        ({"conditions": {"gender": {}}}, "the width None"),
        ({"calibration": {}}, "calibration must hold"),
    ]:
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ModelError, match=words):
            load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.onnx").write_bytes((tmp_path / "model.onnx").read_bytes()[:200])
    with pytest.raises(ModelError, match=r"model\.onnx cannot be run by onnxruntime"):
        load(tmp_path)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx is missing"):
        load(tmp_path)


def test_clips_are_prepared_as_the_folder_says(tmp_path):
    save_exported(tmp_path, SPACE, preprocessing=Preprocessing("none", max_duration_s=2.0, min_samples=160))
    with pytest.raises(emotune.EmotuneError, match="2 s"):
        load(tmp_path).predict(sound(0.1, 3.0), 16000)
