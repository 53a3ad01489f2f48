"""Cells that say by a word that their value is missing: empty, and counted."""

import importlib
import json

import pytest

from builders.corpora import kaldi
from builders.recordings import write_recording
from emotune.corpora import CORPORA, read_corpus
from emotune.inference.inputs import items_of

WORDS = ["NA", "N/A", "n/a", "nan", "NaN", "NULL", "null", "None", "-", "?", "<NA>", "#N/A", "\\N", " NA "]


@pytest.fixture
def clips(tmp_path):
    for name in ("a.wav", "b.wav"):
        write_recording(tmp_path / name)
    return tmp_path


def read(clips, header: str, *rows: str):
    (clips / "own.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return read_corpus(CORPORA["table"], clips / "own.csv")


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("field", ["speaker", "session", "gender", "age", "language", "split", "emotion"])
def test_a_word_for_a_missing_value_is_an_empty_cell_and_counted(clips, field, word):
    columns = dict.fromkeys(["speaker", "session", "gender", "age", "language", "split", "emotion"], "")
    columns |= {"emotion": "sad", field: word}
    manifest = read(clips, "file," + ",".join(columns), "a.wav," + ",".join(columns.values()), "b.wav,,,,,,,sad")
    assert len(manifest) == 2
    assert not manifest.skipped
    first = manifest.utterances[0]
    assert getattr(first, field) == (CORPORA["table"].language if field == "language" else None)
    assert manifest.information["missing"] == {field: {word.strip(): 1}}
    assert manifest.label_space.classes == ("sadness",)


@pytest.mark.parametrize("field", ["speaker", "age"])
def test_an_unknown_person_is_nobody(clips, field):
    manifest = read(clips, f"file,emotion,{field}", "a.wav,sad,Unknown", "b.wav,sad,unk")
    assert [getattr(utterance, field) for utterance in manifest] == [None, None]
    assert manifest.information["missing"] == {field: {"Unknown": 1, "unk": 1}}


def test_an_unknown_gender_and_an_unknown_emotion_stay_words(clips):
    (first, _) = read(clips, "file,emotion,gender", "a.wav,unknown,unknown", "b.wav,sad,f")
    assert (first.emotion, first.gender) == ("unknown", "unknown")


@pytest.mark.parametrize(
    ("word", "expected"), [("nan", None), ("N/A", None), ("-", None), ("Null", "Null"), ("na", "na")]
)
def test_a_transcript_may_be_a_german_word_that_looks_like_a_missing_value(clips, word, expected):
    (utterance,) = read(clips, "file,emotion,text", f"a.wav,sad,{word}")
    assert utterance.text == expected


def test_votes_segments_dimensions_and_ids_may_miss_too(clips):
    (clips / "own.csv").write_text(
        "id,file,start,end,votes.sad,votes.happy\nNA,a.wav,NA,0.25,NA,2\n-,b.wav,?,-,1,nan\n"
    )
    manifest = read_corpus(CORPORA["table"], clips / "own.csv")
    assert [(u.utterance_id, u.start_s, u.end_s, u.votes) for u in manifest] == [
        ("a#0-0.25", None, 0.25, {"happiness": 2}),
        ("b", None, None, {"sadness": 1}),
    ]


def test_an_age_of_minus_one_is_no_age(clips):
    assert [u.age for u in read(clips, "file,emotion,age", "a.wav,sad,-1", "b.wav,sad,41")] == [None, 41.0]


def test_a_nan_of_jsonl_and_parquet_is_a_missing_number(clips):
    rows = [{"file": "a.wav", "label": "sad", "age": float("nan")}, {"file": "b.wav", "label": "sad", "age": 30.0}]
    (clips / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [u.age for u in read_corpus(CORPORA["table"], clips / "own.jsonl")] == [None, 30.0]
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    parquet.write_table(pyarrow.table(columns), clips / "own.parquet")
    assert [u.age for u in read_corpus(CORPORA["table"], clips / "own.parquet")] == [None, 30.0]


def test_the_command_line_says_how_many_values_miss(clips, emotune_command):
    (clips / "own.csv").write_text("file,label,spk,age\na.wav,NA,NA,?\nb.wav,sad,NA,31\n")
    ended = emotune_command("corpus", "read", "table", clips / "own.csv", "-o", clips / "m.csv")
    assert ended.code == 0
    assert "missing values: emotion 1 ('NA'), speaker 2 ('NA'), age 1 ('?')" in ended.err
    assert "1 of 2 utterances have no emotion, dimension or votes" in ended.err
    assert "2 of 2 utterances have no speaker" in ended.err
    assert "2 utterances, 0.00 h, 0 speakers (none named), 1 classes (sadness)" in ended.out


def test_a_word_for_a_missing_file_is_an_empty_file(clips):
    manifest = read(clips, "file,emotion", "a.wav,sad", "NA,sad")
    assert [item.reason for item in manifest.skipped] == [f"{clips / 'own.csv'}, row 2: file is empty."]


def test_a_table_to_predict_may_miss_values_too(clips):
    (clips / "own.csv").write_text(
        "id,file,start,end,gender,text\nNA,a.wav,NA,NA,NA,nan\nu2,b.wav,0,0.25,f,Hello\n,NA,,,,\n"
    )
    first, second, third = items_of([clips / "own.csv"])
    assert (first.utterance_id, first.start_s, first.end_s, first.known) == ("a.wav", None, None, {})
    assert second.known == {"gender": "female", "text": "Hello"}
    assert third.error is not None
    assert "row 3: file is empty" in third.error


def test_an_audiofolders_metadata_may_miss_values_too(clips):
    (clips / "metadata.csv").write_text("file_name,label,speaker_id\na.wav,NA,NA\nb.wav,sad,s1\n")
    manifest = read_corpus(CORPORA["audiofolder"], clips)
    assert [(u.emotion, u.speaker) for u in manifest] == [(None, None), ("sadness", "s1")]
    assert manifest.information["missing"] == {"emotion": {"NA": 1}, "speaker": {"NA": 1}}


def test_emobox_rows_may_miss_values_too(tmp_path):
    for file in ("a.wav", "b.wav"):
        write_recording(tmp_path / file)
    rows = [
        {"key": f"u{n}", "wav": f"{name}.wav", "emo": "ang", "gender": "NA", "spk": "N/A"}
        for n, name in enumerate("ab")
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = read_corpus(CORPORA["emobox"], tmp_path)
    assert [(u.emotion, u.gender, u.speaker) for u in manifest] == [("anger", None, None)] * 2
    assert manifest.information["missing"] == {"gender": {"NA": 2}, "speaker": {"N/A": 2}}


def test_kaldi_files_may_miss_values_too(tmp_path):
    for file in kaldi.FILES:
        write_recording(tmp_path / file)
    root = kaldi.write_labels(tmp_path, kaldi.FILES)
    speakers = next(root.rglob("utt2spk"))
    lines = [f"{line.split()[0]} NA" for line in speakers.read_text().splitlines()]
    speakers.write_text("\n".join(lines) + "\n")
    manifest = read_corpus(CORPORA["kaldi"], root)
    assert {u.speaker for u in manifest if u.utterance_id in {line.split()[0] for line in lines}} == {None}
    assert manifest.information["missing"] == {"speaker": {"NA": len(lines)}}


def test_an_audformat_database_may_miss_values_too(tmp_path):
    audformat = pytest.importorskip("audformat")
    trees = importlib.import_module("builders.corpora.audformat")
    for file in trees.FILES:
        write_recording(tmp_path / file)
    database = audformat.Database.load(str(trees.write_labels(tmp_path, trees.FILES)))
    trees.set_column(database["emotion"], "speaker", ["-", "s1"])
    trees.set_column(database["emotion"], "gender", ["?", "female"])
    trees.set_column(database["emotion"], "age", ["n.a.", "31"])
    database.save(str(tmp_path), storage_format="csv")
    manifest = read_corpus(CORPORA["audformat"], tmp_path)
    assert [(u.speaker, u.gender, u.age) for u in manifest] == [(None, None, None), ("s1", "female", 31.0)]
