"""A package that adds a corpus by an entry point; its folder has what pip leaves of an installed one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders.recordings import write_recordings
from emotune.corpora import CORPORA, read_corpus
from emotune.errors import ConfigError
from emotune.schema.manifest import Manifest

PACKAGES = Path(__file__).parents[1] / "third_party"
FILES = ["anna_angry_1.wav", "bert_neutral_1.wav", "x.wav"]


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.syspath_prepend(PACKAGES)
    yield
    sys.modules.pop("emotune_sketches", None)


def test_before_it_is_installed_the_corpus_is_unknown():
    assert "sketches" not in CORPORA
    with pytest.raises(ConfigError, match="Unknown corpus 'sketches'"):
        CORPORA["sketches"]


def test_its_corpus_is_in_the_table_and_reads(tmp_path, installed):
    write_recordings(tmp_path, *FILES)
    assert "sketches" in CORPORA
    assert "sketches" in list(CORPORA)
    manifest = read_corpus(CORPORA["sketches"], tmp_path)
    assert [(u.utterance_id, u.corpus, u.speaker, u.emotion) for u in manifest] == [
        ("anna_angry_1", "sketches", "anna", "anger"),
        ("bert_neutral_1", "sketches", "bert", "neutral"),
    ]
    assert [item.file for item in manifest.skipped] == ["x.wav"]
    assert manifest.information["licence"] == "CC0-1.0"


def test_the_command_line_reads_it(tmp_path):
    write_recordings(tmp_path / "corpus", *FILES)
    paths = os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "emotune", "corpus", "read", "sketches", "corpus", "-o", "m.csv"]
    ended = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "2 utterances" in ended.stdout
    assert "1 x name does not follow speaker, emotion, number (anna_angry_1)" in ended.stderr
    assert {u.corpus for u in Manifest.read(tmp_path / "m.csv")} == {"sketches"}
