"""Picture of a timeline: the waveform of each voice, coloured by what it expresses; pauses and doubt stay visible."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MultipleLocator
from numpy.typing import NDArray

from emotune.schema.calibration import UNCERTAIN
from emotune.timelines import NO_SPEECH, Timeline, TimelineSegment, Track

WIDTH = 10.0
_ROW = 1.05
_BARS, _BAR_POINTS = 330, 1.35
_NAMED = {
    "anger": "#d0453f",
    "happiness": "#d79a00",
    "sadness": "#3f6fc4",
    "neutral": "#8b7d72",
    "fear": "#7a4fb5",
    "disgust": "#4f8a3c",
    "surprise": "#d0609f",
    "calm": "#2f9a94",
    "contempt": "#8c6a3f",
    "excitement": "#e0762a",
    "frustration": "#a2335a",
    "boredom": "#9aa56b",
}
_OTHERS = ("#5a9bd4", "#b0762f", "#6c9a2d", "#b05fc0", "#4aa3a0", "#c46a6a", "#7a7fd0", "#8f8f3a")
_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


@dataclass(frozen=True)
class Palette:
    """Colours of a picture that are those of its paper."""

    paper: str
    ink: str
    muted: str
    line: str
    soft: str


LIGHT = Palette("#ffffff", "#1f2933", "#5b6770", "#d5dade", "#c3cad0")
DARK = Palette("#15191d", "#e6eaee", "#a3afb9", "#3a444d", "#4a555f")


def colours_of(classes: Sequence[str]) -> dict[str, str]:
    """A colour for each class: its own where it is well known, else the next that is free."""
    others = iter(_OTHERS * (1 + len(classes) // len(_OTHERS)))
    return {name: _NAMED[name] if name in _NAMED else next(others) for name in classes}


def timeline_figure(timeline: Timeline, palette: Palette = LIGHT) -> Figure:
    """A row for each voice: waveform, a band of answers below it, and the legend over all.

    The height of a band's filling is the confidence. Uncertain speech is hatched, and where nobody speaks the waveform
    is pale.
    """
    tracks = timeline.tracks or (Track(),)
    figure = Figure(figsize=(WIDTH, 0.95 + _ROW * len(tracks)), layout="constrained", facecolor=palette.paper)
    rows = figure.subplots(len(tracks), 1, sharex=True, squeeze=False)[:, 0]
    colours = colours_of(timeline.label_space.classes)
    loudest = max(
        (float(_bars(peaks, 1.0)[0].max()) for peaks in timeline.loudness.values() if len(peaks)), default=0.0
    )
    for axes, track in zip(rows, tracks, strict=True):
        _row(axes, timeline, track, colours, loudest or 1.0, palette)
    _time_axis(rows[-1], timeline.duration_s, palette)
    _legend(figure, timeline, colours, palette)
    return figure


def _row(
    axes: Axes, timeline: Timeline, track: Track, colours: Mapping[str, str], loudest: float, palette: Palette
) -> None:
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    axes.set(xlim=(0, max(timeline.duration_s, 0.1)), ylim=(-1.62, 1.05), yticks=[])
    axes.tick_params(bottom=False, labelbottom=False)
    segments = timeline.of(track)
    _waveform(axes, timeline, track, segments, colours, loudest, palette)
    _band(axes, segments, colours, timeline.duration_s, palette)
    if track.name:
        axes.set_ylabel(
            track.name,
            rotation=0,
            ha="right",
            va="center",
            color=palette.ink,
            fontsize=9.5,
            labelpad=8,
            y=0.62,
            parse_math=False,
        )


def _waveform(
    axes: Axes,
    timeline: Timeline,
    track: Track,
    segments: Sequence[TimelineSegment],
    colours: Mapping[str, str],
    loudest: float,
    palette: Palette,
) -> None:
    """Loudness as upright bars, in the colour of the answer at their time."""
    peaks = timeline.loudness.get(track.channel)
    if peaks is None or not len(peaks):
        return
    height, middle_s = _bars(peaks / loudest, timeline.loudness_step_s)
    tints = [to_rgba(palette.soft)] * len(height)
    speaks = np.zeros(len(height), dtype=bool)
    for one in segments:
        inside = slice(*np.searchsorted(middle_s, (one.start_s, one.end_s)))
        speaks[inside] = True
        colour = palette.muted if one.most_probable is None else colours[one.most_probable]
        tints[inside] = [to_rgba(colour, 0.35 if one.uncertain else 1.0)] * (inside.stop - inside.start)
    height = np.sqrt(height)  # the root shows quiet speech beside loud
    if track.speaker is not None:
        height[~speaks] = 0.0  # others may speak
    height = np.maximum(height, 0.012)
    lines = [[(x, -y), (x, y)] for x, y in zip(middle_s, height, strict=True)]
    axes.add_collection(LineCollection(lines, colors=tints, linewidths=_BAR_POINTS, capstyle="round"))


def _bars(peaks: NDArray[np.float32], step_s: float) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Means of some peaks, so that no more bars are drawn than can be told apart, and the middles of their times."""
    count = min(_BARS, len(peaks))
    edges = np.linspace(0, len(peaks), count + 1).round().astype(int)
    means = np.add.reduceat(peaks.astype(np.float64), edges[:-1]) / np.diff(edges)
    return means, (edges[:-1] + edges[1:]) / 2 * step_s


def _band(
    axes: Axes, segments: Sequence[TimelineSegment], colours: Mapping[str, str], duration_s: float, palette: Palette
) -> None:
    """Answers below the waveform: filled as high as the model is confident."""
    low, high = -1.6, -1.18
    axes.plot([0, duration_s], [low, low], color=palette.line, linewidth=0.8, solid_capstyle="butt")
    for one in segments:
        colour = palette.muted if one.most_probable is None else colours[one.most_probable]
        corner, width = (one.start_s, low), one.end_s - one.start_s
        if one.uncertain:
            axes.add_patch(
                Rectangle(corner, width, high - low, facecolor="none", edgecolor=palette.muted, hatch="////", lw=0.5)
            )
            continue
        share = 1.0 if one.confidence is None else one.confidence
        axes.add_patch(Rectangle(corner, width, high - low, facecolor=colour, alpha=0.22, linewidth=0))
        axes.add_patch(Rectangle(corner, width, (high - low) * share, facecolor=colour, linewidth=0))


def _time_axis(axes: Axes, duration_s: float, palette: Palette) -> None:
    step = next((step for step in _STEPS_S if duration_s / step <= 12), 14400)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(partial(_clock, duration_s=duration_s, step=step)))
    axes.tick_params(bottom=True, labelbottom=True, color=palette.line, labelcolor=palette.muted, length=3, labelsize=9)


def _clock(seconds: float, _: int, *, duration_s: float, step: float) -> str:
    if duration_s < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    if duration_s < 3600:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}" + (f":{rest:02d}" if step < 60 else "")


def _legend(figure: Figure, timeline: Timeline, colours: Mapping[str, str], palette: Palette) -> None:
    """Classes that occur, the most frequent first, then uncertain and silent time."""
    seconds = dict.fromkeys(colours, 0.0)
    for one in timeline.segments:
        if not one.uncertain and one.most_probable is not None:
            seconds[one.most_probable] += one.duration_s
    present = sorted((name for name in seconds if seconds[name]), key=lambda name: -seconds[name])
    handles = [Patch(facecolor=colours[name], label=name) for name in present]
    if any(one.uncertain for one in timeline.segments):
        handles.append(Patch(facecolor="none", edgecolor=palette.muted, hatch="/////", linewidth=0.5, label=UNCERTAIN))
    handles.append(Patch(facecolor=palette.soft, label=NO_SPEECH))
    legend = figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=min(8, len(handles)),
        frameon=False,
        labelcolor=palette.ink,
        fontsize=9.5,
        handlelength=1.1,
        handleheight=1.0,
        handletextpad=0.5,
        columnspacing=1.4,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
