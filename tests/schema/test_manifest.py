"""The manifest: what its fingerprint depends on, where its root lies, and which rows it refuses."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from emotune.errors import CorpusError, TableError
from emotune.io.tables import SUFFIXES, metadata_path, read_json
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
FIRST = Utterance(
    "a", "a.wav", duration_s=1.5, content_sha256="1" * 64, speaker="s1", age=31, split="train", emotion="anger",
    votes={"anger": 2, "neutral": 1}, dimensions={"arousal": 4},
)  # fmt: skip
SECOND = Utterance("b", "b.wav", content_sha256="2" * 64, speaker="s2", split="test", emotion="neutral")


def manifest(*utterances: Utterance, root: Path = Path("/data"), space: LabelSpace = SPACE) -> Manifest:
    return Manifest(utterances, space, root)


def test_the_fingerprint_does_not_know_order_place_or_file_names():
    expected = manifest(FIRST, SECOND).fingerprint()
    assert manifest(SECOND, FIRST).fingerprint() == expected
    assert manifest(FIRST, SECOND, root=Path("/elsewhere")).fingerprint() == expected
    assert manifest(dataclasses.replace(FIRST, file="renamed/x.flac"), SECOND).fingerprint() == expected


@pytest.mark.parametrize(
    "change",
    [
        {"emotion": "neutral"},
        {"speaker": "s3"},
        {"split": "test"},
        {"content_sha256": "3" * 64},
        {"start_s": 0.5},
        {"utterance_id": "c"},
        {"votes": {"anger": 1, "neutral": 2}},
        {"dimensions": {"arousal": 5}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_fingerprint_changes_with_content_labels_speaker_and_split(change):
    changed = manifest(dataclasses.replace(FIRST, **change), SECOND)
    assert changed.fingerprint() != manifest(FIRST, SECOND).fingerprint()


def test_the_fingerprint_changes_with_the_scale():
    other = LabelSpace(SPACE.classes, {"arousal": Scale(1, 5)})
    assert manifest(FIRST, space=other).fingerprint() != manifest(FIRST).fingerprint()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_whole_numbers_have_the_fingerprint_that_they_have_after_reading(tmp_path, suffix):
    manifest(FIRST, SECOND).write(tmp_path / f"m{suffix}")
    assert Manifest.read(tmp_path / f"m{suffix}").fingerprint() == manifest(FIRST, SECOND).fingerprint()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_corpus_and_manifest_move_together(tmp_path, suffix):
    audio = tmp_path / "before" / "corpus" / "audio"
    audio.mkdir(parents=True)
    (audio / "a.wav").write_bytes(b"sound")
    path = tmp_path / "before" / "manifests" / f"m{suffix}"
    manifest(FIRST, root=audio).write(path)
    assert read_json(metadata_path(path), "")["root"] == "../corpus/audio"
    assert str(tmp_path) not in metadata_path(path).read_text()
    shutil.move(tmp_path / "before", tmp_path / "after")
    moved = Manifest.read(tmp_path / "after" / "manifests" / f"m{suffix}")
    assert moved.path_of(moved.utterances[0]).read_bytes() == b"sound"


def test_a_users_column_that_is_called_like_one_of_ours_does_not_spoil_the_table(tmp_path):
    row = dataclasses.replace(FIRST, extra={"duration_s": "99", "file": "other.wav", "arousal": "low", "note": "x"})
    manifest(row).write(tmp_path / "m.csv")
    (read,) = Manifest.read(tmp_path / "m.csv")
    kept = {"given.duration_s": "99", "given.file": "other.wav", "given.arousal": "low", "note": "x"}
    assert read == dataclasses.replace(FIRST, extra=kept)


def test_a_split_that_is_not_there_is_answered_with_those_that_are():
    assert [u.utterance_id for u in manifest(FIRST, SECOND).split("test")] == ["b"]
    with pytest.raises(CorpusError, match=r"'development'; it has: test, train"):
        manifest(FIRST, SECOND).split("development")


def test_a_split_that_is_not_there_names_the_file(tmp_path):
    manifest(FIRST, SECOND).write(tmp_path / "m.csv")
    with pytest.raises(CorpusError, match=r"m\.csv has no utterance in split 'development'; it has: test, train"):
        Manifest.read(tmp_path / "m.csv").filter(lambda utterance: True).split("development")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "/etc/passwd"}, "inside the root"),
        ({"file": "a/../../b.wav"}, "inside the root"),
        ({"file": "..\\b.wav"}, "inside the root"),
        ({"utterance_id": ""}, "utterance_id is missing"),
        ({"start_s": -1.0}, "0 <= start_s < end_s"),
        ({"start_s": 2.0, "end_s": 2.0}, "0 <= start_s < end_s"),
        ({"duration_s": 0.0}, "positive"),
        ({"gender": "w"}, "female, male, other, unknown"),
        ({"emotion": "joy"}, r"not among the manifest's classes \(anger, neutral\)"),
        ({"content_sha256": "../../x"}, r"content_sha256 '\.\./\.\./x', expected 64 digits"),
        ({"content_sha256": "A" * 64}, "expected 64 digits"),
        ({"content_sha256": "1" * 65}, "expected 64 digits"),
        ({"votes": {"anger": -1}}, "votes.anger"),
        ({"dimensions": {"arousal": 7.5}}, r"outside its scale \[1.0, 7.0\]"),
    ],
)
def test_a_row_that_breaks_a_rule_is_named(change, message, tmp_path):
    manifest(SECOND, dataclasses.replace(FIRST, **change)).write(tmp_path / "m.csv")
    with pytest.raises(TableError, match=f"m.csv, row 2.*{message}"):
        Manifest.read(tmp_path / "m.csv")


def test_two_rows_of_one_id_are_an_error(tmp_path):
    manifest(FIRST, FIRST).write(tmp_path / "m.csv")
    with pytest.raises(TableError, match=r"unique.*'a'"):
        Manifest.read(tmp_path / "m.csv")


def test_a_manifest_can_be_gone_through_without_holding_it(tmp_path):
    whole = manifest(FIRST, SECOND)
    whole.write(tmp_path / "m.csv")
    head, utterances = Manifest.stream(tmp_path / "m.csv")
    assert head.utterances == ()
    assert head.label_space == SPACE
    assert [next(utterances).utterance_id, next(utterances).utterance_id] == ["a", "b"]
    assert next(utterances, None) is None


def test_a_table_without_metadata_is_no_manifest(tmp_path):
    (tmp_path / "t.csv").write_text("file,emotion\na.wav,anger\n")
    with pytest.raises(TableError, match="emotune corpus read table"):
        Manifest.read(tmp_path / "t.csv")
