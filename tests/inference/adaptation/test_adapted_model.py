"""Folders of adapted models: written, loaded, and refused where the parent is gone or another."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from emotune.errors import ConfigError, ModelError
from emotune.inference import load
from emotune.inference.adaptation.adapt import adapt_files
from emotune.inference.adaptation.adaptation import COLUMN, Adaptation
from emotune.inference.adaptation.folder import FILE, AdaptedModel
from emotune.inference.adaptation.rule import Shift
from emotune.inference.inputs import Inputs
from emotune.inference.jobs.files import predict_files_in_parts
from emotune.inference.predict_files import predict_files
from emotune.schema.prior import with_offsets


@pytest.fixture
def adapted(tiny_model, tmp_path):
    """An adapted model whose shifts are known, in a folder of its own beside its parent."""
    parent = tmp_path / "parent"
    shutil.copytree(tiny_model, parent)
    shifts = {"speaker s1": Shift(9, (1.0, -1.0), 0.5), "speaker s2": Shift(1, (3.0, -3.0), 0.0)}
    adaptation = Adaptation("auto", ("anger", "neutral"), shifts, Shift(20, (0.2, -0.2), 1.0))
    fingerprint = load(parent).fingerprint
    AdaptedModel(str(parent), str(fingerprint), adaptation, {"anger": 0.5, "neutral": 0.5}).write(tmp_path / "adapted")
    return tmp_path / "adapted"


def test_an_adapted_model_moves_each_row_by_its_speaker_and_others_by_the_corpus(adapted, tiny_model, tones):
    plain, moved = (load(folder).predict_manifest(tones) for folder in (tiny_model, adapted))
    assert moved.model_fingerprint != plain.model_fingerprint
    offsets = {"s1": -(0.5 + 0.5 * 0.2), "s2": -0.2}
    for utterance, before, after in zip(tones, plain, moved, strict=True):
        offset = offsets.get(utterance.speaker, -0.2)
        expected = with_offsets([list(before.probabilities.values())], [offset, -offset])[0]
        np.testing.assert_allclose(list(after.probabilities.values()), expected, rtol=1e-6)
        assert after.dimensions == before.dimensions
        assert ("speaker s1 (0.50 of 9 clips)" in after.extra[COLUMN]) == (utterance.speaker == "s1")


def test_a_clip_alone_gets_the_answer_of_the_batch(adapted, tones):
    predictor = load(adapted)
    together = predictor.predict_manifest(tones)
    alone = predictor.predict_manifest(tones.replace_utterances(list(tones)[:1]))
    for name, value in alone.rows[0].probabilities.items():
        assert value == pytest.approx(together.rows[0].probabilities[name], abs=1e-5)


def test_adapting_then_predicting_is_predicting_with_adapt(tiny_model, tones, tmp_path):
    tones.write(tmp_path / "m.csv")
    inputs = Inputs([tmp_path / "m.csv"])
    found = adapt_files(str(tiny_model), inputs, tmp_path / "adapted", by="speaker")
    at_once = predict_files(str(tiny_model), inputs, adapt="speaker").predictions
    later = predict_files(str(tmp_path / "adapted"), inputs).predictions
    assert at_once is not None
    assert later is not None
    for one, other, third in zip(at_once, later, found.predictions, strict=True):
        assert one.extra == other.extra == third.extra
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
    assert sum(found.model.prior.values()) == pytest.approx(1)
    assert found.model.fingerprint == load(tiny_model).fingerprint


def test_parts_are_predicted_with_an_adapted_model(adapted, tones, tmp_path):
    tones.write(tmp_path / "m.csv")
    found = predict_files_in_parts(
        str(adapted), Inputs([tmp_path / "m.csv"]), tmp_path / "parts", part_rows=10, part_format="csv"
    )
    index = json.loads((tmp_path / "parts" / "index.json").read_text())
    assert found.rows == len(tones)
    assert index["model_fingerprint"] == load(adapted).fingerprint


def test_a_parent_that_is_gone_or_another_is_told(adapted, tmp_path):
    config = tmp_path / "parent" / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"temperature": 1.0', '"temperature": 2.0'))
    assert config.read_text() != text
    with pytest.raises(ModelError, match=r"made of another model than .*parent is now.*adapt again"):
        load(adapted)
    shutil.rmtree(tmp_path / "parent")
    with pytest.raises(ModelError, match=r"parent cannot be had.*change parent\.name in .*adaptation\.json"):
        load(adapted)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("{}", "schema is None"),
        ('{"schema": "emotune-adaptation/1"}', "must hold parent"),
        (
            '{"schema": "emotune-adaptation/1", "parent": {"name": "m", "fingerprint": "f"}, "prior": {}}',
            "must hold by",
        ),
    ],
)
def test_a_damaged_folder_is_one_error_that_names_its_file(adapted, content, words):
    (adapted / FILE).write_text(content)
    with pytest.raises(ModelError, match=words) as caught:
        load(adapted)
    assert FILE in str(caught.value)


def test_what_cannot_be_adapted_is_refused_before_the_work(adapted, tiny_model, tones, tmp_path):
    tones.write(tmp_path / "m.csv")
    inputs = Inputs([tmp_path / "m.csv"])
    with pytest.raises(ConfigError, match="adapted model already"):
        adapt_files(str(adapted), inputs, tmp_path / "again")
    with pytest.raises(ConfigError, match="adapted already"):
        predict_files(str(adapted), inputs, adapt="auto")
    with pytest.raises(ConfigError, match="holds other files"):
        adapt_files(str(tiny_model), inputs, tmp_path / "parent")
    with pytest.raises(ConfigError, match="Unknown way"):
        predict_files(str(tiny_model), inputs, adapt="all")
    unknown = tones.replace_utterances([dataclasses.replace(u, speaker=None) for u in tones])
    unknown.write(tmp_path / "unknown.csv")
    with pytest.raises(ConfigError, match="no speaker is known"):
        predict_files(str(tiny_model), Inputs([tmp_path / "unknown.csv"]), adapt="speaker")
    (tmp_path / "bad.wav").write_bytes(b"text")
    with pytest.raises(ConfigError, match="No recording can be used"):
        adapt_files(str(tiny_model), Inputs([tmp_path / "bad.wav"]), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_commands_say_what_moves(tiny_model, tones, tmp_path, emotune_command):
    tones.write(tmp_path / "m.csv")
    ended = emotune_command("adapt", tiny_model, tmp_path / "m.csv", "-o", tmp_path / "adapted")
    assert ended.code == 0, ended.err
    assert "estimated shares of the classes: anger" in ended.out
    assert "all together" in ended.out
    assert "nothing is moved" in ended.out and "one clip, or clips that seem to be in one mood" in ended.out
    ended = emotune_command("predict", tmp_path / "adapted", tmp_path / "m.csv", "-o", tmp_path / "p.csv")
    assert ended.code == 0, ended.err
    assert COLUMN in (tmp_path / "p.csv").read_text().splitlines()[0]
    ended = emotune_command(
        "predict", tiny_model, tmp_path / "m.csv", "--adapt", "auto", "--part-rows", "5", "-o", tmp_path / "parts"
    )
    assert ended.code == 2
    assert "make a model with `emotune adapt`" in ended.err
