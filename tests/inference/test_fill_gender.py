"""An exported gender predictor fills a manifest's column as one of PyTorch does."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from builders.exported import save_exported
from emotune.conditions.gender import GenderPredictor
from emotune.errors import EmotuneError
from emotune.inference import load
from emotune.inference.fill_gender import fill_gender
from emotune.schema.gender import GENDER_CLASSES
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest

PROGRAM = """
import sys
from emotune.cli import main
try:
    main()
finally:
    assert "torch" not in sys.modules
"""


@pytest.fixture
def table(tmp_path):
    rows = ["file,emotion,gender"]
    for name, gender in (("a.wav", "female"), ("b.wav", "male"), ("c.wav", "")):
        soundfile.write(tmp_path / name, 0.1 * np.random.default_rng(0).standard_normal(8000), 16000)
        rows.append(f"{name},neutral,{gender}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    return tmp_path / "table.csv"


def test_an_exported_gender_predictor_fills_the_column_without_torch(tmp_path, table, emotune_command):
    model = save_exported(tmp_path / "gender", LabelSpace(GENDER_CLASSES))
    manifest, filled = tmp_path / "manifest.csv", tmp_path / "filled.csv"
    assert emotune_command("corpus", "read", "table", table, "-o", manifest).code == 0
    arguments = ["gender", manifest, "--model", model, "-o", filled]
    subprocess.run([sys.executable, "-c", PROGRAM, *map(str, arguments)], check=True, capture_output=True)
    written = Manifest.read(filled)
    assert [row.gender_predicted for row in written] == ["female"] * 3  # loudness says the first class
    assert written.information["gender_predictor"]["name"] == str(model)
    again = fill_gender(manifest, filled, str(model))
    assert (again.right, again.compared) == (1, 2)


def test_an_exported_model_of_emotion_is_no_gender_predictor(tmp_path):
    with pytest.raises(EmotuneError, match=r"predicts anger, neutral, not gender"):
        GenderPredictor(load(save_exported(tmp_path, LabelSpace(("anger", "neutral")))))
