"""Pictures of timelines, and a page with the summaries and pictures of all recordings, which needs no other file."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib

from emotune.errors import ConfigError
from emotune.io.tables import atomic_path, check_file, write_text
from emotune.report.figures.canvas import svg
from emotune.report.figures.timeline import DARK, LIGHT, colours_of, timeline_figure
from emotune.report.template import Markup, render
from emotune.timelines import Timeline, Timelines
from emotune.timelines.formats import PLACE, check_place, place_of
from emotune.timelines.summary import Summary, summaries

PICTURES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class RecordingView:
    """A recording on the page."""

    timeline: Timeline
    summaries: list[Summary]
    picture: Markup


def check_pictures(plot: Path | None, page: Path | None) -> None:
    """Refuses, before any work, paths where a picture or page could not be written.

    Raises:
        ConfigError: for another suffix.
        TableError: for a path that cannot be written to.
    """
    if plot is not None and plot.suffix.lower() not in PICTURES:
        raise ConfigError(f"--plot {plot}: a picture's name must end in {', '.join(PICTURES)}.")
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--page {page}: a page's name must end in .html.")
    for path in (plot, page):
        if path is not None and PLACE not in str(path):
            check_file(path)


def write_timeline_pictures(path: Path, timelines: Timelines, *, dark: bool = False) -> None:
    """Writes a picture, or one for each recording where the path holds ``{name}``.

    Raises:
        ConfigError: for one file for many recordings.
        TableError: when a file cannot be written.
    """
    whole = [one for one in timelines if one.error is None]
    check_place(path, [one.recording for one in whole], one_each=True)
    for one in whole:
        palette = DARK if dark else LIGHT
        with (
            atomic_path(place_of(path, one.recording) if PLACE in str(path) else path) as temporary,
            matplotlib.rc_context({"svg.hashsalt": one.recording, "hatch.linewidth": 0.6}),
        ):
            stream = io.BytesIO()
            kind = path.suffix.lower()[1:]
            metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
            timeline_figure(one, palette).savefig(stream, format=kind, dpi=160, metadata=metadata)
            temporary.write_bytes(stream.getvalue())


def write_timeline_page(path: Path, timelines: Timelines) -> None:
    """Writes the page.

    Raises:
        TableError: when it cannot be written.
    """
    write_text(path, timeline_page(timelines))


def timeline_page(timelines: Timelines) -> str:
    """The whole page as HTML."""
    views = [RecordingView(one, summaries(one), _picture(one)) for one in timelines if one.error is None]
    return render(
        "timeline.html.j2",
        title="Timeline" if len(timelines) == 1 else f"{len(timelines)} timelines",
        views=views,
        failed=timelines.failed,
        classes=timelines.label_space.classes,
        dimensions=list(timelines.label_space.dimensions),
        colours=colours_of(timelines.label_space.classes),
        settings=views[0].timeline.settings if views else {},
        fingerprint=views[0].timeline.model_fingerprint if views else None,
    )


def _picture(timeline: Timeline) -> Markup:
    with matplotlib.rc_context({"hatch.linewidth": 0.6}):
        words = "; ".join(
            f"{one.track.name or timeline.recording}: "
            + ", ".join(f"{name} {share:.0%}" for name, share in one.shares.items() if share)
            for one in summaries(timeline)
        )
        return svg(timeline_figure(timeline), f"Timeline of {timeline.recording}. {words}")
