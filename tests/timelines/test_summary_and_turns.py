"""Summaries of voices, times without speech, and turns read from RTTM."""

import pytest

from emotune.errors import TableError
from emotune.io.tables import read_rows
from emotune.schema.labels import LabelSpace, Scale
from emotune.timelines import Timeline, Timelines, TimelineSegment, Track
from emotune.timelines.diarisation import read_rttm, turns_of
from emotune.timelines.summary import summaries, write_summary

SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})


VOICE = Track()


def segment(start_s, end_s, anger, *, uncertain=False, arousal=2.0, track=VOICE):
    return TimelineSegment(
        start_s, end_s, {"anger": anger, "neutral": 1 - anger}, {"arousal": arousal}, track, uncertain
    )


def test_a_summary_shares_speech_among_answers_and_counts_changes():
    rows = (
        segment(1.0, 3.0, 0.9, arousal=5.0),
        segment(3.0, 4.0, 0.6, uncertain=True),
        segment(4.0, 5.0, 0.8),
        segment(6.0, 10.0, 0.1),
        segment(100.0, 102.0, 0.9),
    )
    (found,) = summaries(Timeline("a", SPACE, 120.0, rows, (Track(),)))
    assert (found.speech_s, found.silence_s) == (10.0, 110.0)
    assert found.shares == {"anger": 0.5, "neutral": 0.4}
    assert found.uncertain == 0.1
    assert found.changes == 1  # over the uncertain second there is none; after 90 s of silence there is none
    assert found.dimensions["arousal"] == pytest.approx((2 * 5 + 8 * 2) / 10)
    assert found.most == "anger"


def test_a_voice_that_never_speaks_has_a_row_without_shares(tmp_path):
    silent = Timeline("a", SPACE, 4.0, (segment(1.0, 2.0, 0.9, track=Track(0)),), (Track(0), Track(1)))
    broken = Timeline("b", SPACE, error="b is no recording")
    write_summary(tmp_path / "s.csv", Timelines((silent, broken), SPACE))
    rows = read_rows(tmp_path / "s.csv")
    assert [(row["recording"], row["channel"], row["speech_s"], row["most"]) for row in rows] == [
        ("a", "0", "1.0", "anger"),
        ("a", "1", "0.0", None),
        ("b", None, None, None),
    ]
    assert rows[1]["arousal"] is None
    assert rows[2]["error"] == "b is no recording"


def test_nobody_speaks_where_no_speaker_of_a_channel_does():
    a, b = Track(None, "A"), Track(None, "B")
    rows = (segment(1.0, 3.0, 0.9, track=a), segment(6.0, 7.0, 0.9, track=a), segment(2.0, 5.0, 0.9, track=b))
    assert Timeline("a", SPACE, 7.0, rows, (a, b)).silences(None) == [(0.0, 1.0), (5.0, 6.0)]


def test_turns_are_read_from_rttm(tmp_path):
    (tmp_path / "a.rttm").write_text(
        ";; comment\nSPEAKER call 1 0.50 1.25 <NA> <NA> A <NA> <NA>\n\nSPKR-INFO call 1 <NA> <NA> <NA> unknown A <NA>\n"
        "SPEAKER call 1 2.00 1.00 <NA> <NA> Zoë <NA> <NA>\nSPEAKER call 1 9 0 <NA> <NA> A <NA> <NA>\n",
        encoding="utf-8",
    )
    found = read_rttm(tmp_path / "a.rttm")
    assert found == {"call": {"A": [(0.5, 1.75)], "Zoë": [(2.0, 3.0)]}}
    assert turns_of(found, "deep/call.wav", tmp_path / "a.rttm") == found["call"]
    with pytest.raises(TableError, match=r"no turns of 'other', it has those of call\. Name the recording so"):
        turns_of(found, "other.wav", tmp_path / "a.rttm")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("SPEAKER call 1 0.5 1.0", r"line 1: 5 fields, expected at least 8"),
        ("SPEAKER call 1 soon 1.0 <NA> <NA> A", r"line 1, start: expected a number, got 'soon'"),
        ("SPEAKER call 1 -1 1.0 <NA> <NA> A", r"line 1: start and duration are '-1 1.0', expected 0 or more"),
        ("hello", r"holds no speaker turns: expected lines such as"),
    ],
)
def test_what_is_no_rttm_is_named_by_line_and_field(tmp_path, line, words):
    (tmp_path / "a.rttm").write_text(line + "\n")
    with pytest.raises(TableError, match=words):
        read_rttm(tmp_path / "a.rttm")
