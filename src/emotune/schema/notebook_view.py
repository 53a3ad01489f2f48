"""Predictions as notebooks show them: small tables whose cells are bars, on a light page as on a dark one.

Colours are a tint over whatever lies behind, and text has the page's own colour. Elements are built, not written, so
that what is put in is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

if TYPE_CHECKING:
    from emotune.schema.predictions import Prediction, Predictions

_SHOWN = 20
_TABLE = "border-collapse: collapse; margin: 0.3em 0; color: inherit; font-size: inherit"
_CELL = "padding: 0.15em 0.7em; border: 0"
_LEFT = f"{_CELL}; text-align: left"
_NUMBER = f"{_CELL}; text-align: right; font-variant-numeric: tabular-nums"
_QUIET = "opacity: 0.65"
_TINT, _STRONG_TINT = "rgba(76, 132, 224, 0.28)", "rgba(76, 132, 224, 0.62)"
_FAULT = "color: #d9534f"


def view_of_one(prediction: Prediction) -> str:
    """Prediction as HTML: a row for each class, the most probable first, then the dimensions."""
    view = Element("div")
    _caption(view, prediction.utterance_id, prediction.emotion or "")
    table = SubElement(view, "table", style=_TABLE)
    for name, value in sorted(prediction.probabilities.items(), key=lambda pair: -pair[1]):
        row = SubElement(table, "tr")
        _cell(row, name, _LEFT)
        _bar(row, value, is_most=name == prediction.most_probable, width="12em")
    for name, value in prediction.dimensions.items():
        row = SubElement(table, "tr")
        _cell(row, name, _LEFT)
        _cell(row, f"{value:.2f}", _NUMBER)
    for words in filter(None, (prediction.warning, prediction.error)):
        _caption(view, words, style=_FAULT)
    return _html(view)


def view_of_table(predictions: Predictions) -> str:
    """Predictions as HTML: the first of them, a row each."""
    view, space = Element("div"), predictions.label_space
    shown = predictions.rows[:_SHOWN]
    has_words = any(row.error or row.warning for row in shown)
    table = SubElement(view, "table", style=_TABLE)
    head = SubElement(SubElement(table, "thead"), "tr")
    for name in ("utterance_id", *(["emotion"] if space.classes else [])):
        _cell(head, name, _LEFT, tag="th")
    for name in (*space.classes, *space.dimensions):
        _cell(head, name, _NUMBER, tag="th")
    if has_words:
        _cell(head, "", _LEFT, tag="th")
    body = SubElement(table, "tbody")
    for prediction in shown:
        row = SubElement(body, "tr")
        _cell(row, prediction.utterance_id, _LEFT)
        if space.classes:
            _cell(row, prediction.emotion or "", _LEFT)
        for name in space.classes:
            is_most = name == prediction.most_probable
            _bar(row, prediction.probabilities.get(name), is_most=is_most, width="5em")
        for name in space.dimensions:
            _cell(row, _number(prediction.dimensions, name), _NUMBER)
        if has_words:
            _cell(row, prediction.error or prediction.warning or "", f"{_LEFT}; {_FAULT}; min-width: 16em")
    total = len(predictions)
    more = "" if total == len(shown) else f", the first {len(shown)} shown"
    _caption(view, f"{total} prediction{'' if total == 1 else 's'}{more}", style=_QUIET)
    return _html(view)


def _html(view: Element) -> str:
    """The text of an element; what is not Unicode in the name of a file is spelt with escapes."""
    return tostring(view, encoding="unicode", method="html").encode(errors="backslashreplace").decode()


def _caption(view: Element, words: str, strong: str = "", *, style: str = "") -> None:
    line = SubElement(view, "div", style=f"{style}; padding: 0 0.7em".removeprefix("; "))
    line.text = f"{words}: " if strong else words
    if strong:
        SubElement(line, "b").text = strong


def _number(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:.2f}" if name in values else ""


def _cell(row: Element, text: str, style: str, *, tag: str = "td") -> None:
    SubElement(row, tag, style=style).text = text


def _bar(row: Element, value: float | None, *, is_most: bool, width: str) -> None:
    """A probability over a bar of its length; nothing where there is none."""
    style = f"{_NUMBER}; min-width: {width}"
    if value is not None:
        tint, length = _STRONG_TINT if is_most else _TINT, f"{100 * value:.1f}%"
        style += f"; background: linear-gradient(90deg, {tint} {length}, transparent {length})"
        style += "; background-size: 100% 70%; background-position: center; background-repeat: no-repeat"
    _cell(row, "" if value is None else f"{value:.2f}", style)
