"""Databases in audformat, written by its own library and read by ours."""

import importlib
import subprocess
import sys

import audformat
import pandas
import pytest

from builders.corpora.audformat import FILES, GERMAN, set_column, write_emodb_2, write_labels
from builders.manifests import reasons
from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, read_corpus
from emotune.errors import CorpusError
from emotune.schema.labels import Scale
from emotune.schema.manifest import Manifest

AUDFORMAT = CORPORA["audformat"]
EMODB_FILES = ["wav/03a01Wa.wav", "wav/03b01Nb.wav", "wav/08a01Fd.wav"]


@pytest.mark.parametrize("speakers_in_a_table", [False, True])
@pytest.mark.parametrize("storage_format", ["csv", "parquet"])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_emodb_in_its_second_version_is_read(tmp_path, speakers_in_a_table, storage_format, suffix):
    write_recordings(tmp_path, *(file.replace(".wav", suffix) for file in EMODB_FILES))
    write_emodb_2(tmp_path, speakers_in_a_table=speakers_in_a_table, storage_format=storage_format)
    manifest = read_corpus(AUDFORMAT, tmp_path)
    utterances = sorted(manifest, key=lambda utterance: utterance.utterance_id)
    assert [(u.utterance_id, u.emotion, u.split, u.speaker, u.gender, u.age) for u in utterances] == [
        ("wav/03a01Wa", "anger", "train", "3", "male", 31),
        ("wav/03b01Nb", "neutral", "train", "3", "male", 31),
        ("wav/08a01Fd", "happiness", "test", "8", "female", None if speakers_in_a_table else 34),
    ]
    assert [u.text for u in utterances] == [GERMAN["a01"], GERMAN["b01"], GERMAN["a01"]]
    assert {u.language for u in manifest} == {"de"}
    assert not manifest.label_space.dimensions  # the confidence is none
    assert not manifest.skipped


def segmented(root) -> audformat.Database:
    """Two recordings of a second; three segments with dimensions, one with an emotion too."""
    write_recording(root / "audio" / "a.wav", seconds=1.0)
    write_recording(root / "audio" / "b.wav", seconds=1.0)
    database = audformat.Database("own")
    database.schemes["arousal"] = audformat.Scheme("float", minimum=1, maximum=7)
    database.schemes["valence"] = audformat.Scheme("float", minimum=-1, maximum=1)
    database.schemes["emotion"] = audformat.Scheme("str", labels=["angry", "sad"])
    index = audformat.segmented_index(
        ["audio/a.wav", "audio/a.wav", "audio/b.wav"], ["0s", "0.5s", "0s"], ["0.25s", "1s", pandas.NaT]
    )
    database.splits["dev"] = audformat.Split("dev")
    database["segments"] = audformat.Table(index, split_id="dev")
    set_column(database["segments"], "activation", [2.0, 7.0, 4.0], scheme="arousal")
    set_column(database["segments"], "valence", [-1.0, 0.5, None], scheme="valence")
    set_column(database["segments"], "emotion", ["angry", None, "sad"], scheme="emotion")
    database["files"] = audformat.Table(audformat.filewise_index(["audio/a.wav", "audio/b.wav"]))
    set_column(database["files"], "speaker", ["anna", "bert"])
    set_column(database["files"], "sex", ["F", "M"])
    return database


def test_segments_have_their_dimensions_on_the_scales_of_the_schemes(tmp_path):
    segmented(tmp_path).save(str(tmp_path))
    manifest = read_corpus(AUDFORMAT, tmp_path)
    assert manifest.label_space.dimensions == {"arousal": Scale(1, 7), "valence": Scale(-1, 1)}
    assert [(u.utterance_id, u.start_s, u.end_s, u.duration_s) for u in manifest] == [
        ("audio/a#0-0.25", 0.0, 0.25, 0.25),
        ("audio/a#0.5-1", 0.5, 1.0, 0.5),
        ("audio/b", None, None, 1.0),
    ]
    assert [u.dimensions for u in manifest] == [
        {"arousal": 2.0, "valence": -1.0},
        {"arousal": 7.0, "valence": 0.5},
        {"arousal": 4.0},
    ]
    assert [u.emotion for u in manifest] == ["anger", None, "sadness"]
    assert [(u.speaker, u.gender) for u in manifest] == [("anna", "female"), ("anna", "female"), ("bert", "male")]
    assert {u.split for u in manifest} == {"development"}
    manifest.write(tmp_path / "m.csv")
    assert Manifest.read(tmp_path / "m.csv").fingerprint() == manifest.fingerprint()


def test_a_value_outside_its_scale_is_skipped(tmp_path):
    database = segmented(tmp_path)
    database.save(str(tmp_path), storage_format="csv")
    table = tmp_path / "db.segments.csv"
    table.write_text(table.read_text().replace("7.0", "9.0"))
    manifest = read_corpus(AUDFORMAT, tmp_path)
    assert len(manifest) == 2
    assert "arousal is 9.0, outside its scale [1.0, 7.0]" in reasons(manifest)["audio/a.wav"]


def test_a_dimension_without_a_scale_is_left_out_and_named(tmp_path):
    database = segmented(tmp_path)
    database.schemes["arousal"].minimum = None
    database.save(str(tmp_path))
    manifest = read_corpus(AUDFORMAT, tmp_path)
    assert set(manifest.label_space.dimensions) == {"valence"}
    assert reasons(manifest)["db.yaml"] == (
        "scheme 'arousal' has no minimum and maximum: values of arousal are left out"
    )


def labelled(root, **columns: list[object]) -> audformat.Database:
    """Two recordings and one table of columns; all of the scheme ``feeling`` unless they are called speaker."""
    write_recordings(root, *FILES)
    database = audformat.Database("own")
    database.schemes["feeling"] = audformat.Scheme("str", labels=["angry", "sad"])
    database["answers"] = audformat.Table(audformat.filewise_index(FILES))
    for name, values in columns.items():
        set_column(database["answers"], name, values, scheme=None if name == "speaker" else "feeling")
    return database


def test_without_one_called_emotion_the_only_scheme_with_labels_is_taken(tmp_path):
    labelled(tmp_path, answer=["angry", "sad"], speaker=["x", "y"]).save(str(tmp_path))
    assert [(u.emotion, u.speaker) for u in read_corpus(AUDFORMAT, tmp_path)] == [("anger", "x"), ("sadness", "y")]


def test_columns_of_several_raters_are_votes(tmp_path):
    labelled(tmp_path, r1=["angry", "sad"], r2=["angry", None], r3=["sad", "sad"]).save(str(tmp_path))
    manifest = read_corpus(AUDFORMAT, tmp_path)
    assert [(u.emotion, u.votes) for u in manifest] == [(None, {"anger": 2, "sadness": 1}), (None, {"sadness": 2})]


def test_files_without_a_label_and_files_that_are_gone_are_skipped(tmp_path):
    labelled(tmp_path, emotion=["angry", None]).save(str(tmp_path))
    manifest = read_corpus(AUDFORMAT, tmp_path)
    assert [u.utterance_id for u in manifest] == ["wav/a"]
    assert reasons(manifest) == {"wav/b.wav": "no label in table 'answers'"}
    (tmp_path / "wav" / "a.wav").unlink()
    with pytest.raises(CorpusError, match="does not exist"):
        read_corpus(AUDFORMAT, tmp_path)


def test_a_file_in_two_splits_stays_in_the_first_and_is_named(tmp_path):
    database = labelled(tmp_path, speaker=["x", "y"])
    database.schemes["emotion"] = audformat.Scheme("str", labels=["angry", "sad"])
    for split in ("train", "test"):
        database[f"emotion.{split}"] = audformat.Table(audformat.filewise_index(FILES[:1]))
        set_column(database[f"emotion.{split}"], "emotion", ["angry"], scheme="emotion")
    database.save(str(tmp_path))
    manifest = read_corpus(AUDFORMAT, tmp_path)
    (utterance,) = manifest
    (skipped,) = manifest.skipped
    assert skipped.file == FILES[0]
    first, second = sorted(("train", "test"), key=lambda split: split != utterance.split)
    assert skipped.reason == f"table 'emotion.{second}' lists it for {second} too; it stays in {first}"


def test_the_gold_standard_counts_before_other_tables(tmp_path):
    database = labelled(tmp_path)
    database.schemes["emotion"] = audformat.Scheme("str", labels=["angry", "sad"])
    for name, emotion in [("emotion", "sad"), ("emotion.test.gold_standard", "angry")]:
        database[name] = audformat.Table(audformat.filewise_index(FILES))
        set_column(database[name], "emotion", [emotion] * 2, scheme="emotion")
    database.save(str(tmp_path))
    assert {(u.emotion, u.split) for u in read_corpus(AUDFORMAT, tmp_path)} == {("anger", "test")}


def test_missing_and_broken_headers_and_tables_are_errors_that_name_them(tmp_path):
    with pytest.raises(CorpusError, match=r"holds no db\.yaml"):
        read_corpus(AUDFORMAT, tmp_path)
    write_recordings(tmp_path, *FILES)
    write_labels(tmp_path, FILES)
    header, table = tmp_path / "db.yaml", tmp_path / "db.emotion.csv"
    content = table.read_text()
    table.write_text("nothing\n1\n")
    with pytest.raises(CorpusError, match=r"table 'emotion' \(db\.emotion\.\*\) cannot be read"):
        read_corpus(AUDFORMAT, tmp_path)
    table.unlink()
    with pytest.raises(CorpusError, match=r"table 'emotion' \(db\.emotion\.\*\) cannot be read"):
        read_corpus(AUDFORMAT, tmp_path)
    table.write_text(content)
    header.write_text("name: [broken")
    with pytest.raises(CorpusError, match=r"db\.yaml cannot be read as audformat"):
        read_corpus(AUDFORMAT, tmp_path)


def test_a_database_without_emotions_says_which_schemes_it_has(tmp_path):
    write_recordings(tmp_path, *FILES)
    database = audformat.Database("own")
    database.schemes["speed"] = audformat.Scheme("float")
    database["t"] = audformat.Table(audformat.filewise_index(FILES))
    set_column(database["t"], "speed", [1.0, 2.0], scheme="speed")
    database.save(str(tmp_path))
    with pytest.raises(CorpusError, match=r"has no scheme 'emotion', .* Its schemes: speed\."):
        read_corpus(AUDFORMAT, tmp_path)


def test_without_the_library_the_message_names_the_extra(tmp_path, monkeypatch):
    write_labels(tmp_path, FILES)
    imported = importlib.import_module

    def refuse(name: str, *rest: object):
        if name == "audformat":
            raise ModuleNotFoundError("No module named 'audformat'", name="audformat")
        return imported(name, *rest)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(CorpusError, match=r"pip install 'emotune\[audformat\]'"):
        read_corpus(AUDFORMAT, tmp_path)


def test_the_corpora_are_listed_without_pandas_audformat_or_pyav():
    program = "import sys, emotune.corpora; print(sorted({'pandas', 'audformat', 'av', 'torch'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
