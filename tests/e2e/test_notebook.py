"""The notebook of the examples: its cells run, and what it shows is kept in it."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CELLS = json.loads((ROOT / "examples" / "predictions.ipynb").read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]
SHOWN = {
    "predictor.predict(": "text/html",
    "predictions\n": "text/html",
    "to_pandas": "text/html",
    "to_polars": "text/html",
    "to_arrow": "text/plain",
    "classifier(": "text/plain",
    "AudInterface": "text/html",
    "Stream": "text/plain",
}


def test_what_every_cell_showed_is_kept_in_the_notebook():
    for cell in CODE:
        assert [output["output_type"] for output in cell["outputs"]] == ["execute_result"], cell["source"]
    for words, kind in SHOWN.items():
        cells = [cell for cell in CODE if words in "".join(cell["source"]) + "\n"]
        assert any(kind in cell["outputs"][0]["data"] for cell in cells), words


def test_its_cells_run_one_after_another(monkeypatch, tiny_model):
    for module in ("torch", "pandas", "polars", "pyarrow", "audformat"):
        pytest.importorskip(module)
    monkeypatch.chdir(ROOT)
    names: dict = {}
    for cell in CODE:
        source = "".join(cell["source"]).replace('"mini"', repr(str(tiny_model)))
        *statements, shown = source.rstrip().split("\n")
        exec("\n".join(statements), names)
        assert eval(shown, names) is not None
    assert len(names["predictions"]) == 6 and len(names["predictions"].failed) == 1
    assert names["estimates"]
