"""The few pieces of HTML that the report is made of. Everything that goes in as text is escaped here."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from emotune.evaluation.statistics.bootstrap import Estimate


@dataclass(frozen=True)
class Markup:
    """HTML that is already safe to put into a page."""

    text: str


class Cell(Markup):
    """A whole table cell, for one that needs attributes of its own."""


def text(value: object) -> str:
    """A value as HTML: escaped, unless it is markup already."""
    return value.text if isinstance(value, Markup) else html.escape(str(value))


def number(value: float) -> str:
    """Three decimals, or a dash for what is undefined.

    >>> number(0.5), number(float("nan"))
    ('0.500', '–')
    """
    return f"{value:.3f}" if math.isfinite(value) else "–"


def percent(share: float) -> str:
    """A share in whole per cents, or a dash for what is undefined.

    >>> percent(0.256), percent(float("nan"))
    ('26 %', '–')
    """
    return f"{share:.0%}".replace("%", " %") if math.isfinite(share) else "–"


def interval(score: Estimate) -> str:
    """The bounds in brackets, or nothing where there are none."""
    return f"[{score.low:.3f}, {score.high:.3f}]" if score.has_interval else ""


def scored(score: Estimate) -> Markup:
    """A score and its interval as a table cell's content."""
    bounds = f'<span class="interval">{interval(score)}</span>' if score.has_interval else ""
    return Markup(f"{number(score.value)} {bounds}")


def document(title: str, body: str, footer: str) -> str:
    """A whole page with our style sheet, from parts that are HTML already; the title is plain text."""
    style = resources.files("emotune.report").joinpath("report.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
<footer>{footer}</footer>
</body>
</html>
"""


def paragraph(content: object, kind: str = "") -> str:
    return f"<p{_kind(kind)}>{text(content)}</p>"


def heading(content: object) -> str:
    """Of a part of a section."""
    return f"<h3>{text(content)}</h3>"


def section(name: str, title: str, *parts: str) -> str:
    """A section with a heading that it is labelled by."""
    body = "\n".join(part for part in parts if part)
    head = f'<h2 id="{name}-title">{text(title)}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-title">\n{head}\n{body}\n</section>'


def figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{text(caption)}</figcaption></figure>"


def pair(*parts: str) -> str:
    """Side by side on a wide screen, one below the other on a narrow one."""
    body = "".join(f"<div>{part}</div>" for part in parts if part)
    return f'<div class="pair">{body}</div>'


def bullets(items: Iterable[object]) -> str:
    return f"<ul>{''.join(f'<li>{text(item)}</li>' for item in items)}</ul>"


def table(heads: Sequence[object], rows: Iterable[Sequence[object]], *, caption: str = "", kind: str = "") -> str:
    """A table whose first column names the row; it scrolls by itself when the screen is narrow.

    A row of a single cell is a heading of those below it. A head that is a ``Cell`` stands as it is.
    """
    head = "".join(
        name.text if isinstance(name, Cell) else f'<th scope="col"{_kind("text" if n == 0 else "")}>{text(name)}</th>'
        for n, name in enumerate(heads)
    )
    body = []
    for row in rows:
        first, *others = row
        if not others:
            body.append(f'<tr><th scope="rowgroup" colspan="{len(heads)}">{text(first)}</th></tr>')
            continue
        cells = "".join(cell.text if isinstance(cell, Cell) else f"<td>{text(cell)}</td>" for cell in others)
        body.append(f'<tr><th scope="row">{text(first)}</th>{cells}</tr>')
    titled = f"<caption>{text(caption)}</caption>" if caption else ""
    top = f"<thead><tr>{head}</tr></thead>" if heads and any(heads) else ""
    inside = f"{titled}{top}<tbody>{''.join(body)}</tbody>"
    return f'<div class="scroll" tabindex="0"><table{_kind(kind)}>{inside}</table></div>'


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
