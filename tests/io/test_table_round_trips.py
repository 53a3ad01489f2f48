"""Tables give back what was written, whatever the words in them."""

import csv
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotune.errors import TableError
from emotune.io.tables import SUFFIXES, metadata_path, read_json, read_rows, write_rows
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest, Skipped
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import Utterance

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
tricky = st.one_of(
    words, st.sampled_from(['a,b\n"c"', "\r", "\r\n", "\u2028", "Grüße 😀", " ", "\ufeff", "null", "nan"])
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
over_formats = pytest.mark.parametrize("suffix", SUFFIXES)
few = settings(max_examples=40, deadline=None)


def written_and_read(suffix: str, columns: list[str], rows: list[dict]) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{suffix}"
        write_rows(path, columns, rows, {"n": len(rows)})
        assert read_json(metadata_path(path), "metadata") == {"n": len(rows)}
        return read_rows(path)


@over_formats
@few
@given(rows=st.lists(st.fixed_dictionaries({"id": words, "a b,c": st.none() | tricky, "x": st.none() | tricky})))
def test_text_comes_back_letter_by_letter(suffix, rows):
    assert written_and_read(suffix, ["id", "a b,c", "x"], rows) == rows


formulas = st.from_regex(r"'{0,2}[=+\-@\t\r\n]?[0-9a-z.'=+-]{0,4}", fullmatch=True).filter(bool)


@few
@given(rows=st.lists(st.fixed_dictionaries({"=id": formulas, "x": st.none() | formulas | tricky})))
def test_text_that_is_made_safe_for_spreadsheets_comes_back_letter_by_letter(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_rows(path, ["=id", "x"], rows, {}, spreadsheet_safe=True)
        assert read_rows(path) == rows
        with path.open(newline="", encoding="utf-8") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
    for cell in cells:
        if cell[:1] and cell[0] in "=+-@\t\r\n":
            float(cell)  # a number, and nothing else


@over_formats
@few
@given(values=st.lists(st.none() | numbers, min_size=1))
def test_numbers_come_back_to_the_last_bit(suffix, values):
    rows = written_and_read(suffix, ["x"], [{"x": value} for value in values])
    assert [None if row["x"] is None else float(row["x"]) for row in rows] == values


@over_formats
def test_nan_and_none_are_empty_fields(suffix):
    rows = written_and_read(suffix, ["id", "x"], [{"id": "a", "x": math.nan}, {"id": "b", "x": None}, {"id": "c"}])
    assert [row["x"] is None or math.isnan(row["x"]) for row in rows] == [True] * 3
    if suffix != ".parquet":
        assert [row["x"] for row in rows] == [None] * 3


@over_formats
def test_numbers_of_numpy_are_numbers(suffix):
    (row,) = written_and_read(suffix, ["x"], [{"x": np.float64(0.1)}])
    assert float(row["x"]) == 0.1


def test_a_parquet_column_of_mixed_types_becomes_text():
    assert written_and_read(".parquet", ["x"], [{"x": 1}, {"x": "one"}]) == [{"x": "1"}, {"x": "one"}]


def test_csv_and_jsonl_are_what_the_standard_library_reads(tmp_path):
    rows = [{"id": "a", "x": 'comma, "quote"\nline'}, {"id": "b", "x": None}]
    write_rows(tmp_path / "t.csv", ["id", "x"], rows, {})
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == [["id", "x"], ["a", rows[0]["x"]], ["b", ""]]
    write_rows(tmp_path / "t.jsonl", ["id", "x"], rows, {})
    lines = (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_a_failed_write_leaves_the_old_table_and_no_rubbish(tmp_path):
    path = tmp_path / "t.jsonl"
    write_rows(path, ["x"], [{"x": 1}], {})
    with pytest.raises(TypeError):
        write_rows(path, ["x"], [{"x": object()}], {})
    assert read_rows(path) == [{"x": 1}]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["t.jsonl", "t.jsonl.meta.json"]


def test_a_table_of_unknown_format_is_an_error(tmp_path):
    with pytest.raises(TableError, match=r"must end in \.csv, \.tsv, \.jsonl, \.parquet, not '\.xlsx'"):
        read_rows(tmp_path / "t.xlsx")


SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7), "valence": Scale(-1, 1)})
names = st.none() | words
seconds = st.floats(0.001, 1e5)


@st.composite
def utterances(draw, number: int) -> Utterance:
    start = draw(st.none() | st.floats(0, 1e4))
    return Utterance(
        f"{number}{draw(words)}",
        f"audio/{number}.wav",
        start_s=start,
        end_s=draw(st.none() | seconds.map(lambda length: (start or 0.0) + length)),
        duration_s=draw(st.none() | seconds),
        content_sha256=draw(st.none() | st.just("0" * 64)),
        corpus=draw(names),
        speaker=draw(names),
        session=draw(names),
        gender=draw(st.sampled_from([None, "female", "male", "other", "unknown"])),
        age=draw(st.none() | st.floats(0, 120)),
        language=draw(names),
        text=draw(st.none() | tricky),
        split=draw(names),
        emotion=draw(st.sampled_from([None, "anger", "neutral"])),
        emotion_original=draw(names),
        votes=draw(st.dictionaries(st.sampled_from(["anger", "neutral", "Grüße, 😀"]), st.floats(0, 20))),
        dimensions=draw(st.fixed_dictionaries({}, optional={"arousal": st.floats(1, 7), "valence": st.floats(-1, 1)})),
        extra={"note": draw(st.none() | tricky)},
    )


@st.composite
def manifests(draw) -> Manifest:
    count = draw(st.integers(1, 6))
    skipped = tuple(Skipped(file, "broken") for file in draw(st.lists(words, max_size=2)))
    rows = tuple(draw(utterances(number)) for number in range(count))
    return Manifest(rows, SPACE, Path("/data/corpus"), {"licence": draw(tricky)}, skipped)


@over_formats
@few
@given(manifest=manifests())
def test_a_manifest_comes_back_as_it_was_written(suffix, manifest):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"manifest{suffix}"
        manifest.write(path)
        read = Manifest.read(path)
    assert read.utterances == manifest.utterances
    assert read.label_space == manifest.label_space
    assert read.information == manifest.information
    assert read.skipped == manifest.skipped
    assert read.fingerprint() == manifest.fingerprint()


@st.composite
def predictions(draw) -> Predictions:
    rows = []
    for number in range(draw(st.integers(1, 6))):
        extra = {"note": draw(st.none() | tricky)}
        if draw(st.booleans()):
            share, arousal, valence = draw(st.floats(0, 1)), draw(st.floats(1, 7)), draw(st.floats(-1, 1))
            said = {"anger": share, "neutral": 1 - share}
            rows.append(Prediction(f"u{number}", said, {"arousal": arousal, "valence": valence}, extra=extra))
        else:
            rows.append(Prediction(f"u{number}", error=draw(words), extra=extra))
    return Predictions(tuple(rows), SPACE, "model", draw(st.none() | st.just("manifest")))


@over_formats
@few
@given(table=predictions())
def test_predictions_come_back_as_they_were_written(suffix, table):
    with tempfile.TemporaryDirectory() as folder:
        table.write(Path(folder) / f"p{suffix}")
        assert Predictions.read(Path(folder) / f"p{suffix}") == table
