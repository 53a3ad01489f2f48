"""Files of each schema that was ever written are read; those of a newer one are refused with a word."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import emotune
from emotune.errors import EmotuneError
from emotune.models import store
from emotune.schema import manifest, predictions

GOLDEN = Path(__file__).parents[1] / "golden"
SCHEMAS = {"manifest": manifest.SCHEMA, "predictions": predictions.SCHEMA, "model": store.SCHEMA}


@pytest.mark.parametrize("kind", SCHEMAS)
def test_there_is_a_file_of_each_number_up_to_the_present_one(kind):
    newest = int(SCHEMAS[kind].rpartition("/")[2])
    assert {path.name.partition(".")[0] for path in GOLDEN.glob(f"{kind}-*")} == {
        f"{kind}-{number}" for number in range(1, newest + 1)
    }


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("manifest-*.csv")), ids=lambda path: path.stem)
def test_a_manifest_of_an_earlier_schema_reads(path):
    first, second = emotune.Manifest.read(path)
    assert (first.start_s, first.end_s, first.speaker, first.votes) == (0.5, 2.0, "01", {"anger": 3.0, "neutral": 1.0})
    assert (second.emotion, second.split, second.dimensions, second.extra["room"]) == (
        "neutral",
        "test",
        {"arousal": 2.0},
        "quay",
    )


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("predictions-*.csv")), ids=lambda path: path.stem)
def test_predictions_of_an_earlier_schema_read(path):
    first, second = emotune.Predictions.read(path)
    assert (first.emotion, first.probabilities["anger"], first.dimensions) == ("anger", 0.75, {"arousal": 5.0})
    assert second.error == "b.wav does not exist."


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("model-*")), ids=lambda path: path.name)
def test_a_model_of_an_earlier_schema_answers_as_it_did(path):
    tone = (0.3 * np.sin(np.arange(16000) * 2 * np.pi * 200 / 16000)).astype("float32")
    answer = emotune.load(path).predict(tone, sampling_rate_hz=16000)
    expected = json.loads((GOLDEN / "answers.json").read_text("utf-8"))[path.name]
    assert {**answer.probabilities, **answer.dimensions} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_newer_schema_is_refused_by_its_number(kind, tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "golden")
    place = tmp_path / "golden" / ("model-1/config.json" if kind == "model" else f"{kind}-1.csv.meta.json")
    place.write_text(place.read_text("utf-8").replace(f"emotune-{kind}/1", f"emotune-{kind}/999"), encoding="utf-8")
    read = {"manifest": emotune.Manifest.read, "predictions": emotune.Predictions.read, "model": emotune.load}[kind]
    with pytest.raises(EmotuneError, match=f"emotune-{kind}/999"):
        read(place.parent if kind == "model" else place.with_name(f"{kind}-1.csv"))
