"""Broken manifests, prediction tables, tables of one's own, corpora and splits: one clear error each."""

import csv
import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from builders.recordings import write_recording
from emotune import evaluate
from emotune.errors import EmotuneError, TableError
from emotune.io.tables import write_rows
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import Utterance

CLIP = 0.1 * np.random.default_rng(0).standard_normal(8000)


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Six clips of six speakers in ``audio``."""
    folder = tmp_path / "audio"
    folder.mkdir()
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", np.roll(CLIP, number), 16000)
    return folder


@pytest.fixture
def manifest(tmp_path, corpus) -> Path:
    utterances = [
        Utterance(
            f"u{number}",
            f"{number}.wav",
            start_s=0.0,
            end_s=0.4,
            duration_s=0.4,
            speaker=f"s{number}",
            gender="female",
            split="train",
            emotion=("anger", "neutral")[number % 2],
            votes={"anger": 2.0},
            dimensions={"arousal": 3.0},
        )
        for number in range(6)
    ]
    space = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
    Manifest(tuple(utterances), space, corpus).write(tmp_path / "manifest.csv")
    return tmp_path / "manifest.csv"


def cell(column: str, value: str):
    """Change one field of the third row."""

    def edit(path: Path) -> None:
        with path.open(newline="") as stream:
            rows = list(csv.reader(stream))
        rows[3][rows[0].index(column)] = value
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)

    return edit


def metadata(**changes):
    """Change keys of the metadata file; None takes the key out."""

    def edit(path: Path) -> None:
        file = path.with_name(path.name + ".meta.json")
        data = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))

    return edit


def metadata_is(content: bytes):
    return lambda path: path.with_name(path.name + ".meta.json").write_bytes(content)


def line(number: int, text: bytes):
    def edit(path: Path) -> None:
        lines = path.read_bytes().split(b"\n")
        lines[number] = text
        path.write_bytes(b"\n".join(lines))

    return edit


def becomes_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def without_metadata(path: Path) -> None:
    path.with_name(path.name + ".meta.json").unlink()


META = "manifest.csv.meta.json"
MANIFEST_FAULTS = {
    "id missing": (cell("utterance_id", ""), ["row 3: utterance_id is missing"]),
    "id twice": (cell("utterance_id", "u0"), ["utterance_id must be unique", "'u0'"]),
    "file missing": (cell("file", ""), ["row 3: file is missing"]),
    "file absolute": (cell("file", "/etc/passwd"), ["row 3: file '/etc/passwd'", "inside the root"]),
    "file above the root": (cell("file", "../x.wav"), ["row 3: file '../x.wav'", "without '..'"]),
    "file above the root in Windows' way": (cell("file", "..\\x.wav"), ["row 3", "without '..'"]),
    "file with NUL": (cell("file", "a\0.wav"), ["row 3: file 'a\\x00.wav'", "rename"]),
    "unknown class": (cell("emotion", "rage"), ["row 3: emotion 'rage'", "(anger, neutral)"]),
    "unknown gender": (cell("gender", "f"), ["row 3: gender 'f'", "female, male, other, unknown"]),
    "text for a number": (cell("start_s", "soon"), ["row 3, start_s: expected a number, got 'soon'"]),
    "NaN for a number": (cell("end_s", "nan"), ["row 3, end_s: expected a finite number or an empty field"]),
    "infinity for a number": (cell("age", "inf"), ["row 3, age: expected a finite number"]),
    "end before start": (cell("start_s", "0.5"), ["row 3: start_s 0.5 and end_s 0.4", "0 <= start_s < end_s"]),
    "negative start": (cell("start_s", "-1"), ["row 3: start_s -1.0"]),
    "no duration": (cell("duration_s", "0"), ["row 3: duration_s is 0.0, expected a positive"]),
    "votes of 1e308": (cell("votes.anger", "1e308"), ["row 3: votes.anger is 1e+308, expected a number from 0 to"]),
    "negative vote": (cell("votes.anger", "-1"), ["row 3: votes.anger is -1.0, expected a number from 0 to 1,000,000"]),
    "vote in words": (cell("votes.anger", "two"), ["row 3, votes.anger: expected a number, got 'two'"]),
    "dimension outside its scale": (cell("arousal", "8"), ["row 3: arousal is 8.0, outside its scale [1.0, 7.0]"]),
    "dimension in words": (cell("arousal", "high"), ["row 3, arousal: expected a number, got 'high'"]),
    "another schema": (metadata(schema="emotune-manifest/9"), [META, "'emotune-manifest/9'", "Read the corpus again"]),
    "no metadata": (without_metadata, [f"has no {META} beside it", "emotune corpus read table"]),
    "metadata not JSON": (metadata_is(b"{"), [META, "cannot be read as JSON"]),
    "metadata 100,000 levels deep": (
        metadata_is(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        [META, "cannot be read as JSON", "nested deeper than 100 levels"],
    ),
    "metadata not UTF-8": (metadata_is(b"\xff{}"), [META, "cannot be read as JSON"]),
    "metadata a list": (metadata_is(b"[]"), [META, "must hold a JSON object, not a list"]),
    "metadata without root": (metadata(root=None), [META, "'root' must be the folder of the recordings"]),
    "metadata with a number for root": (metadata(root=5), [META, "'root' must be the folder of the recordings"]),
    "classes a word": (metadata(classes="anger"), [META, "needs 'classes' (a list)"]),
    "classes repeated": (metadata(classes=["anger", "anger", "neutral"]), [META, "different names, got 'anger'"]),
    "scale of words": (metadata(dimensions={"arousal": ["low", "high"]}), [META, "'arousal' must be [low, high]"]),
    "scale upside down": (metadata(dimensions={"arousal": [7, 1]}), [META, "finite low < high, got 7.0 and 1.0"]),
    "skipped in words": (metadata(skipped=["3.wav"]), [META, "'skipped' a list of objects"]),
    "information in words": (metadata(information="none"), [META, "'information' must be an object"]),
    "not UTF-8": (line(3, b"u2,\xff\xfe.wav"), ["is not UTF-8 text", "iconv"]),
    "ragged row": (line(3, b"u2,2.wav"), ["line 4: 2 fields, but the header has", "quote fields that hold a comma"]),
    "open quote": (line(3, b'"u2,2.wav'), ["not valid CSV"]),
    "columns twice": (line(0, b"utterance_id,file,file"), ["column names appear twice: file"]),
    "empty": (lambda path: path.write_bytes(b""), ["is empty, expected a header line"]),
    "a folder": (becomes_folder, ["is a folder, expected a table file"]),
    "gone": (lambda path: path.unlink(), ["does not exist"]),
}


@pytest.mark.parametrize("case", MANIFEST_FAULTS)
def test_a_broken_manifest_is_a_table_error_that_names_file_row_and_field(manifest, case):
    change, words = MANIFEST_FAULTS[case]
    change(manifest)
    with pytest.raises(TableError) as caught:
        Manifest.read(manifest)
    for word in [str(manifest), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["manifest.xlsx", "manifest", "manifest.csv.gz"])
def test_an_unknown_table_suffix_lists_the_known(tmp_path, name):
    with pytest.raises(TableError, match=r"\.csv, \.tsv, \.jsonl, \.parquet, not"):
        Manifest.read(tmp_path / name)


JSON_FAULTS = {
    "broken line": ('{"utterance_id": "a"', "line 2: not valid JSON"),
    "list line": ("[1, 2]", "line 2: expected a JSON object, got a list"),
    "list for text": ('{"utterance_id": "a", "file": "a.wav", "speaker": ["s"]}', "row 2, speaker: expected text"),
    "object for an id": ('{"utterance_id": {}, "file": "a.wav"}', "row 2, utterance_id: expected text, got {}"),
    "truth value for a number": (
        '{"utterance_id": "a", "file": "a.wav", "age": true}',
        "row 2, age: expected a number",
    ),
    "endless number": ('{"utterance_id": "a", "file": "a.wav", "age": 1%s}' % ("0" * 400), "row 2, age: expected a"),
    "100,000 levels": (
        '{"note": %s}' % ("[" * 100_000 + "]" * 100_000),
        "line 2: not valid JSON (it is nested deeper than 100",
    ),
    "102 levels": (
        '{"note": %s}' % ('{"a":' * 101 + "1" + "}" * 101),
        "line 2: not valid JSON (it is nested deeper than 100",
    ),
    "NaN": ('{"utterance_id": "a", "file": "a.wav", "age": NaN}', "row 2, age: expected a finite number"),
}


@pytest.mark.parametrize("case", JSON_FAULTS)
def test_a_broken_jsonl_manifest_names_its_line_or_row(tmp_path, manifest, case):
    text, words = JSON_FAULTS[case]
    path = tmp_path / "manifest.jsonl"
    Manifest.read(manifest).write(path)
    line(1, text.encode())(path)
    with pytest.raises(TableError) as caught:
        Manifest.read(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_note_of_100_levels_is_carried_along(tmp_path, manifest):
    note = json.loads("[" * 99 + "]" * 99)
    table = Manifest.read(manifest)
    row = dataclasses.replace(table.utterances[0], extra={"note": note})
    table.replace_utterances([row]).write(tmp_path / "deep.jsonl")
    assert Manifest.read(tmp_path / "deep.jsonl").utterances[0].extra["note"] == note


def test_votes_that_no_sum_can_hold_are_skipped_with_their_row(tmp_path, corpus, emotune_command):
    path = own_table(tmp_path, "file,votes.anger,votes.joy\naudio/0.wav,1e308,1e308\naudio/1.wav,2,1\n")
    ended = emotune_command("corpus", "read", "table", path, "-o", tmp_path / "out.csv")
    assert ended.code == 0, ended.err
    assert "votes.anger is 1e+308, expected a number from 0 to 1,000,000" in ended.err
    for command in ("show", "label", "check"):
        output = ["-o", tmp_path / f"{command}.csv"] if command == "label" else []
        assert "Traceback" not in emotune_command("corpus", command, tmp_path / "out.csv", *output).err
    assert [u.file for u in Manifest.read(tmp_path / "out.csv")] == ["audio/1.wav"]


def test_a_parquet_file_that_is_none_says_so(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "manifest.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(TableError, match=r"manifest\.parquet cannot be read as Parquet"):
        Manifest.read(path)


def test_a_missing_word_in_parquet_is_not_the_word_nan(tmp_path, manifest):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "manifest.parquet"
    Manifest.read(manifest).write(path)
    table = parquet.read_table(path)
    numbers = pyarrow.array([float("nan")] * 6)
    parquet.write_table(table.set_column(table.column_names.index("speaker"), "speaker", numbers), path)
    assert {utterance.speaker for utterance in Manifest.read(path)} == {None}


def test_a_manifest_without_rows_is_an_error_wherever_rows_are_needed(tmp_path, manifest, emotune_command):
    manifest.write_text(manifest.read_text().split("\n")[0] + "\n")
    for command, words in (
        (
            ["corpus", "split", manifest, "-o", tmp_path / "out.csv"],
            "0 different values of speaker cannot fill 3 splits",
        ),
        (["predict", tmp_path, manifest], "There is no recording in"),
        (["train", "demo/tiny_wavlm", f"data.manifest={manifest}", "-o", tmp_path / "run"], "No utterance"),
    ):
        ended = emotune_command(*command)
        assert ended.code == 2
        assert words in ended.err
    shown = emotune_command("corpus", "show", manifest, "--json")
    assert shown.code == 0
    assert json.loads(shown.out)["duration_s"]["median"] is None  # undefined, and still JSON


@pytest.fixture
def predictions(tmp_path) -> Path:
    space = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
    rows = [Prediction(f"u{n}", {"anger": 0.75, "neutral": 0.25}, {"arousal": 3.0}) for n in range(6)]
    Predictions(tuple(rows), space).write(tmp_path / "predictions.csv")
    return tmp_path / "predictions.csv"


PREDICTION_FAULTS = {
    "sum": (cell("p.anger", "0.5"), ["row 3: the probabilities sum to 0.7500, expected 1"]),
    "missing": (cell("p.anger", ""), ["row 3, p.anger: a value is missing, and the row names no error"]),
    "in words": (cell("p.anger", "much"), ["row 3, p.anger: expected a number, got 'much'"]),
    "below 0": (
        lambda path: [cell("p.anger", "1.5")(path), cell("p.neutral", "-0.5")(path)],
        ["row 3, p.", "no proba"],
    ),
    "dimension missing": (cell("arousal", ""), ["row 3, arousal: a value is missing"]),
    "off its scale": (cell("arousal", "-2.4"), ["row 3: arousal is -2.4, outside its scale [1.0, 7.0]"]),
    "reserved class": (metadata(classes=["anger", "uncertain"]), ["A class cannot be called 'uncertain'"]),
    "reserved dimension": (metadata(dimensions={"p.anger": [1, 7]}), ["A dimension cannot be called 'p.anger'"]),
    "scale that overflows": (metadata(dimensions={"arousal": [-1e308, 1e308]}), ["A scale lies between -1e+09 and"]),
    "scale of 400 digits": (metadata(dimensions={"arousal": [0, 10**400]}), ["ends that are no usable numbers"]),
    "id missing": (cell("utterance_id", ""), ["row 3: utterance_id is missing"]),
    "id twice": (cell("utterance_id", "u0"), ["utterance_id must be unique", "'u0'"]),
    "no metadata": (without_metadata, ["predictions.csv.meta.json does not exist"]),
    "metadata of a manifest": (
        metadata(schema="emotune-manifest/1"),
        ["'emotune-manifest/1'", "emotune-predictions/1"],
    ),
    "classes in words": (metadata(classes="anger"), ["predictions.csv.meta.json", "needs 'classes' (a list)"]),
}


@pytest.mark.parametrize("case", PREDICTION_FAULTS)
def test_a_broken_prediction_table_is_a_table_error_that_names_row_and_field(predictions, case):
    change, words = PREDICTION_FAULTS[case]
    change(predictions)
    with pytest.raises(TableError) as caught:
        Predictions.read(predictions)
    for word in [str(predictions), *words]:
        assert word in str(caught.value)


def test_predictions_for_another_manifest_are_an_error(manifest, predictions):
    cell("utterance_id", "other")(predictions)
    with pytest.raises(TableError, match=r"1 of 6 utterances have no prediction, such as 'u2'. Predict the same"):
        evaluate(Manifest.read(manifest), Predictions.read(predictions))


def own_table(folder: Path, text: str) -> Path:
    path = folder / "own.csv"
    path.write_text(text)
    return path


TABLE = "file,emotion,speaker,arousal,rating\naudio/0.wav,angry,a,3,5\naudio/1.wav,neutral,b,4,6\n"
AROUSAL = ["--scale", "arousal=1:7"]
OWN_TABLE_FAULTS = {
    "no file column": (
        TABLE.replace("file,", "recording,"),
        AROUSAL,
        ["no column for the recordings", "--column file="],
    ),
    "dimension without scale": (TABLE, [], ["'arousal' looks like the dimension", "--scale arousal=LOW:HIGH"]),
    "unknown field": (TABLE, [*AROUSAL, "--column", "speakr=rating"], ["field 'speakr', did you mean 'speaker'?"]),
    "unknown column": (TABLE, [*AROUSAL, "--column", "text=ratin"], ["column 'ratin', did you mean 'rating'?"]),
    "field without column": (TABLE, [*AROUSAL, "--column", "text"], ["--column text: expected FIELD=COLUMN"]),
    "field named twice": (
        TABLE,
        [*AROUSAL, "--column", "text=rating", "--column", "text=file"],
        ["'text' is given twice"],
    ),
    "scale without colon": (TABLE, ["--scale", "arousal=7"], ["--scale arousal=7: expected arousal=LOW:HIGH"]),
    "scale in words": (TABLE, ["--scale", "arousal=low:high"], ["--scale arousal=low:high: 'low' is not a number"]),
    "scale upside down": (TABLE, ["--scale", "arousal=7:1"], ["finite low < high, got 7.0 and 1.0"]),
    "scale without end": (TABLE, ["--scale", "arousal=1:inf"], ["finite low < high"]),
    "scale of a missing column": (TABLE, [*AROUSAL, "--scale", "tension=0:1"], ["'tension'", "--column tension="]),
    "dimension called like a column": (TABLE, [*AROUSAL, "--scale", "age=0:1"], ["cannot be called 'age'"]),
    "no labels": (
        TABLE.replace("emotion", "feeling").replace("arousal", "excited"),
        [],
        ["no labels; expected a column emotion", "feeling", "--column emotion=<column>", "--unlabelled"],
    ),
    "no rows": ("file,emotion\n", [], ["own.csv has no rows"]),
    "nothing readable": (
        "file\naudio/9.wav\n",
        ["--unlabelled"],
        ["no utterance of corpus 'table' could be read", "does not exist"],
    ),
    "outside the folder": (
        "file\n../../x.wav\n",
        ["--unlabelled"],
        ["outside the folder of the recordings", "--audio-root"],
    ),
    "NUL in a path": ("file\na\0.wav\n", ["--unlabelled"], ["row 1: 'a\\x00.wav' is no usable path"]),
    "map of a class that is not there": (TABLE, [*AROUSAL, "--map", "rage=anger"], ["rage", "It has: anger, neutral"]),
    "map without equals": (TABLE, [*AROUSAL, "--map", "anger"], ["--map anger: expected CLASS=CLASS"]),
    "drop of a class that is not there": (TABLE, [*AROUSAL, "--drop", "fear"], ["does not have: fear"]),
}


@pytest.mark.parametrize("case", OWN_TABLE_FAULTS)
def test_a_broken_table_of_ones_own_ends_with_2_and_writes_nothing(tmp_path, corpus, emotune_command, case):
    text, options, words = OWN_TABLE_FAULTS[case]
    path = own_table(tmp_path, text)
    ended = emotune_command("corpus", "read", "table", path, "-o", tmp_path / "out.csv", *options)
    assert ended.code == 2
    for word in words:
        assert word in ended.err
    assert ended.err.startswith("error: ")
    assert "Traceback" not in ended.out + ended.err
    assert sorted(item.name for item in tmp_path.iterdir()) == ["audio", "own.csv"]


def test_rows_that_cannot_be_used_are_skipped_counted_and_named(tmp_path, corpus, emotune_command):
    (corpus / "empty.wav").write_bytes(b"")
    (corpus / os.fsdecode(b"\xff.wav")).write_bytes((corpus / "0.wav").read_bytes())
    path = own_table(
        tmp_path,
        "file,emotion,start,end,gender\n"
        "audio/0.wav,angry,,,f\naudio/1.wav,neutral,,,m\naudio/empty.wav,neutral,,,\naudio/gone.wav,neutral,,,\n"
        ",neutral,,,\naudio/2.wav,neutral,soon,,\naudio/3.wav,neutral,0.4,0.1,\naudio/4.wav,neutral,,9,\n"
        "audio/5.wav,neutral,,,robot\naudio/0.wav,angry,,,\n../x.wav,neutral,,,\n",
    )
    ended = emotune_command("corpus", "read", "table", path, "-o", tmp_path / "out.csv")
    assert ended.code == 0, ended.err
    manifest = Manifest.read(tmp_path / "out.csv")
    assert [utterance.file for utterance in manifest] == ["audio/0.wav", "audio/1.wav"]
    reasons = {item.file: item.reason for item in manifest.skipped}
    assert len(manifest.skipped) == 9
    for file, words in {
        "audio/empty.wav": "is empty (0 bytes)",
        "audio/gone.wav": "does not exist",
        "row 5": "own.csv, row 5: file is empty",
        "audio/2.wav": "own.csv, row 6, start: expected a number, got 'soon'",
        "audio/3.wav": "0 <= start_s < end_s",
        "audio/4.wav": "end_s 9.0 lies behind the end",
        "audio/5.wav": "gender 'robot', expected one of",
        "audio/0.wav": "utterance_id 'audio/0' is already",
        "../x.wav": "outside the folder",
    }.items():
        assert words in reasons[file]
    assert "skipped 9" in ended.err


def empty_folder(folder: Path) -> None:
    folder.mkdir()


def foreign_names(folder: Path) -> None:
    folder.mkdir()
    soundfile.write(folder / "holiday.wav", CLIP, 16000)
    (folder / os.fsdecode(b"\xff.wav")).write_bytes(b"")


def broken_recordings(folder: Path) -> None:
    folder.mkdir()
    (folder / "03a01Fa.wav").write_bytes(b"")
    (folder / "03-01-05-01-01-01-01.wav").write_bytes(b"")


FOLDERS = {
    "gone": (lambda folder: None, "is not a folder. Give the folder that holds"),
    "empty": (empty_folder, "holds no recording (.wav"),
    "a file": (lambda folder: folder.write_text(""), "is not a folder"),
    "foreign names": (foreign_names, "Skipped: 2x name does not follow"),
    "broken recordings": (broken_recordings, "is empty (0 bytes)"),
}


@pytest.mark.parametrize("corpus_name", ["emodb", "ravdess"])
@pytest.mark.parametrize("case", FOLDERS)
def test_a_corpus_folder_without_its_recordings_ends_with_2(tmp_path, emotune_command, case, corpus_name):
    make, words = FOLDERS[case]
    make(tmp_path / "corpus")
    ended = emotune_command("corpus", "read", corpus_name, tmp_path / "corpus", "-o", tmp_path / "out.csv")
    assert ended.code == 2
    assert words in ended.err
    assert str(tmp_path / "corpus") in ended.err
    assert not (tmp_path / "out.csv").exists()


def test_an_unknown_corpus_gets_a_suggestion(tmp_path, emotune_command):
    ended = emotune_command("corpus", "read", "ravdes", tmp_path, "-o", tmp_path / "out.csv")
    assert ended.code == 2
    assert "Unknown corpus 'ravdes', did you mean 'ravdess'?" in ended.err


def test_options_of_a_table_are_refused_for_another_corpus(tmp_path, emotune_command):
    ended = emotune_command("corpus", "read", "emodb", tmp_path, "-o", tmp_path / "o.csv", "--scale", "arousal=1:7")
    assert ended.code == 2
    assert "Corpus 'emodb' takes no dimensions: those describe a table of your own" in ended.err


def without_speakers(path: Path) -> None:
    table = Manifest.read(path)
    table.replace_utterances([Utterance(u.utterance_id, u.file, emotion=u.emotion) for u in table]).write(path)


SPLITS = {
    "shares that miss a part": (["--share", "train=0.5", "--share", "test=0.2"], None, "positive and sum to 1, got"),
    "a negative share": (["--share", "train=1.5", "--share", "test=-0.5"], None, "positive and sum to 1"),
    "a share that is no number": (["--share", "train=nan", "--share", "test=0.5"], None, "positive and sum to 1"),
    "a share in words": (["--share", "train=most"], None, "--share train=most: 'most' is not a number"),
    "a share named twice": (["--share", "a=0.5", "--share", "a=0.5"], None, "'a' is given twice"),
    "a share without value": (["--share", "train"], None, "--share train: expected NAME=VALUE"),
    "more folds than speakers": (["--folds", "7"], None, "6 different values of speaker cannot fill 7 splits"),
    "one fold": (["--folds", "1"], None, "Folds must be at least 2, got 1"),
    "no speakers": ([], without_speakers, "6 of 6 utterances name no speaker"),
    "no sessions": (["--group", "session"], None, "6 of 6 utterances name no session"),
    "unknown group": (["--group", "speakr"], None, "Unknown group 'speakr', did you mean 'speaker'?"),
    "negative seed": (["--seed", "-1"], None, "seed must be a whole number from 0, got -1"),
}


@pytest.mark.parametrize("case", SPLITS)
def test_splits_that_cannot_be_made_end_with_2_and_write_nothing(tmp_path, manifest, emotune_command, case):
    options, change, words = SPLITS[case]
    if change is not None:
        change(manifest)
    ended = emotune_command("corpus", "split", manifest, "-o", tmp_path / "out.csv", *options)
    assert ended.code == 2
    assert words in ended.err
    assert "Traceback" not in ended.out + ended.err
    assert not list(tmp_path.glob("*out*"))


PREDICT_FAULTS = {
    "no file column": (
        "own.csv",
        "recording\na.wav\n",
        ["no column for the recordings", "got recording. Name it with --column file="],
    ),
    "no rows": ("own.csv", "file\n", ["own.csv has no rows"]),
    "empty list of paths": ("own.txt", "\n\n", ["There is no recording in"]),
    "prose": ("own.txt", "It was a\n\ndark night.\n", ["no list of recordings", "its 2 lines", "'It was a'"]),
    "table of another kind": ("own.csv", "", ["own.csv is empty, expected a header line"]),
}


@pytest.mark.parametrize("case", PREDICT_FAULTS)
def test_a_broken_table_to_predict_ends_with_2_before_the_model_is_loaded(tmp_path, emotune_command, case):
    name, text, words = PREDICT_FAULTS[case]
    (tmp_path / name).write_text(text)
    ended = emotune_command("predict", tmp_path / "no-model", tmp_path / name, "-o", tmp_path / "out.csv")
    assert ended.code == 2
    for word in words:
        assert word in ended.err
    assert not (tmp_path / "out.csv").exists()


BROKEN_ROWS = {
    "row without file": ("own.csv", "file,text\n{good},x\n,y\n", "own.csv, row 2: file is empty"),
    "start in words": ("own.csv", "file,start\n{good},0\na,soon\n", "row 2, start: expected a number, got 'soon'"),
    "list for a file": ("own.jsonl", '{{"file": "{good}"}}\n{{"file": ["a.wav"]}}\n', "row 2, file: expected text"),
}


@pytest.mark.parametrize("case", BROKEN_ROWS)
def test_a_broken_row_to_predict_is_an_error_row_and_the_rest_is_done(tmp_path, tiny_model, emotune_command, case):
    name, text, words = BROKEN_ROWS[case]
    write_recording(tmp_path / "good.wav", seconds=1.0)
    (tmp_path / name).write_text(text.format(good="good.wav"))
    ended = emotune_command("predict", tiny_model, tmp_path / name, "-o", tmp_path / "out.csv", "--device", "cpu")
    assert ended.code == 1
    good, broken = Predictions.read(tmp_path / "out.csv")
    assert good.emotion and good.error is None
    assert broken.error is not None and words in broken.error


def test_a_list_of_paths_that_is_not_utf_8_says_so(tmp_path, emotune_command):
    (tmp_path / "own.txt").write_bytes(b"\xff.wav\n")
    ended = emotune_command("predict", tmp_path / "no-model", tmp_path / "own.txt")
    assert ended.code == 2
    assert "own.txt cannot be read as a list of paths" in ended.err


def test_a_folder_without_recordings_is_nothing_to_predict(tmp_path, emotune_command):
    ended = emotune_command("predict", tmp_path / "no-model", tmp_path)
    assert ended.code == 2
    assert f"There is no recording in {tmp_path}" in ended.err


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"table{suffix}"
    write_rows(path, ["a"], [{"a": 1}], {"of": "yesterday"})
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EmotuneError, match="No space left on device"):
        write_rows(path, ["a"], [{"a": 2}], {"of": "today"})
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == before
