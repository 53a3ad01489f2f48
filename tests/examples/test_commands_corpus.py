"""The corpus of commands that espeak-ng reads."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emotune.audio import clip

MAKER = Path(__file__).parents[2] / "examples" / "commands" / "make.py"
pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.mark.load
def test_no_voice_and_no_sentence_of_one_split_is_in_another(tmp_path, emotune_command):
    subprocess.run([sys.executable, MAKER, tmp_path, "--commands", "60"], check=True, capture_output=True)
    with (tmp_path / "labels.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 60
    for column in ("speaker", "text"):
        of_split = {
            split: {r[column] for r in rows if r["split"] == split} for split in ("train", "development", "test")
        }
        assert not of_split["train"] & of_split["development"] | of_split["train"] & of_split["test"]
        assert not of_split["development"] & of_split["test"] and all(of_split.values())
    for row in rows:
        assert all(value.split(" ", 1)[1] in row["text"] for value in row["slots"].split("; "))
        assert row["phonemes"] == " ".join(row["phonemes"].split()) and row["intent"].isidentifier()
        assert len(clip(tmp_path / row["file"]).samples) > 8000
    ended = emotune_command(
        "corpus", "read", "table", tmp_path / "labels.csv", "--unlabelled", "-o", tmp_path / "m.csv"
    )
    assert ended.code == 0, ended.err
