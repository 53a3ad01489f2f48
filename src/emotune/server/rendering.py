"""Rendering of predictions and timelines in the formats of answers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from emotune.io.tables import to_json, write_csv, write_jsonl
from emotune.schema.predictions import Predictions
from emotune.server.answers import prediction_json
from emotune.server.problems import Problem
from emotune.server.served_models import ServedModel
from emotune.timelines import Timelines
from emotune.timelines.formats import OF_MANY, OF_ONE
from emotune.timelines.formats.json_document import timelines_to_json
from emotune.timelines.formats.table import columns_of, rows_of

JSON = "application/json"
MEDIA_TYPES: Mapping[str, str] = {
    "json": JSON,
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "rttm": "text/plain; charset=utf-8",
    "textgrid": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "eaf": "application/xml",
    "hume": JSON,
    "hume-batch": JSON,
}
_SUFFIXES: Mapping[str, str] = {"hume": ".hume.json", "hume-batch": ".hume-batch.json"}
"""Suffixes of formats that are not called like theirs."""

_ENCODING_ERRORS = "backslashreplace"


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON, in which what is not finite is null."""
    body = to_json(value, indent=None).encode(errors=_ENCODING_ERRORS)
    return Response(body, status, headers=headers, media_type=JSON)


def predictions_answer(
    model: ServedModel, found: Predictions, form: str, *, spreadsheet_safe: bool = False
) -> Response:
    """Predictions in a format of ``PredictionFormat``."""
    if form == "json":
        return json_answer({"model": model.to_json(), "predictions": [prediction_json(row) for row in found]})
    return _table(found.columns(), found.to_rows(), form, spreadsheet_safe)


def timelines_answer(model: ServedModel, found: Timelines, form: str, *, spreadsheet_safe: bool = False) -> Response:
    """Timelines in a format of ``TimelineFormat``.

    Raises:
        Problem: for several where the format holds one.
    """
    if form == "json":
        return json_answer(timelines_to_json(found, model.to_json()))
    if form in ("csv", "jsonl"):
        return _table(columns_of(found), [cells for row in found for cells in rows_of(row)], form, spreadsheet_safe)
    return _text(_timelines_text(found, _SUFFIXES.get(form, f".{form}")), form)


def check_format(form: str, recordings: int) -> None:
    """Refuses, before any work, several recordings where a format holds one.

    Raises:
        Problem: that names the formats which hold several.
    """
    if recordings > 1 and _SUFFIXES.get(form, f".{form}") in OF_ONE:
        told = f"format={form} holds one recording, and {recordings} are given: ask for each, or for json, csv or rttm."
        raise Problem("option", told, errors=[{"field": "query.format", "message": told}])


def _timelines_text(found: Timelines, suffix: str) -> str:
    if suffix in OF_MANY:
        return OF_MANY[suffix](found)
    (whole,) = found
    return OF_ONE[suffix](whole)


def _table(columns: list[str], rows: list[dict[str, Any]], form: str, spreadsheet_safe: bool) -> Response:
    text = io.StringIO()
    if form == "csv":
        write_csv(text, columns, rows, spreadsheet_safe=spreadsheet_safe)
    else:
        write_jsonl(text, columns, rows)
    return _text(text.getvalue(), form)


def _text(text: str, form: str) -> Response:
    return Response(text.encode(errors=_ENCODING_ERRORS), media_type=MEDIA_TYPES[form])
