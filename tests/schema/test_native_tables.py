"""Predictions as tables of pandas, Polars and Arrow: the same cells, of the right types."""

import math
import subprocess
import sys

import pytest

from builders.predictions import predictions_of, said
from emotune.errors import ConfigError
from emotune.schema.labels import Scale
from emotune.schema.predictions import Prediction

CLASSES = ("anger", "neutral")
LIBRARIES = ("pandas", "polars", "arrow")


def table_of(library: str, *rows: Prediction):
    """The table in a library, and its rows as dictionaries in which what is missing is None."""
    pytest.importorskip({"arrow": "pyarrow"}.get(library, library))
    predictions = predictions_of(*rows, classes=CLASSES, dimensions={"arousal": Scale(1, 7)})
    table = getattr(predictions, f"to_{library}")()
    if library == "pandas":
        import pandas

        cells = table.to_dict("records")
        missing = [
            {name: None if pandas.isna(value) is True else value for name, value in row.items()} for row in cells
        ]
        return table, missing
    return table, table.to_dicts() if library == "polars" else table.to_pylist()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_table_has_the_columns_and_cells_of_the_written_one(library):
    extra = {"room": "hall", "floor": 3, "open": True, "share": 0.5}
    rows = [
        said("a", "anger", classes=CLASSES, dimensions={"arousal": 2.5}, extra=extra),
        Prediction("b", error="b does not exist.", extra=dict(extra, floor=4, open=False, share=1)),
    ]
    predictions = predictions_of(*rows, classes=CLASSES, dimensions={"arousal": Scale(1, 7)})
    _, cells = table_of(library, *rows)
    assert list(cells[0]) == predictions.columns()
    expected = predictions.to_rows()
    assert cells == [dict(row) for row in expected]
    for row in cells:
        assert type(row["floor"]) is int and type(row["open"]) is bool and type(row["share"]) is float


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_of_numbers_are_numbers_though_every_clip_failed(library):
    table, cells = table_of(library, Prediction("a", error="gone"))
    assert cells[0]["p.anger"] is None and cells[0]["arousal"] is None
    kind = table.schema.field("p.anger").type if library == "arrow" else table["p.anger"].dtype
    assert str(kind).lower() in ("float64", "double")
    assert len(table_of(library)[0]) == 0


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, None), [1.0, None]),
        ((True, None), ["True", None]),  # pandas would make a missing truth value False
        ((1, "one"), ["1", "one"]),
        ((1 << 70, 1), [str(1 << 70), "1"]),
        (([1, 2], None), ["[1, 2]", None]),
        (("a\udcff.wav", "b"), ["a\\udcff.wav", "b"]),
        ((None, None), [None, None]),
    ],
)
def test_a_users_own_column_keeps_its_values_or_is_text(library, values, expected):
    _, cells = table_of(library, *(Prediction(f"u{n}", error="x", extra={"own": v}) for n, v in enumerate(values)))
    assert [row["own"] for row in cells] == expected


@pytest.mark.parametrize(("library", "extra"), [("pandas", "pandas"), ("polars", "polars"), ("arrow", "tables")])
def test_without_narwhals_the_error_names_the_extra_that_brings_it_with_the_library(monkeypatch, library, extra):
    monkeypatch.setitem(sys.modules, "narwhals", None)
    predictions = predictions_of(Prediction("a"), classes=CLASSES)
    with pytest.raises(
        ConfigError, match=rf"needs 'narwhals', which is not installed: pip install 'emotune\[{extra}\]'"
    ):
        getattr(predictions, f"to_{library}")()


def test_without_polars_the_error_names_the_extra_that_brings_it():
    pytest.importorskip("narwhals")
    program = "import sys; sys.modules['polars'] = None\nimport emotune\n"
    program += "emotune.Predictions((), emotune.LabelSpace(('a', 'b'))).to_polars()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "needs 'polars', which is not installed: pip install 'emotune[polars]'." in ended.stderr


def test_probabilities_reach_pandas_unrounded():
    third = 1 / 3
    table, _ = table_of("pandas", Prediction("a", {"anger": third, "neutral": 1 - third}, {"arousal": math.pi}))
    assert table.loc[0, "p.anger"] == third and table.loc[0, "arousal"] == math.pi
