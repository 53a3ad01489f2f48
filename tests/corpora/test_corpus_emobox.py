"""EmoBox's JSONL: one file or a fold's folder, broken rows, recordings elsewhere."""

import pytest

from builders.corpora.emobox import FILES, row, write_labels, write_rows
from builders.manifests import reasons
from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.errors import CorpusError

EMOBOX = CORPORA["emobox"]


def test_a_single_file_and_its_folder_give_the_same_utterances(tmp_path):
    write_recordings(tmp_path, *FILES)
    write_labels(tmp_path, FILES)
    by_file, by_folder = read_corpus(EMOBOX, tmp_path / "own.jsonl"), read_corpus(EMOBOX, tmp_path)
    assert by_file.utterances == by_folder.utterances
    assert [(u.utterance_id, u.file, u.emotion, u.emotion_original, u.split) for u in by_file] == [
        ("a", "wavs/a.wav", "anger", "ang", None),
        ("b", "wavs/b.wav", "anger", "ang", None),
    ]
    assert [u.speaker for u in by_file] == ["speaker 0", "speaker 1"]
    assert {(u.extra["dataset"], u.extra["given.channel"]) for u in by_file} == {("own", "1")}


def test_the_names_of_a_folds_files_are_the_splits_and_the_whole_list_adds_what_they_lack(tmp_path):
    write_recordings(tmp_path, *(f"wavs/{name}.wav" for name in "abcd"))
    write_rows(tmp_path / "own.jsonl", *(row(f"wavs/{name}.wav") for name in "abcd"))
    write_rows(tmp_path / "own_train_fold_1.jsonl", row("wavs/a.wav"))
    write_rows(tmp_path / "own_valid_fold_1.jsonl", row("wavs/b.wav"))
    write_rows(tmp_path / "own_test_fold_1.jsonl", row("wavs/c.wav"))
    manifest = read_corpus(EMOBOX, tmp_path)
    assert {u.utterance_id: u.split for u in manifest} == {"a": "train", "b": "development", "c": "test", "d": None}
    assert len(manifest.skipped) == 3
    assert all("is already" in item.reason for item in manifest.skipped)


def test_recordings_lie_below_the_audio_root_as_wav_or_flac(tmp_path):
    write_recordings(tmp_path / "downloads", "own/a.wav", "own/b.flac")
    fold = write_rows(tmp_path / "fold_1" / "train.jsonl", row("own/a.wav"), row("own/b.wav")).parent
    manifest = read_corpus(EMOBOX, fold, ReadingOptions(audio_root=tmp_path / "downloads"))
    assert [(u.file, u.split) for u in manifest] == [("own/a.wav", "train"), ("own/b.flac", "train")]
    assert all(manifest.path_of(u).is_file() for u in manifest)


def test_bad_rows_are_skipped_with_file_and_row(tmp_path):
    write_recording(tmp_path / "a.wav")
    rows = [
        row("a.wav"),
        {"key": "x", "wav": "x.wav", "emo": None},
        row("../out.wav"),
        row("gone.wav"),
        row("c.wav", []),
    ]
    write_rows(tmp_path / "train.jsonl", *rows)
    manifest = read_corpus(EMOBOX, tmp_path)
    assert [u.utterance_id for u in manifest] == ["a"]
    assert reasons(manifest)["x.wav"] == "train.jsonl, row 2: key, wav or emo is missing."
    assert "lies outside the folder of the recordings" in reasons(manifest)["../out.wav"]
    assert "does not exist" in reasons(manifest)["gone.wav"]
    assert "expected text, got []" in reasons(manifest)["c.wav"]


def test_missing_and_broken_files_are_errors_that_name_them(tmp_path):
    with pytest.raises(CorpusError, match=r"holds no \.jsonl file"):
        read_corpus(EMOBOX, tmp_path)
    path = write_rows(tmp_path / "train.jsonl", row("a.wav"), "{broken")
    with pytest.raises(CorpusError, match=r"train\.jsonl, line 2: not valid JSON"):
        read_corpus(EMOBOX, tmp_path)
    write_rows(path, {"file": "a.wav"})
    with pytest.raises(CorpusError, match=r"train\.jsonl: no row has key or wav or emo"):
        read_corpus(EMOBOX, path)
    with pytest.raises(CorpusError, match=r"gone\.jsonl"):
        read_corpus(EMOBOX, tmp_path / "gone.jsonl")


def test_a_corpus_that_takes_no_columns_says_so(tmp_path):
    write_recordings(tmp_path, *FILES)
    write_labels(tmp_path, FILES)
    with pytest.raises(CorpusError, match="'emobox' takes no columns"):
        read_corpus(EMOBOX, tmp_path, ReadingOptions(columns={"file": "wav"}))
