"""Hugging Face's audiofolder, with metadata and by its folders."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from builders.corpora.audiofolder import FILES, write_labels, write_metadata
from builders.manifests import reasons
from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.errors import CorpusError
from emotune.schema.labels import Scale

AUDIOFOLDER = CORPORA["audiofolder"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_metadata_in_the_folder_itself_lists_the_files_of_all_splits(tmp_path, suffix):
    write_recordings(tmp_path, "train/a.wav", "validation/b.wav", "test/c.flac", "d.wav")
    rows = [
        {"file_name": file, "label": label, "speaker_id": f"s{n}", "sentence": "Hello, you."}
        for n, (file, label) in enumerate(
            [("train/a.wav", "Angry"), ("validation/b.wav", "sad"), ("test/c.wav", "happy"), ("d.wav", "neutral")]
        )
    ]
    write_metadata(tmp_path / f"metadata{suffix}", *rows)
    manifest = read_corpus(AUDIOFOLDER, tmp_path)
    assert [(u.utterance_id, u.file, u.split, u.emotion) for u in manifest] == [
        ("train/a", "train/a.wav", "train", "anger"),
        ("validation/b", "validation/b.wav", "development", "sadness"),
        ("test/c", "test/c.flac", "test", "happiness"),
        ("d", "d.wav", None, "neutral"),
    ]
    assert [u.emotion_original for u in manifest] == ["Angry", "sad", "happy", "neutral"]
    assert [u.speaker for u in manifest] == ["s0", "s1", "s2", "s3"]
    assert {u.text for u in manifest} == {"Hello, you."}


def test_metadata_in_the_split_folders_names_files_from_there(tmp_path):
    for split in ("train", "test"):
        write_recording(tmp_path / split / "clips" / "a.wav")
        write_metadata(tmp_path / split / "metadata.csv", {"file_name": "clips/a.wav", "label": "fear"})
    manifest = read_corpus(AUDIOFOLDER, tmp_path)
    assert [(u.utterance_id, u.file, u.split) for u in manifest] == [
        ("test/clips/a", "test/clips/a.wav", "test"),
        ("train/clips/a", "train/clips/a.wav", "train"),
    ]


@pytest.mark.parametrize(
    ("file", "split", "emotion"),
    [
        ("train/anger/a.wav", "train", "anger"),
        ("test/Sad/a.flac", "test", "sadness"),
        ("validation/happy/a.wav", "development", "happiness"),
        ("neutral/a.wav", None, "neutral"),
        ("joy/deeper/fear/a.wav", None, "fear"),
    ],
)
def test_without_metadata_the_folders_are_classes_and_splits(tmp_path, file, split, emotion):
    write_recording(tmp_path / file)
    (utterance,) = read_corpus(AUDIOFOLDER, tmp_path)
    assert (utterance.file, utterance.split, utterance.emotion) == (file, split, emotion)
    assert utterance.emotion_original == file.split("/")[-2]
    assert utterance.utterance_id == file.rpartition(".")[0]


def test_recordings_in_no_class_folder_are_skipped(tmp_path):
    write_recordings(tmp_path, "anger/a.wav", "train/b.wav", "c.wav")
    manifest = read_corpus(AUDIOFOLDER, tmp_path)
    assert [u.file for u in manifest] == ["anger/a.wav"]
    assert set(reasons(manifest)) == {"train/b.wav", "c.wav"}
    assert "lies in no folder of a class" in reasons(manifest)["c.wav"]


def test_rows_without_a_recording_and_recordings_without_a_row_are_skipped(tmp_path):
    write_recordings(tmp_path, "a.wav", "b.wav")
    names = ["a.wav", "gone.wav", "../out.wav", ""]
    write_metadata(tmp_path / "metadata.csv", *({"file_name": name, "label": "sad"} for name in names))
    manifest = read_corpus(AUDIOFOLDER, tmp_path)
    assert [u.file for u in manifest] == ["a.wav"]
    found = reasons(manifest)
    assert found["b.wav"] == "no row in the metadata"
    assert "does not exist" in found["gone.wav"]
    assert "lies outside" in found["../out.wav"]
    assert found["metadata.csv, row 4"] == "metadata.csv, row 4: file_name is empty."


def test_other_columns_and_scales_are_taken_by_name(tmp_path):
    write_recording(tmp_path / "a.wav")
    write_metadata(tmp_path / "metadata.csv", {"file_name": "a.wav", "feeling": "sad", "valence": 2})
    with pytest.raises(CorpusError, match="looks like the dimension valence, but its scale is not known"):
        read_corpus(AUDIOFOLDER, tmp_path)
    scales = {"valence": Scale(1, 5)}
    manifest = read_corpus(AUDIOFOLDER, tmp_path, ReadingOptions(columns={"emotion": "feeling"}, dimensions=scales))
    assert manifest.label_space.dimensions == scales
    assert [(u.emotion, u.dimensions) for u in manifest] == [("sadness", {"valence": 2})]


def test_metadata_without_file_names_or_labels_is_an_error_that_names_the_cure(tmp_path):
    write_recording(tmp_path / "a.wav")
    table = write_metadata(tmp_path / "metadata.csv", {"name_of_file": "a.wav", "label": "sad"})
    with pytest.raises(CorpusError, match=r"metadata\.csv has no column for the recordings; .* --column file=<column>"):
        read_corpus(AUDIOFOLDER, tmp_path)
    write_metadata(table, {"file_name": "a.wav", "transcription": "Hello"})
    with pytest.raises(CorpusError, match=r"metadata\.csv has no labels; .* --column emotion=<column>"):
        read_corpus(AUDIOFOLDER, tmp_path)
    table.write_text("file_name,label\na.wav\n")
    with pytest.raises(CorpusError, match=r"metadata\.csv, line 2: 1 fields"):
        read_corpus(AUDIOFOLDER, tmp_path)


def test_the_command_line_takes_columns(tmp_path, emotune_command):
    write_recordings(tmp_path, *FILES)
    write_labels(tmp_path, FILES)
    text = (tmp_path / "metadata.csv").read_text().replace("label", "feeling")
    (tmp_path / "metadata.csv").write_text(text)
    command = ("corpus", "read", "audiofolder", tmp_path, "-o", tmp_path / "m.csv")
    assert emotune_command(*command).code != 0
    ended = emotune_command(*command, "--column", "emotion=feeling")
    assert ended.code == 0, ended.err
    assert "2 utterances" in ended.out


def test_files_that_are_no_recordings_by_their_names_are_counted(tmp_path):
    for name in ("anger/a.wav", "anger/b.voc", "joy/c.aifc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        kind = {".voc": "VOC", ".aifc": "AIFF"}.get(Path(name).suffix, "WAV")
        soundfile.write(tmp_path / name, np.random.default_rng(len(name)).uniform(-0.5, 0.5, 8000), 16000, format=kind)
    (tmp_path / "joy" / "notes.docx").write_text("x")
    (tmp_path / "joy" / ".hidden").write_text("x")
    manifest = read_corpus(CORPORA["audiofolder"], tmp_path)
    assert [u.file for u in manifest] == ["anger/a.wav", "anger/b.voc", "joy/c.aifc"]
    assert [(s.file, s.reason) for s in manifest.skipped] == [
        ("joy/notes.docx", "its name is not that of a recording (.docx)")
    ]
