"""Recordings without labels: what of a folder is heard, and what is left unopened."""

import dataclasses
from pathlib import Path

import pytest

from builders.recordings import write_recordings
from emotune.corpora.unlabelled import read_unlabelled
from emotune.errors import CorpusError
from emotune.schema.manifest import Manifest


def heard(manifest: Manifest) -> dict[str, str | None]:
    return {utterance.file: utterance.speaker for utterance in manifest}


def test_every_recording_below_a_folder_is_heard_and_names_of_classes_are_no_labels(tmp_path):
    write_recordings(tmp_path, "flat.wav", "anger/a.wav", "train/sadness/b.wav")
    manifest = read_unlabelled(tmp_path)
    assert set(heard(manifest)) == {"flat.wav", "anger/a.wav", "train/sadness/b.wav"}
    assert {(u.emotion, u.emotion_original) for u in manifest} == {(None, None)}
    assert manifest.label_space.classes == ()
    assert all(u.duration_s and u.content_sha256 for u in manifest)


@pytest.mark.parametrize("folder", ["test", "dev", "Validation", "one/development", "eval/deep"])
def test_what_lies_in_a_folder_of_another_split_is_not_opened(tmp_path, opened, folder):
    write_recordings(tmp_path, "a.wav", f"{folder}/b.wav")
    manifest = read_unlabelled(tmp_path)
    assert heard(manifest) == {"a.wav": None}
    assert set(opened) == {"a.wav"}
    assert [item.file for item in manifest.skipped] == [f"{folder}/b.wav"]


def test_a_metadata_table_gives_speakers_and_splits_and_its_labels_are_not_read(tmp_path, opened):
    write_recordings(tmp_path, "a.wav", "b.wav", "c.wav", "unlisted.wav")
    table = ["file_name,speaker,emotion,arousal,split,rater", "a.wav,s1,anger,7,train,r1", "a.wav,s1,joy,2,train,r2"]
    (tmp_path / "metadata.csv").write_text("\n".join([*table, "b.wav,s2,joy,1,test,r1", "c.wav,s3,,,,r1"]))
    manifest = read_unlabelled(tmp_path)
    assert heard(manifest) == {"a.wav": "s1", "c.wav": "s3", "unlisted.wav": None}
    assert "b.wav" not in opened
    assert all(not (u.emotion or u.votes or u.dimensions or u.extra) for u in manifest)


def test_of_a_manifest_only_what_is_for_training_or_has_no_split_is_taken(tones, tmp_path):
    first, *others = dataclasses.replace(tones, root=tones.root.resolve()).utterances
    whole = dataclasses.replace(tones, root=tones.root.resolve())
    whole.replace_utterances([dataclasses.replace(first, split=None), *others]).write(tmp_path / "pool.csv")
    manifest = read_unlabelled(tmp_path / "pool.csv")
    assert len(manifest) == 16
    assert {(u.emotion, u.gender is not None) for u in manifest} == {(None, True)}


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="holds no recording"):
        read_unlabelled(tmp_path)
    with pytest.raises(CorpusError, match=r"data\.unlabelled: .*absent is neither a folder"):
        read_unlabelled(Path(tmp_path / "absent"))
