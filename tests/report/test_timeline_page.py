"""Pictures and page of timelines: every voice, every answer, and nothing that a name could break."""

import numpy as np
import pytest

from emotune.errors import ConfigError
from emotune.report.figures.timeline import colours_of
from emotune.report.timeline_page import check_pictures, timeline_page, write_timeline_pictures
from emotune.schema.labels import LabelSpace, Scale
from emotune.timelines import Timeline, Timelines, TimelineSegment, Track

SETTINGS = {"window_s": 2.0, "hop_s": 1.0, "vad": "silero", "change_cost": 0.5}
SPACE = LabelSpace(("anger", "<i>joy</i> & co"), {"arousal": Scale(1, 7)})


ONE = (Track(),)


def timeline(name="a.wav", tracks=ONE, space=SPACE, loudness=True):
    segments = []
    for track in tracks:
        for at, share in ((0.5, 0.9), (2.0, 0.3), (3.0, 0.55)):
            shares = {space.classes[0]: share, space.classes[1]: 1 - share} if space.classes else {}
            segments.append(TimelineSegment(at, at + 1.0, shares, {"arousal": 2.5}, track, share == 0.55))
    peaks = {track.channel: np.linspace(0, 0.5, 250, dtype="f4") for track in tracks} if loudness else {}
    return Timeline(name, space, 5.0, tuple(segments), tracks, loudness=peaks, settings=SETTINGS)


def test_the_page_shows_every_voice_and_escapes_names():
    voices = (Track(0), Track(1))
    broken = Timeline("b<script>.wav", SPACE, error="b<script>.wav is empty (0 bytes).")
    rows = (timeline("a<script>.wav", voices), broken)
    page = timeline_page(Timelines(rows, SPACE))
    assert "<script>" not in page
    assert "<i>joy" not in page
    for words in ("channel 0", "channel 1", "&lt;i&gt;joy", "uncertain", "no speech", "is empty (0 bytes)"):
        assert words in page
    assert page.count("33 %") >= 4  # each answer and doubt has a third of each voice's speech


@pytest.mark.parametrize(
    "made",
    [
        timeline(space=LabelSpace((), {"arousal": Scale(1, 7)})),
        timeline(loudness=False),
        Timeline("c.wav", SPACE, 4000.0, (), (Track(),)),
        Timeline("d.wav", SPACE, 0.0, (), ()),
        timeline(tracks=tuple(Track(None, name) for name in ("Zoë", "$\\no$", "<B>"))),
    ],
)
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_any_timeline_can_be_drawn(made, suffix, tmp_path):
    path = tmp_path / f"p{suffix}"
    write_timeline_pictures(path, Timelines((made,), made.label_space))
    first = path.read_bytes()
    assert len(first) > 1000
    write_timeline_pictures(path, Timelines((made,), made.label_space), dark=True)
    assert path.read_bytes() != first


def test_classes_keep_their_colours_and_differ():
    names = ("anger", "sadness", "mine", "yours", "neutral")
    colours = colours_of(names)
    assert len(set(colours.values())) == len(names)
    assert colours_of(("neutral", "anger"))["anger"] == colours["anger"]


def test_a_picture_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"must end in .svg, .png, .pdf"):
        check_pictures(tmp_path / "a.gif", None)
    with pytest.raises(ConfigError, match=r"must end in .html"):
        check_pictures(None, tmp_path / "a.doc")
