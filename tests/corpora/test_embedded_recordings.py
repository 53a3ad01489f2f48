"""Recordings in a table's cells, as Hugging Face's ``datasets`` writes them to Parquet."""

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from builders import recordings
from builders.recordings import noise, write_recording
from emotune import audio
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.errors import CorpusError, TableError
from emotune.inference.inputs import items_of
from emotune.inference.jobs.parts import inputs_sha256
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

TABLE = CORPORA["table"]


def encoded(seed: int, *, format: str = "WAV", seconds: float = 0.5) -> bytes:
    return recordings.encoded(noise(round(16000 * seconds), seed=seed), container=format)


def write_shard(path: Path, cells: list[dict | None], **columns: list) -> Path:
    """A shard with the columns and the metadata that ``datasets`` writes; ``label`` is one of its class labels."""
    audio_type = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    features = {"audio": {"sampling_rate": 16000, "_type": "Audio"}}
    if "label" in columns:
        features["label"] = {"names": ["neutral", "happy", "sad"], "_type": "ClassLabel"}
    table = pyarrow.table({"audio": pyarrow.array(cells, type=audio_type), **columns})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


@pytest.fixture
def shard(tmp_path) -> Path:
    cells = [
        {"bytes": encoded(1), "path": "a.wav"},
        {"bytes": encoded(2, format="FLAC"), "path": "deep/b.flac"},
        {"bytes": encoded(3), "path": "a.wav"},  # another recording of that name
        {"bytes": encoded(4, format="OGG"), "path": None},
        {"bytes": encoded(5), "path": "/home/someone/cache/c.wav"},
        {"bytes": encoded(6), "path": "../../d.wav"},
    ]
    return write_shard(
        tmp_path / "train-00000-of-00001.parquet",
        cells,
        label=[0, 1, 2, -1, 0, 1],
        file=[f"gone{n}.wav" for n in range(6)],
    )


NAMES = ["a.wav", "deep/b.flac", "a-row3.wav", "row-000004.ogg", "c.wav", "d.wav"]


def test_a_shard_is_written_out_to_a_folder_and_read_as_a_corpus(tmp_path, shard):
    manifest = read_corpus(TABLE, shard, ReadingOptions(extract_to=tmp_path / "recordings"))
    assert [u.file for u in manifest] == NAMES
    assert not manifest.skipped
    assert manifest.root == tmp_path / "recordings"
    expected = [audio.decode(row["audio"]["bytes"]).content_sha256() for row in parquet.read_table(shard).to_pylist()]
    assert [u.content_sha256 for u in manifest] == expected
    assert [audio.decode(manifest.path_of(u)).content_sha256() for u in manifest] == expected
    assert {path.name for path in tmp_path.iterdir()} == {"recordings", shard.name}
    assert manifest.information["columns"] == {"file": "audio", "emotion": "label"}
    manifest.write(tmp_path / "m.csv")
    assert all(Manifest.read(tmp_path / "m.csv").path_of(u).is_file() for u in manifest)


@pytest.mark.parametrize("path", ["", ".", "..", "/", "a\0.wav", "z" * 300 + ".wav", "..\\..\\", "x/.."])
def test_a_name_that_cannot_be_that_of_a_file_is_replaced_by_the_rows_number(tmp_path, path):
    write_shard(tmp_path / "t.parquet", [{"bytes": encoded(1), "path": path}], label=[0])
    (utterance,) = read_corpus(TABLE, tmp_path / "t.parquet", ReadingOptions(extract_to=tmp_path / "recordings"))
    assert utterance.file == "row-000001.wav"
    assert [item.name for item in (tmp_path / "recordings").iterdir()] == ["row-000001.wav"]


def test_numbers_that_stand_for_classes_get_their_names(tmp_path, shard):
    manifest = read_corpus(TABLE, shard, ReadingOptions(extract_to=tmp_path / "recordings"))
    assert [u.emotion for u in manifest] == ["neutral", "happiness", "sadness", None, "neutral", "happiness"]


def test_a_second_reading_writes_nothing_and_finds_the_same(tmp_path, shard):
    first = read_corpus(TABLE, shard, ReadingOptions(extract_to=tmp_path / "recordings"))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "recordings").rglob("*")}
    second = read_corpus(TABLE, shard, ReadingOptions(extract_to=tmp_path / "recordings"))
    assert second.fingerprint() == first.fingerprint()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "recordings").rglob("*")} == times


def test_nothing_that_lies_in_the_folder_is_overwritten(tmp_path, shard):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in ("a.wav", "a-row1.wav"):
        (folder / name).write_bytes(b"mine")
    with pytest.raises(TableError, match=r"a-row1\.wav is there already .* Name an empty folder with --extract-to"):
        read_corpus(TABLE, shard, ReadingOptions(extract_to=folder))
    assert {path.read_bytes() for path in folder.iterdir()} == {b"mine"}


def test_without_a_folder_the_error_names_the_option_and_prints_no_sound(tmp_path, shard, emotune_command):
    ended = emotune_command("corpus", "read", "table", shard, "-o", tmp_path / "m.csv")
    assert ended.code == 2
    assert "row 1: column 'audio' holds the recordings themselves" in ended.err
    assert "--extract-to FOLDER" in ended.err
    assert len(ended.err) < 600
    ended = emotune_command(
        "corpus", "read", "table", shard, "-o", tmp_path / "m.csv", "--extract-to", tmp_path / "recordings"
    )
    assert ended.code == 0, ended.err
    assert len(Manifest.read(tmp_path / "m.csv")) == 6


def test_paths_without_content_are_paths(tmp_path):
    write_recording(tmp_path / "a.wav")
    write_shard(
        tmp_path / "t.parquet", [{"bytes": None, "path": "a.wav"}, {"bytes": None, "path": None}, None], label=[0, 1, 2]
    )
    manifest = read_corpus(TABLE, tmp_path / "t.parquet")
    assert [u.file for u in manifest] == ["a.wav"]
    assert [item.reason.split(": ")[-1] for item in manifest.skipped] == ["audio is empty."] * 2


def test_a_shard_is_predicted_from_its_bytes(tmp_path, shard, tiny_model, emotune_command):
    cells = [*parquet.read_table(shard)["audio"].to_pylist(), {"bytes": b"no sound", "path": "e.wav"}, None]
    broken = write_shard(tmp_path / "own.parquet", cells, label=[0] * len(cells))
    ended = emotune_command("predict", tiny_model, broken, "-o", tmp_path / "out.csv", "--device", "cpu")
    assert ended.code == 1
    assert len(ended.err) < 600
    rows = list(Predictions.read(tmp_path / "out.csv"))
    names = ["a.wav", "deep/b.flac", "a.wav (2)", "row 4", "/home/someone/cache/c.wav", "../../d.wav", "e.wav", "row 8"]
    assert [row.utterance_id for row in rows] == names
    assert [row.error is None for row in rows] == [True] * 6 + [False] * 2
    assert rows[7].error == f"{broken}, row 8: audio is empty, expected the path of a recording."
    assert rows[1].extra == {"audio": "deep/b.flac", "label": "neutral"}
    assert len((tmp_path / "out.csv").read_text()) < 4000

    read_corpus(TABLE, shard, ReadingOptions(extract_to=tmp_path / "files")).write(tmp_path / "m.csv")
    ended = emotune_command("predict", tiny_model, tmp_path / "m.csv", "-o", tmp_path / "same.csv", "--device", "cpu")
    assert ended.code == 0, ended.err
    by_file = [row.probabilities for row in Predictions.read(tmp_path / "same.csv")]
    assert [row.probabilities for row in rows[:6]] == by_file


def test_parts_are_told_apart_by_what_is_heard(tmp_path):
    def fingerprint(seed: int) -> str:
        write_shard(tmp_path / "t.parquet", [{"bytes": encoded(seed), "path": "a.wav"}])
        return inputs_sha256(list(items_of([tmp_path / "t.parquet"])))

    assert fingerprint(1) == fingerprint(1)
    assert fingerprint(1) != fingerprint(2)


def test_a_column_of_bytes_alone_holds_recordings_too(tmp_path):
    parquet.write_table(pyarrow.table({"wav": [encoded(1)], "emotion": ["sad"]}), tmp_path / "t.parquet")
    (item,) = items_of([tmp_path / "t.parquet"])
    assert (item.utterance_id, item.source, item.extra) == ("row 1", encoded(1), {"wav": None, "emotion": "sad"})
    (utterance,) = read_corpus(TABLE, tmp_path / "t.parquet", ReadingOptions(extract_to=tmp_path / "recordings"))
    assert (utterance.file, utterance.emotion) == ("row-000001.wav", "sadness")


def test_a_folder_to_write_to_is_for_tables_alone(tmp_path):
    with pytest.raises(CorpusError, match="'emodb' takes no extract_to"):
        read_corpus(CORPORA["emodb"], tmp_path, ReadingOptions(extract_to=tmp_path / "recordings"))


def test_columns_of_other_names_are_named_for_predict(tmp_path, tiny_model, emotune_command):
    write_recording(tmp_path / "a.wav", seconds=1.0)
    (tmp_path / "own.csv").write_text("recording,file\na.wav,gone.wav\n")
    predict = ("predict", tiny_model, tmp_path / "own.csv", "-o", tmp_path / "out.csv", "--device", "cpu")
    assert emotune_command(*predict).code == 1
    ended = emotune_command(*predict, "--column", "file=recording")
    assert ended.code == 0, ended.err
    (row,) = Predictions.read(tmp_path / "out.csv")
    assert row.utterance_id == "a.wav"
    for column, words in {
        "file=rekording": "column 'rekording', did you mean 'recording'?",
        "fil=recording": "field 'fil', did you mean 'file'?",
        "file": "--column file: expected FIELD=COLUMN",
    }.items():
        ended = emotune_command(*predict, "--column", column)
        assert ended.code == 2
        assert words in ended.err
    ended = emotune_command("predict", tiny_model, tmp_path / "a.wav", "--column", "file=recording")
    assert ended.code == 2
    assert "--column describes the columns of a table" in ended.err


def test_a_table_for_people_holds_no_formulas_when_asked(tmp_path, tiny_model, emotune_command):
    write_recording(tmp_path / "a.wav", seconds=1.0)
    (tmp_path / "own.csv").write_text("id,file,note,level\n=u,a.wav,@x,-3.5\n")
    predict = ("predict", tiny_model, tmp_path / "own.csv", "--device", "cpu", "--spreadsheet-safe")
    assert emotune_command(*predict, "-o", tmp_path / "out.csv").code == 0
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("'=u,'=u,a.wav,'@x,-3.5,")
    (row,) = Predictions.read(tmp_path / "out.csv")
    assert (row.utterance_id, row.extra["note"], row.extra["level"]) == ("=u", "@x", "-3.5")
    assert emotune_command(*predict, "-o", tmp_path / "parts", "--part-rows", "5", "--part-format", "csv").code == 0
    assert (tmp_path / "parts" / "part-00000.csv").read_text().splitlines()[1].startswith("'=u,")
    for output in (["-o", tmp_path / "out.jsonl"], ["-o", tmp_path / "other", "--part-rows", "5"]):
        ended = emotune_command(*predict, *output)
        assert ended.code == 2
        assert "--spreadsheet-safe goes with a .csv" in ended.err
    read = (
        "corpus",
        "read",
        "table",
        tmp_path / "own.csv",
        "-o",
        tmp_path / "m.csv",
        "--spreadsheet-safe",
        "--unlabelled",
    )
    assert emotune_command(*read).code == 0
    assert "'@x" in (tmp_path / "m.csv").read_text()
    (utterance,) = Manifest.read(tmp_path / "m.csv")
    assert (utterance.utterance_id, utterance.extra["note"]) == ("=u", "@x")


def test_a_shard_whose_first_rows_hold_no_recording_is_read(tmp_path, emotune_command):
    cells = [None, {"bytes": encoded(1), "path": "a.wav"}, {"bytes": encoded(2), "path": "b.wav"}]
    path = write_shard(tmp_path / "late.parquet", cells, label=[0, 1, 2])
    manifest = read_corpus(TABLE, path, ReadingOptions(extract_to=tmp_path / "sound"))
    assert {u.file: u.emotion for u in manifest} == {"a.wav": "happiness", "b.wav": "sadness"}
    assert [item.reason for item in manifest.skipped] == [f"{path}, row 1: audio is empty."]


def test_names_of_people_beside_recordings_without_names_are_no_ids(tmp_path):
    cells = [{"bytes": encoded(n), "path": None} for n in range(3)]
    path = write_shard(tmp_path / "shard.parquet", cells, label=[0, 1, 2], name=["anna", "anna", "bob"])
    manifest = read_corpus(TABLE, path, ReadingOptions(extract_to=tmp_path / "sound"))
    assert [u.utterance_id for u in manifest] == ["row-000001", "row-000002", "row-000003"]
    assert any("--column speaker='name'" in warning for warning in manifest.information["warnings"])
    with pytest.raises(CorpusError, match="'anna' stands for different clips"):
        read_corpus(TABLE, path, ReadingOptions(extract_to=tmp_path / "sound", columns={"utterance_id": "name"}))
