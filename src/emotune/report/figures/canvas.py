"""Canvas of all figures: matplotlib without pyplot, as inline SVG whose colours follow the page, light or dark.

Figures are drawn in the light palette; every colour then becomes a variable of the page's style sheet. Text stays text.
"""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import re

from emotune.errors import EmotuneError
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.report.template import Markup, render

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
except ImportError as error:
    raise EmotuneError(
        "The report's figures need matplotlib: pip install 'emotune[report]'. Scores without a page do not."
    ) from error

INK, MUTED, LINE, PAPER, PALE = "#1f2933", "#5b6770", "#d5dade", "#fffffe", "#c3cad0"
FIRST, SECOND = "#0068a8", "#b84a00"
SERIES = (FIRST, SECOND, "#5b6771")
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    PALE: "pale",
    FIRST: "first",
    SECOND: "second",
    SERIES[2]: "muted",
}

WIDTH = 5.2
DASHED = (0, (4, 3))


def panel(*, height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure of one panel, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    bare(axes)
    return figure, axes


def bare(axes: Axes) -> None:
    """Takes away all that is no figure: upper and right border, background."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=INK, color=LINE, length=3)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)


def share_axis(axes: Axes, label: str) -> None:
    """Lets the horizontal axis go from 0 to 1."""
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel(label)
    axes.grid(axis="x", color=LINE, linewidth=0.7)


def whisker(axes: Axes, place: float, score: Estimate) -> None:
    """Draws a score as a dot and its interval as a line."""
    if score.has_interval:
        axes.plot([score.low, score.high], [place, place], color=INK, linewidth=1.4)
    axes.plot([score.value], [place], "o", color=INK, markersize=4)


def svg(figure: Figure, description: str) -> Markup:
    """The figure as one <svg> element that needs no other file and carries no id but those it refers to itself."""
    figure.patch.set_visible(False)
    FigureCanvasSVG(figure)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": description}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    start = text.index(">", text.index("<svg")) + 1
    _, _, width, height = (float(number) for number in re.findall(r'viewBox="([^"]+)"', text)[0].split())
    body = text[start : text.rindex("</")]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'<(g|path|rect) id="(?!m[0-9a-f]{10})[^"]*"', r"<\1", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    drawn = render("svg.html.j2", description=description, width=width, height=height, body=Markup(body.strip()))
    return Markup(drawn.strip())
