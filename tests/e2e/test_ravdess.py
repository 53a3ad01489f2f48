"""RAVDESS, read once by the command line, and what the doctor says of it."""

import csv
import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from builders.command import run_command
from emotune.doctor import check_manifest
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance


@pytest.fixture(scope="module")
def manifest(shared, tmp_path_factory) -> Manifest:
    folder = shared / "data" / "ravdess" / "audio"
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist")
    path = tmp_path_factory.mktemp("ravdess") / "m.csv"
    ended = run_command("corpus", "read", "ravdess", folder, "-o", path)
    assert ended.code == 0, ended.err
    assert "warning" not in ended.err
    return Manifest.read(path)


def test_ravdess_is_read_completely(manifest, shared):
    assert len(manifest) == 1440
    speakers = {u.speaker: u.gender for u in manifest}
    assert Counter(speakers.values()) == {"male": 12, "female": 12}
    counts = Counter(u.emotion for u in manifest)
    assert counts.pop("neutral") == 96
    assert set(counts.values()) == {192}
    assert len(counts) == 7
    with (shared / "data" / "ravdess" / "labels.csv").open() as stream:
        labels = {Path(row["file"]).stem: row for row in csv.DictReader(stream)}
    for utterance in manifest:
        row = labels[utterance.utterance_id]
        assert (utterance.speaker, utterance.gender) == (row["speaker"], row["gender"])
        assert utterance.duration_s == pytest.approx(float(row["duration_s"]), abs=1e-3)


def test_ravdess_split_by_actor_has_no_error_one_known_duplicate_and_shared_sentences(manifest, tmp_path):
    assert {u.utterance_id: u.copy_of for u in manifest if u.copy_of} == {
        "03-01-03-01-02-02-07": "03-01-03-01-02-01-07"
    }

    def split_of(utterance: Utterance) -> str:
        actor = int(utterance.speaker or 0)
        return "train" if actor <= 16 else "development" if actor <= 20 else "test"

    rows = [dataclasses.replace(utterance, split=split_of(utterance)) for utterance in manifest]
    manifest.replace_utterances(rows).write(tmp_path / "m.csv")
    diagnosis = check_manifest(tmp_path / "m.csv")
    assert diagnosis.errors == ()
    assert {finding.code: len(finding.cases) for finding in diagnosis.notes} == {"duplicates": 1, "shared_text": 2}
