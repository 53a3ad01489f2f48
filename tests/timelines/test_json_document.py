"""A timeline is the same after it has gone over the wire, windows without an answer among it."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from emotune.io.tables import to_json
from emotune.schema.labels import LabelSpace, Scale
from emotune.timelines import Timeline, Timelines, TimelineSegment, Track
from emotune.timelines.formats.hume import hume_batch_text
from emotune.timelines.formats.json_document import timeline_from_json, timeline_to_json
from emotune.timelines.timeline import UnansweredWindow

SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
TRACKS = st.builds(Track, st.none() | st.integers(0, 7), st.none() | TEXT)
SHARES = st.floats(0, 1).map(lambda share: {"anger": share, "neutral": 1 - share})
TIMES = st.tuples(st.integers(0, 10**8), st.integers(1, 10**5)).map(
    lambda pair: (pair[0] / 1000, (pair[0] + pair[1]) / 1000)
)


@st.composite
def timelines(draw) -> Timeline:
    tracks = draw(st.lists(TRACKS, min_size=1, max_size=3, unique=True))
    segments = st.builds(
        lambda times, shares, arousal, track, uncertain: TimelineSegment(
            *times, shares, {"arousal": arousal}, track, uncertain
        ),
        TIMES,
        SHARES,
        st.floats(1, 7),
        st.sampled_from(tracks),
        st.booleans(),
    )
    windows = st.builds(
        lambda times, error, track: UnansweredWindow(*times, error, track), TIMES, TEXT, st.sampled_from(tracks)
    )
    found, unanswered = draw(st.lists(segments, max_size=4)), draw(st.lists(windows, max_size=3))
    duration_s = max((one.end_s for one in (*found, *unanswered)), default=0.0)
    return Timeline(draw(TEXT), SPACE, duration_s, tuple(found), tuple(tracks), unanswered=tuple(unanswered))


@settings(deadline=None)
@given(timelines() | st.builds(Timeline, TEXT, st.just(SPACE), error=TEXT))
def test_a_timeline_is_read_back_as_it_was_written(made):
    assert timeline_from_json(json.loads(to_json(timeline_to_json(made))), SPACE) == made


def test_a_window_without_an_answer_is_an_error_and_no_silence():
    made = Timeline("a.wav", SPACE, 2.0, (), (Track(0),), unanswered=(UnansweredWindow(0.5, 1.5, "NaN", Track(0)),))
    told = timeline_to_json(made)
    assert told["errors"] == [{"start_ms": 500, "end_ms": 1500, "channel": 0, "speaker": None, "error": "NaN"}]
    assert [(one["start_ms"], one["end_ms"]) for one in told["silences"]] == [(0, 500), (1500, 2000)]
    assert timeline_from_json(told, SPACE).silences(0) == [(0.0, 0.5), (1.5, 2.0)]


def test_hume_batch_has_windows_without_an_answer_among_its_errors():
    made = Timeline("a.wav", SPACE, 2.0, (), (Track(),), unanswered=(UnansweredWindow(0.5, 1.5, "NaN"),))
    (source,) = json.loads(hume_batch_text(Timelines((made,), SPACE)))
    assert source["results"]["errors"] == [{"message": "NaN", "file": "a.wav"}]
    assert len(source["results"]["predictions"]) == 1
