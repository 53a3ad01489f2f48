"""Tables as spreadsheets save them are read, and tables for spreadsheets hold nothing that these would run."""

import csv

import pytest

from emotune.errors import TableError
from emotune.io.cells import number_or_none
from emotune.io.tables import read_rows, write_rows
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Prediction, Predictions

ROWS = [{"file": "a.wav", "emotion": "happy"}, {"file": "b.wav", "emotion": None}]


@pytest.mark.parametrize(
    "text",
    [
        "file,emotion\na.wav,happy\nb.wav,\n",
        "file,emotion,,\na.wav,happy,,\nb.wav,,,\n",  # Excel: columns that were once used
        "file,emotion,,\na.wav,happy\nb.wav,,\n",  # and it leaves out separators at the end of some rows
        "file,emotion\na.wav,happy,,\nb.wav,\n",
        "file,emotion, \na.wav,happy,\nb.wav,,\n",
        "file,emotion\na.wav,happy\n,\nb.wav,\n,\n",  # rows that were emptied, not deleted
        " file , emotion\na.wav,happy\nb.wav,\n",
        "sep=,\nfile,emotion\na.wav,happy\nb.wav,\n",
        '"sep=,"\r\nfile,emotion\r\na.wav,happy\r\nb.wav,\r\n',
        "SEP=;\nfile;emotion\na.wav;happy\nb.wav;\n",
        "\ufeffsep=;\r\nfile;emotion;\r\na.wav;happy;\r\nb.wav;;\r\n",
        "sep=\t\nfile\temotion\na.wav\thappy\nb.wav\t\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_excels_habits_do_no_harm(tmp_path, text, encoding):
    (tmp_path / "own.csv").write_text(text.removeprefix("\ufeff") if encoding == "utf-16" else text, encoding=encoding)
    assert read_rows(tmp_path / "own.csv") == ROWS


def test_a_value_in_a_column_without_a_name_is_named_with_its_line(tmp_path):
    (tmp_path / "own.csv").write_text("sep=,\nfile,text,\na.wav,yes,\nb.wav,well, no\n")
    with pytest.raises(TableError, match=r"own\.csv, line 4: ' no' stands in a column without a name\. Name the"):
        read_rows(tmp_path / "own.csv")


@pytest.mark.parametrize("row", ["a.wav", "a.wav,happy,more", "a.wav,happy,,more"])
def test_a_row_that_lacks_a_named_field_or_holds_one_too_many_is_an_error(tmp_path, row):
    (tmp_path / "own.csv").write_text(f"sep=,\nfile,emotion\nb.wav,sad\n{row}\n")
    with pytest.raises(TableError, match=r"own\.csv, line 4: .* fields, but the header has 2"):
        read_rows(tmp_path / "own.csv")


def test_the_index_that_pandas_writes_keeps_its_column(tmp_path):
    (tmp_path / "own.csv").write_text(",file\n0,a.wav\n1,b.wav\n")
    assert read_rows(tmp_path / "own.csv") == [{"": "0", "file": "a.wav"}, {"": "1", "file": "b.wav"}]


def test_names_that_differ_by_spaces_alone_are_twice_the_same(tmp_path):
    (tmp_path / "own.csv").write_text("file,file ,emotion\na.wav,b.wav,sad\n")
    with pytest.raises(TableError, match="column names appear twice: file"):
        read_rows(tmp_path / "own.csv")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('a.wav\t"Hi," she said', '"Hi," she said'),
        ('a.wav\tshe said "hi"', 'she said "hi"'),
        ('a.wav\t"hi', '"hi'),
        ('a.wav\t"she said ""hi"""', 'she said "hi"'),
        ("a.wav\t", None),
        ("a.wav\tyes, well; no", "yes, well; no"),
    ],
)
def test_a_quotation_mark_in_a_tsv_takes_no_other_row_with_it(tmp_path, line, text):
    (tmp_path / "own.tsv").write_text(f'file\tsentence\n{line}\nb.wav\tend"\n')
    assert read_rows(tmp_path / "own.tsv") == [
        {"file": "a.wav", "sentence": text},
        {"file": "b.wav", "sentence": 'end"'},
    ]


def test_a_row_of_a_tsv_that_is_too_long_is_named(tmp_path):
    (tmp_path / "own.tsv").write_text("file\tsentence\na.wav\tyes\tno\n")
    with pytest.raises(TableError, match=r"own\.tsv, line 2: 3 fields, but the header has 2"):
        read_rows(tmp_path / "own.tsv")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.csv", 'file;emotion\na.wav;sad\n"b;c.wav";\n'),
        ("own.csv", '\n\nfile;emotion\na.wav;sad\n"b;c.wav";\n'),
        ("own.csv", "file\temotion\na.wav\tsad\nb;c.wav\t\n"),
        ("own.tsv", "file,emotion\na.wav,sad\nb;c.wav,\n"),
        ("own.tsv", "file\temotion\na.wav\tsad\nb;c.wav\t\n"),
        ("own.csv", '"file";"emotion"\n"a.wav";"sad"\n"b;c.wav";\n'),
    ],
)
def test_a_table_is_separated_by_what_its_header_is(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert list(read_rows(tmp_path / name)) == [
        {"file": "a.wav", "emotion": "sad"},
        {"file": "b;c.wav", "emotion": None},
    ]


def test_a_header_with_commas_in_its_names_is_parted_by_semicolons(tmp_path):
    (tmp_path / "own.csv").write_text("file;emotion;remark, if any\na.wav;sad;\n")
    assert list(read_rows(tmp_path / "own.csv")) == [{"file": "a.wav", "emotion": "sad", "remark, if any": None}]


def test_a_header_between_tabs_may_hold_more_commas(tmp_path):
    (tmp_path / "own.tsv").write_text("file\tremark, if any, or none\na.wav\t\n")
    assert list(read_rows(tmp_path / "own.tsv")) == [{"file": "a.wav", "remark, if any, or none": None}]


def test_a_decimal_comma_brings_its_cure():
    with pytest.raises(TableError, match=r"got '3,5'; write a point in place of the comma"):
        number_or_none("3,5", "row 1, arousal")


def test_a_field_too_many_between_semicolons_is_told_so(tmp_path):
    (tmp_path / "own.csv").write_text("file;emotion\na.wav;sad;sad\n")
    with pytest.raises(TableError, match=r"line 2: 3 fields, but the header has 2; quote fields that hold a semicolon"):
        read_rows(tmp_path / "own.csv")


FORMULAS = ["=HYPERLINK(1)", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''@x", "- no", "-inf"]
PLAIN = ["-1.5", "+2", "-1e-05", "-.5", "a=b", "'tis", "", " =1", "3-4"]


def test_text_that_looks_like_a_formula_gets_an_apostrophe_and_loses_it_again(tmp_path):
    rows = [{"x": text or None, "=y": -1.5} for text in [*FORMULAS, *PLAIN]]
    write_rows(tmp_path / "t.csv", ["x", "=y"], rows, {}, spreadsheet_safe=True)
    with (tmp_path / "t.csv").open(newline="") as stream:
        header, *cells = csv.reader(stream)
    assert header == ["x", "'=y"]
    assert [cell for cell, _ in cells] == [f"'{text}" for text in FORMULAS] + PLAIN
    assert {number for _, number in cells} == {"-1.5"}
    assert read_rows(tmp_path / "t.csv") == [{"x": row["x"], "=y": "-1.5"} for row in rows]


def test_without_the_option_a_table_is_written_letter_by_letter(tmp_path):
    write_rows(tmp_path / "t.csv", ["x"], [{"x": "=1+1"}, {"x": "'=1"}], {})
    assert (tmp_path / "t.csv").read_text() == "x\n=1+1\n'=1\n"
    assert read_rows(tmp_path / "t.csv") == [{"x": "=1+1"}, {"x": "'=1"}]


def test_predictions_that_are_safe_for_spreadsheets_are_read_as_they_were(tmp_path):
    space = LabelSpace(("anger", "neutral"))
    said = {"anger": 0.25, "neutral": 0.75}
    table = Predictions((Prediction("=u", said, extra={"@note": "=A1"}), Prediction("-u", error="+x.wav: gone")), space)
    table.write(tmp_path / "p.csv", spreadsheet_safe=True)
    assert "\n'=u,'=A1," in (tmp_path / "p.csv").read_text()
    read = Predictions.read(tmp_path / "p.csv")
    assert [(row.utterance_id, row.extra["@note"], row.error) for row in read] == [
        ("=u", "=A1", None),
        ("-u", None, "+x.wav: gone"),
    ]
