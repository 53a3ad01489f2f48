"""Codes with names, labels outside their scheme, and what an audformat database may not make its library do."""

import os
import pickle
import shutil
from pathlib import Path

import audformat
import pandas
import pytest

from builders.corpora.audformat import set_column, write_labels
from builders.recordings import write_recordings
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.errors import CorpusError

AUDFORMAT = CORPORA["audformat"]
FILES = ["wav/a.wav", "wav/b.wav", "wav/c.wav"]


def write_coded(root: Path, labels, values: list, *, dtype: str, storage_format: str = "csv", **columns: list) -> Path:
    write_recordings(root, *FILES)
    database = audformat.Database("own")
    database.schemes["emotion"] = audformat.Scheme(dtype, labels=labels)
    database["answers"] = audformat.Table(audformat.filewise_index(FILES))
    set_column(database["answers"], "emotion", values, scheme="emotion")
    for name, said in columns.items():
        set_column(database["answers"], name, said)
    database.save(str(root), storage_format=storage_format)
    return root


@pytest.mark.parametrize("storage_format", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        ({0: "anger", 1: "sad"}, "int"),
        ({0: {"name": "anger"}, 1: {"name": "sad"}}, "int"),
        ({"A": "anger", "T": "sad"}, "str"),
        ({"A": {"name": "Anger"}, "T": {"name": "Sadness", "description": "quiet"}}, "str"),
        ({"A": {"german": "Ärger", "english": "anger"}, "T": {"german": "Trauer", "english": "sadness"}}, "str"),
        ({"A": "anger", "T": "sadness", "other": "other"}, "str"),
        ({"anger": "is cross", "sad": "would rather cry"}, "str"),
        ({"anger": {"description": "is cross"}, "sad": {}}, "str"),
        (["anger", "sad"], "str"),
    ],
)
def test_codes_are_the_emotions_that_their_scheme_names(tmp_path, labels, dtype, storage_format):
    first, second, *_ = labels
    write_coded(tmp_path, labels, [first, second, first], dtype=dtype, storage_format=storage_format)
    manifest = read_corpus(AUDFORMAT, tmp_path)
    assert [u.emotion for u in manifest] == ["anger", "sadness", "anger"]
    assert not manifest.skipped


def test_numbers_take_any_name_and_letters_without_emotions_stay(tmp_path):
    write_coded(tmp_path / "a", {0: "stressed", 1: "at ease"}, [0, 1, 1], dtype="int")
    assert [u.emotion for u in read_corpus(AUDFORMAT, tmp_path / "a")] == ["stressed", "at ease", "at ease"]
    write_coded(tmp_path / "b", {"x": "see page 3", "y": "see page 4"}, ["x", "y", "y"], dtype="str")
    assert [u.emotion for u in read_corpus(AUDFORMAT, tmp_path / "b")] == ["x", "y", "y"]


def test_codes_that_a_table_explains_are_named_and_count_as_votes(tmp_path):
    write_recordings(tmp_path, *FILES)
    database = audformat.Database("own")
    database["classes"] = audformat.MiscTable(pandas.Index([0, 1], dtype="Int64", name="code"))
    set_column(database["classes"], "name", ["anger", "sad"])
    database.schemes["feeling"] = audformat.Scheme("int", labels="classes")
    database["answers"] = audformat.Table(audformat.filewise_index(FILES))
    for name, values in {"r1": [0, 1, 0], "r2": [0, 1, 1]}.items():
        set_column(database["answers"], name, values, scheme="feeling")
    database.save(str(tmp_path), storage_format="csv")
    votes = [u.votes for u in read_corpus(AUDFORMAT, tmp_path)]
    assert votes == [{"anger": 2}, {"sadness": 2}, {"anger": 1, "sadness": 1}]


def test_a_gender_by_number_has_its_name(tmp_path):
    write_coded(tmp_path, ["anger", "sad"], ["anger"] * 3, dtype="str")
    database = audformat.Database.load(str(tmp_path))
    database.schemes["gender"] = audformat.Scheme("int", labels={0: "female", 1: "male"})
    set_column(database["answers"], "gender", [0, 1, None], scheme="gender")
    database.save(str(tmp_path), storage_format="csv")
    assert [u.gender for u in read_corpus(AUDFORMAT, tmp_path)] == ["female", "male", None]


def test_a_label_outside_the_scheme_is_reported_by_its_name(tmp_path):
    write_coded(tmp_path, ["anger", "sad"], ["anger", "sad", None], dtype="str")
    table = tmp_path / "db.answers.csv"
    table.write_text(table.read_text().replace("wav/b.wav,sad", "wav/b.wav,sadd"))
    manifest = read_corpus(AUDFORMAT, tmp_path)
    assert [u.file for u in manifest] == ["wav/a.wav"]
    assert {item.file: item.reason for item in manifest.skipped} == {
        "wav/b.wav": "'sadd' in column 'emotion' of table 'answers' is no label of its scheme 'emotion' (anger, sad),"
        " so it counts as missing",
        "wav/c.wav": "no label in table 'answers'",
    }


@pytest.mark.parametrize("storage_format", ["csv", "parquet"])
def test_a_code_or_a_speaker_outside_its_scheme_is_reported_too(tmp_path, storage_format):
    write_coded(tmp_path, {0: "anger", 1: "sad", 7: "joy"}, [0, 1, 7], dtype="int", storage_format=storage_format)
    database = audformat.Database.load(str(tmp_path))
    database.schemes["speaker"] = audformat.Scheme("str", labels=["x", "y", "z"])
    set_column(database["answers"], "speaker", ["x", "y", "z"], scheme="speaker")
    database.save(str(tmp_path), storage_format=storage_format)
    header = tmp_path / "db.yaml"
    text = header.read_text().replace("7: joy", "8: joy").replace("[x, y, z]", "[x, y]")
    header.write_text(text)
    manifest = read_corpus(AUDFORMAT, tmp_path)
    assert [(u.emotion, u.speaker) for u in manifest] == [("anger", "x"), ("sadness", "y")]
    reasons = [item.reason.split(" (")[0] for item in manifest.skipped if item.file == "wav/c.wav"]
    assert sorted(reasons) == [
        "'7' in column 'emotion' of table 'answers' is no label of its scheme 'emotion'",
        "'z' in column 'speaker' of table 'answers' is no label of its scheme 'speaker'",
    ]


class Marker:
    """Makes a folder when it is loaded from a pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("table", ["emotion", "people"])
def test_a_pickle_in_a_database_is_not_loaded_unless_it_is_trusted(tmp_path, table, emotune_command):
    root, marker = tmp_path / "database", tmp_path / "marker"
    write_recordings(root, *FILES)
    write_labels(root, FILES)
    database = audformat.Database.load(str(root))
    database["people"] = audformat.MiscTable(pandas.Index(["s0", "s1", "s2"], name="speaker"))
    set_column(database["people"], "gender", ["f", "m", "f"])
    database.schemes["speaker"] = audformat.Scheme("str", labels="people")
    database["emotion"]["speaker"].scheme_id = "speaker"
    database.save(str(root), storage_format="csv")
    assert [u.gender for u in read_corpus(AUDFORMAT, root)] == ["female", "male", "female"]
    (root / f"db.{table}.pkl").write_bytes(pickle.dumps(Marker(marker)))
    read = ("corpus", "read", "audformat", root, "-o", tmp_path / "m.csv")
    recipe = ("train", "demo/tiny_wavlm", "data.corpus=audformat", f"data.root={root}", "-o", tmp_path / "run")
    for command in (read, recipe, (*recipe, "--dry-run")):
        ended = emotune_command(*command)
        assert ended.code == 2
        assert f"db.{table}.pkl is a pickle, and loading one can run any code on this machine" in ended.err
        assert "--trust-pickle" in ended.err
        assert not marker.exists()
    emotune_command(*read, "--trust-pickle")
    assert marker.exists()  # the library does run it, once it is trusted


def test_a_database_of_pickles_is_read_when_it_is_trusted(tmp_path):
    write_recordings(tmp_path, *FILES)
    write_labels(tmp_path, FILES)
    expected = read_corpus(AUDFORMAT, tmp_path).utterances
    audformat.Database.load(str(tmp_path)).save(str(tmp_path), storage_format="pkl")
    (tmp_path / "db.emotion.csv").unlink()
    with pytest.raises(CorpusError, match="--trust-pickle"):
        read_corpus(AUDFORMAT, tmp_path)
    assert read_corpus(AUDFORMAT, tmp_path, ReadingOptions(trust_pickle=True)).utterances == expected


def test_a_table_that_is_named_like_a_path_is_refused(tmp_path):
    write_recordings(tmp_path, *FILES)
    write_labels(tmp_path, FILES)
    shutil.copy(tmp_path / "db.emotion.csv", tmp_path / "db.x.csv")
    header = tmp_path / "db.yaml"
    header.write_text(header.read_text().replace("tables:\n  emotion:", "tables:\n  y/../../x:"))
    with pytest.raises(CorpusError, match="is no name of a table, but a path"):
        read_corpus(AUDFORMAT, tmp_path, ReadingOptions(trust_pickle=True))


@pytest.mark.parametrize("trust_pickle", [False, True])
def test_a_header_that_asks_for_objects_of_python_is_refused(tmp_path, trust_pickle):
    write_recordings(tmp_path, *FILES)
    write_labels(tmp_path, FILES)
    header = tmp_path / "db.yaml"
    header.write_text(header.read_text() + "note: !!python/tuple [a, b]\n")
    with pytest.raises(CorpusError, match=r"db\.yaml holds a value that plain YAML does not know"):
        read_corpus(AUDFORMAT, tmp_path, ReadingOptions(trust_pickle=trust_pickle))


@pytest.mark.parametrize("content", ["- a\n- b\n", "", "name: [broken"])
def test_a_header_that_is_none_says_so(tmp_path, content):
    (tmp_path / "db.yaml").write_text(content)
    with pytest.raises(CorpusError, match=r"db\.yaml cannot be read as audformat"):
        read_corpus(AUDFORMAT, tmp_path)


def test_pickles_are_for_audformat_alone(tmp_path):
    with pytest.raises(CorpusError, match=r"Corpus 'emodb' takes no trust_pickle\.$"):
        read_corpus(CORPORA["emodb"], tmp_path, ReadingOptions(trust_pickle=True))
