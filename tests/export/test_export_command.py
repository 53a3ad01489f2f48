"""emotune export, as its users meet it: a folder that predicts alike, with what belongs to it, or an error."""

import json

import numpy as np
import onnx
import pytest

from builders.models import save_tiny_model
from emotune.errors import ConfigError
from emotune.export.export_model import export_model
from emotune.inference import load
from emotune.models.folder import CONFIG, GRAPH
from emotune.models.store import fingerprint_of
from emotune.schema.labels import LabelSpace, Scale

pytestmark = pytest.mark.load
SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("export")
    save_tiny_model(root / "model", SPACE, conditions={"gender": {}})
    (root / "model" / "README.md").write_text("---\nlibrary_name: emotune\n---\n# A card\n- licence: CC BY 4.0\n")
    return root


@pytest.fixture(scope="module")
def exported(folder, tones):
    return export_model(folder / "model", folder / "onnx", check=tones.split("development"))


def test_both_folders_predict_alike(folder, exported, tones):
    source, graph = load(folder / "model"), load(folder / "onnx")
    rows, expected = graph.predict_manifest(tones), source.predict_manifest(tones)
    for row, other in zip(rows, expected, strict=True):
        assert dict(row.probabilities) == pytest.approx(dict(other.probabilities), abs=1e-5)
        assert dict(row.dimensions) == pytest.approx(dict(other.dimensions), abs=1e-4)
        assert row.conditions_used == other.conditions_used
    clip = np.random.default_rng(0).standard_normal(9000).astype(np.float32)
    np.testing.assert_allclose(
        graph.engine.run([clip]).embeddings,
        source.engine.run([source.engine.preprocessing.finish(clip)]).embeddings,
        atol=1e-4,
    )


def test_the_file_alone_says_what_it_is(folder, exported):
    said = {entry.key: entry.value for entry in onnx.load(folder / "onnx" / GRAPH).metadata_props}
    assert json.loads(said["emotune.classes"]) == ["anger", "neutral"]
    assert json.loads(said["emotune.dimensions"]) == {"arousal": [1, 7]}
    assert said["emotune.licence"] == "CC BY 4.0"
    assert said["emotune.source"] == fingerprint_of(folder / "model")
    assert json.loads(said["emotune.calibration"])["temperature"] == 1.0
    assert json.loads(said["emotune.preprocessing"])["max_duration_s"] == 5.0
    config = json.loads((folder / "onnx" / CONFIG).read_text())
    assert config["conditions"]["gender"]["width"] == 2
    assert config["export"]["made_with"]["onnxruntime"]
    assert {"uar", "macro_f1"} <= set(config["export"]["parity"]["scores"])


def test_the_check_scores_both_alike(exported):
    for source, graph in exported.parity.scores.values():
        assert graph == pytest.approx(source, abs=1e-3, nan_ok=True)
    assert exported.parity.largest < 1e-4


@pytest.mark.parametrize("form", ["onnx", "hf"])
def test_an_export_is_not_exported_again(folder, exported, tmp_path, emotune_command, form):
    ended = emotune_command("export", folder / "onnx", "-o", tmp_path / "again", "--format", form)
    assert ended.code == 2
    assert "is an export already" in ended.err


def test_a_folder_that_is_there_and_an_unknown_precision_are_refused(folder, exported):
    with pytest.raises(ConfigError, match="is there already"):
        export_model(folder / "model", folder / "onnx")
    with pytest.raises(ConfigError, match=r"Unknown precision 'int4'\. Known: fp32, int8"):
        export_model(folder / "model", folder / "other", precision="int4")
    assert {path.name for path in folder.iterdir()} == {"model", "onnx"}
