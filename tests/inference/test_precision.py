"""Prediction in fewer bits: what can be had, how far it lies from exact numbers, and that it says so."""

import json

import numpy as np
import pytest
import torch

import emotune
from builders.command import run_command
from builders.recordings import write_recording
from emotune.errors import ConfigError
from emotune.inference.agreement import Agreement
from emotune.models import precisions
from emotune.models.backbones.eight_bits import has_eight_bits
from emotune.models.store import load_model
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.predictions import Prediction, Predictions

needs_vnni = pytest.mark.skipif(not has_eight_bits(), reason="the processor has no VNNI instructions")
SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})


def table(*anger: float | None) -> Predictions:
    rows = [
        Prediction(f"u{number}", {}, {}, error="broken")
        if share is None
        else Prediction(f"u{number}", {"anger": share, "neutral": 1 - share}, {"arousal": 4 + share})
        for number, share in enumerate(anger)
    ]
    return Predictions(tuple(rows), SPACE)


def test_an_agreement_is_the_largest_difference_over_clips_that_both_answered():
    found = Agreement.of("int8", table(0.2, 0.6, None, 0.5), table(0.21, 0.45, 0.9, None))
    assert (found.clips, found.changed) == (2, 1)
    assert found.probability == pytest.approx(0.15)
    assert found.dimension == pytest.approx(0.15)
    assert "over the first 2 clips" in found.in_words()
    assert "no clip" in Agreement.of("int8", table(None), table(None)).in_words()


@needs_vnni
def test_predict_says_and_keeps_how_far_it_is_from_exact_numbers(tiny_model, tmp_path):
    write_recording(tmp_path / "one.wav")
    ended = run_command("predict", tiny_model, tmp_path / "one.wav", "--precision", "int8", "-o", tmp_path / "p.csv")
    assert ended.code == 0, ended.err
    assert "int8: over the first clip probabilities differ from exact ones by at most" in ended.err
    kept = Predictions.read(tmp_path / "p.csv").precision
    exact = emotune.load(tiny_model).predict(tmp_path / "one.wav").probabilities
    found = Predictions.read(tmp_path / "p.csv").rows[0].probabilities
    assert kept["name"] == "int8"
    difference = max(abs(exact[name] - found[name]) for name in exact)
    assert kept["largest_difference_of_a_probability"] == pytest.approx(difference, abs=1e-6)
    assert 0 < difference < 0.1


@needs_vnni
def test_rows_of_windows_keep_the_name_of_their_precision(tiny_model, tmp_path):
    write_recording(tmp_path / "one.wav", seconds=2.5)
    asked = ("predict", tiny_model, tmp_path / "one.wav", "--window", "1", "-o", tmp_path / "p.csv")
    for options, kept in ((("--precision", "int8"), {"name": "int8"}), ((), None)):
        assert run_command(*asked, *options).code == 0
        assert Predictions.read(tmp_path / "p.csv").precision == kept


def test_attacks_on_whole_numbers_are_refused_before_the_work(tiny_model, tmp_path):
    options = ("--adversarial", "--precision", "int8", "-o", tmp_path / "scores")
    ended = run_command("evaluate", tiny_model, *options)
    assert ended.code == 2
    assert "leave out --precision int8" in ended.err


@needs_vnni
def test_parts_of_fewer_bits_are_not_continued_as_exact_ones(tiny_model, tmp_path):
    write_recording(tmp_path / "one.wav")
    asked = ("predict", tiny_model, tmp_path / "one.wav", "--part-rows", "1", "-o", tmp_path / "parts")
    assert run_command(*asked, "--precision", "int8").code == 0
    ended = run_command(*asked)
    assert ended.code == 2
    assert "precision is 'int8'" in ended.err
    assert run_command(*asked, "--precision", "int8").code == 0


@needs_vnni
def test_a_clip_has_the_same_answer_alone_beside_a_loud_one_and_in_a_worker(tiny_model):
    rng = np.random.default_rng(0)
    clips = [(rng.standard_normal(samples).astype(np.float32) * 0.1, 16000) for samples in (9000, 30000)]
    clips[1][0][:] *= 8
    predictor = emotune.load(tiny_model, precision="int8")
    alone, together = predictor.predict(clips[0]), predictor.predict(clips).rows[0]
    with emotune.load(tiny_model, precision="int8", workers=1).engine as engine:
        worked = engine.run([predictor.engine.preprocessing(clips[0][0])]).probabilities[0]
    for other in (list(together.probabilities.values()), worked):
        assert list(alone.probabilities.values()) == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize(("precision", "device"), [("int8", "cuda"), ("int8", "cuda:1")])
def test_whole_numbers_are_for_the_cpu(precision, device):
    with pytest.raises(ConfigError, match="runs on the CPU"):
        precisions.check_precision(precision, device)


def test_bf16_is_measured_once_and_refused_where_it_does_not_gain(tmp_path, monkeypatch):
    measured = iter([0.5])
    monkeypatch.setattr(precisions, "_measured_gain", lambda: next(measured))
    path = tmp_path / "new" / "bf16.json"
    assert [precisions.bf16_gain(path) for _ in range(2)] == [0.5, 0.5]
    assert [*json.loads(path.read_text()).values()] == [0.5]
    monkeypatch.setattr(precisions, "bf16_gain", lambda: 0.5)
    with pytest.raises(ConfigError, match=r"0\.50 times as fast"):
        precisions.check_precision("bf16", "cpu")
    monkeypatch.setattr(precisions, "bf16_gain", lambda: 3.0)
    precisions.check_precision("bf16", "cpu")


def test_a_measurement_that_cannot_be_kept_is_made_each_time(tmp_path, monkeypatch):
    measured = iter([0.5, 0.7])
    monkeypatch.setattr(precisions, "_measured_gain", lambda: next(measured))
    (tmp_path / "file").write_text("x")
    assert [precisions.bf16_gain(tmp_path / "file" / "bf16.json") for _ in range(2)] == [0.5, 0.7]
    (tmp_path / "bf16.json").write_text("{broken")
    monkeypatch.setattr(precisions, "_measured_gain", lambda: 0.9)
    assert precisions.bf16_gain(tmp_path / "bf16.json") == 0.9


def test_shared_weights_are_those_of_the_file_and_writing_into_them_leaves_it_alone(tiny_model):
    before = (tiny_model / "model.safetensors").read_bytes()
    own, shared = load_model(tiny_model).model, load_model(tiny_model, shared=True).model
    for (name, one), (other_name, other) in zip(own.state_dict().items(), shared.state_dict().items(), strict=True):
        assert name == other_name
        assert torch.equal(one, other)
    with torch.no_grad():
        for parameter in shared.parameters():
            parameter.add_(1)
    assert (tiny_model / "model.safetensors").read_bytes() == before
