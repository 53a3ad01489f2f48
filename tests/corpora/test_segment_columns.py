"""Segments in tables of one's own: the columns that say where they begin and end, in any usual name and unit."""

import datetime
import json
from pathlib import Path

import pytest

from builders.recordings import write_recording
from emotune import audio
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.errors import CorpusError
from emotune.inference.inputs import items_of
from emotune.schema.manifest import Manifest

RATE_HZ = 8000


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A recording of 20 seconds."""
    folder = tmp_path_factory.mktemp("long")
    write_recording(folder / "long.wav", seconds=20, sampling_rate_hz=RATE_HZ)
    return folder


def written(folder: Path, header: str, *cells: str) -> Path:
    path = folder / "segments.csv"
    path.write_text("\n".join([f"file,{header},label", *(f"long.wav,{row},sad" for row in cells)]) + "\n")
    return path


TWO_TO_FOUR = {
    "start,end": "2,4",
    "begin,end": "2,4",
    "start,stop": "2,4",
    "start,duration": "2,2",
    "offset,duration": "2,2",
    "onset,offset": "2,4",
    "onset,duration": "2,2",
    "from,to": "2,4",
    "start_time,end_time": "2,4",
    "begin_time,end_time": "2,4",
    "Start Time,End Time": "2,4",
    "startTime,endTime": "2,4",
    "START,END": "2,4",
    "Start (s),End (s)": "2,4",
    "start_sec,end_sec": "2,4",
    "tbeg,tdur": "2,2",
    "turn_onset,turn_duration": "2,2",
    "seg_start,seg_end": "2,4",
    "tmin,tmax": "2,4",
    "xmin,xmax": "2,4",
    "start_ms,end_ms": "2000,4000",
    "startTimeMs,endTimeMs": "2000,4000",
    "start_ms,duration_s": "2000,2",
    "start,duration_ms": "2,2000",
    "start_sample,end_sample": "16000,32000",
    "start_samples,num_samples": "16000,16000",
    "start_s,end_s,duration": "2,4,20",
    "start_s,end_s,start_ms,end_ms": "2,4,0,0",
    "start,end,start_frame": "2,4,50",
    "Begin Time - hh:mm:ss.ms,End Time - hh:mm:ss.ms": "00:00:02.000,00:00:04.000",
    "Begin Time - ss.msec,End Time - ss.msec,Duration - ss.msec": "2.000,4.000,2.000",
    "Begin Time - msec,Duration - msec": "2000,2000",
    "start , end ": "00:02,0:04.0",
    "start,finish": "0:00:02.000,0:00:04.000",
    "begin,stop": '"00:00:02,000","00:00:04,000"',
    "start,until": "0 days 00:00:02,0 days 00:00:04.000000",
    "onset,end": "2s,4000 ms",
}


@pytest.mark.parametrize("header", TWO_TO_FOUR)
def test_a_row_that_means_two_to_four_seconds_is_read_as_such(folder, header):
    path = written(folder, header, TWO_TO_FOUR[header])
    (utterance,) = read_corpus(CORPORA["table"], path)
    whole = audio.decode(folder / "long.wav").samples
    expected = audio.decode((whole[2 * RATE_HZ : 4 * RATE_HZ], RATE_HZ)).content_sha256()
    assert (utterance.start_s, utterance.end_s, utterance.content_sha256) == (2.0, 4.0, expected)
    assert utterance.utterance_id == "long#2-4"


@pytest.mark.parametrize("header", TWO_TO_FOUR)
def test_a_table_to_predict_is_understood_alike(folder, header):
    (item,) = items_of([written(folder, header, TWO_TO_FOUR[header])])
    assert (item.error, item.start_s, item.end_s) == (None, 2.0, 4.0)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("01:02:03.250", 3723.25),
        ("02:03.5", 123.5),
        ("1 days 00:00:01.500", 86401.5),
        ("1.5", 1.5),
        ("1.5e1", 15.0),
        ("250ms", 0.25),
    ],
)
def test_times_of_every_usual_form_are_seconds(folder, cells, expected):
    (item,) = items_of([written(folder, "start", cells)])
    assert item.start_s == expected


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_spans_of_time_and_numbers_of_other_formats_are_times(folder, suffix):
    path = folder / f"other{suffix}"
    if suffix == ".jsonl":
        path.write_text(json.dumps({"file": "long.wav", "begin": 2, "dur": "0 days 00:00:02"}) + "\n")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        spans = {"begin": [datetime.timedelta(seconds=2)], "dur": [datetime.timedelta(seconds=2)]}
        parquet.write_table(pyarrow.table({"file": ["long.wav"], **spans}), path)
    (item,) = items_of([path])
    assert (item.start_s, item.end_s) == (2.0, 4.0)


def test_a_segment_may_have_one_end(folder):
    path = written(folder, "start", "18")
    (utterance,) = read_corpus(CORPORA["table"], path)
    assert (utterance.start_s, utterance.end_s, utterance.duration_s) == (18.0, None, 2.0)


def test_a_length_alone_is_carried_along_and_cuts_nothing(folder):
    (utterance,) = read_corpus(CORPORA["table"], written(folder, "duration", "2"))
    assert (utterance.start_s, utterance.end_s, utterance.extra["duration"]) == (None, None, "2")


HALF_KNOWN = {
    "start,endpoint_time": "'endpoint_time'. Name it with --column end_s (or duration_s)=<column>",
    "start,End of turn": "'End of turn'",
    "start,file_duration": "'file_duration'",
    "start,offset": "'offset'",
    "end,call_start": "'call_start'. Name it with --column start_s=<column>",
    "offset": "may be where a segment begins or where it ends",
    "offset,note": "--column start_s='offset' or --column end_s='offset'",
    "start,begin,end": "'start' and 'begin' look like the same end",
    "start,end,stop": "'end' and 'stop' look like the same end",
}


@pytest.mark.parametrize("header", HALF_KNOWN)
def test_a_table_of_which_one_end_is_understood_is_refused_with_the_cure(folder, header):
    path = written(folder, header, ",".join(["2"] * (header.count(",") + 1)))
    for read in (lambda: read_corpus(CORPORA["table"], path), lambda: list(items_of([path]))):
        with pytest.raises(CorpusError) as caught:
            read()
        assert HALF_KNOWN[header] in str(caught.value)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("header", "columns", "expected"),
    [
        ("start,endpoint_time", {"end_s": "endpoint_time"}, (2.0, 4.0)),
        ("start,endpoint_time", {"end_s": "none"}, (2.0, None)),
        ("start,End of turn", {"start_s": "none", "end_s": "none"}, (None, None)),
        ("offset,rank", {"start_s": "offset"}, (2.0, None)),
        ("offset,rank", {"start_s": "none"}, (None, None)),
        ("offset,rank", {"start_s": "offset", "end_s": "none"}, (2.0, None)),
        ("Anfang,Dauer", {"start_s": "Anfang", "duration_s": "Dauer"}, (2.0, 6.0)),
        ("start,begin", {"start_s": "start", "end_s": "none"}, (2.0, None)),
        ("start_time,end_time", {"text": "start_time", "start_s": "none"}, (None, 4.0)),
    ],
)
def test_the_user_may_say_which_column_is_which_end_or_that_none_is(folder, header, columns, expected):
    path = written(folder, header, "2,4")
    (utterance,) = read_corpus(CORPORA["table"], path, ReadingOptions(columns=columns))
    (item,) = items_of([path], columns=columns)
    assert (utterance.start_s, utterance.end_s) == (item.start_s, item.end_s) == expected


def test_a_chosen_column_in_milliseconds_is_not_read_as_seconds(folder):
    path = written(folder, "Anfang_ms,Schluss_ms", "2000,4000")
    (utterance,) = read_corpus(
        CORPORA["table"], path, ReadingOptions(columns={"start_s": "Anfang_ms", "end_s": "Schluss_ms"})
    )
    assert (utterance.start_s, utterance.end_s) == (2.0, 4.0)


def test_frames_have_no_known_rate(folder):
    path = written(folder, "start_frame,end_frame", "50,100")
    with pytest.raises(CorpusError, match="'start_frame' counts frames, and their rate is not known"):
        read_corpus(CORPORA["table"], path, ReadingOptions(columns={"start_s": "start_frame", "end_s": "end_frame"}))


def test_columns_that_may_hold_segments_and_are_not_taken_are_a_warning(folder):
    manifest = read_corpus(CORPORA["table"], written(folder, "call_start_date,call_end_date", "2,4"))
    (warning,) = [words for words in manifest.information["warnings"] if "segments" in words]
    assert "whole recordings are read: 'call_start_date', 'call_end_date' may hold segments" in warning


@pytest.mark.parametrize(
    ("header", "cells", "words"),
    [
        ("start,end", "soon,4", "start: expected a number, got 'soon'. Known are numbers, hh:mm:ss.fff and pandas'"),
        ("start,end", "00:75:00,00:80:00", "start: '00:75:00' is no time"),
        ("start,end", "4,2", "expected 0 <= start_s < end_s"),
        ("start,duration", "2,-1", "expected 0 <= start_s < end_s"),
        ("start,duration", "NA,2", "duration is there, and start is empty; give both or neither"),
        ("start,end", "2024-05-01 10:00:00,2024-05-01 10:00:10", "start: expected a number"),
    ],
)
def test_a_cell_that_is_no_time_costs_its_row_alone(folder, header, cells, words):
    path = written(folder, header, cells, "5,6")
    manifest = read_corpus(CORPORA["table"], path)
    assert [utterance.start_s for utterance in manifest] == [5.0]
    assert words in manifest.skipped[0].reason
    first, second = items_of([path])
    assert second.error is None
    assert first.error is None or words in first.error


def test_samples_of_a_missing_recording_are_an_error_that_names_it(folder):
    path = written(folder, "start_sample,end_sample", "0,8000")
    path.write_text(path.read_text() + "gone.wav,0,8000,sad\n")
    manifest = read_corpus(CORPORA["table"], path)
    assert [utterance.end_s for utterance in manifest] == [1.0]
    assert "start_sample: samples need the recording's rate, and " in manifest.skipped[0].reason
    assert "gone.wav does not exist. Give seconds." in manifest.skipped[0].reason


def test_segments_that_lie_close_in_a_long_recording_keep_ids_of_their_own(folder):
    rows = ["12345.101,12345.2", "12345.102,12345.2"]
    first, second = items_of([written(folder, "start,end", *rows)])
    assert first.utterance_id == "long.wav#12345.101-12345.2"
    assert second.utterance_id == "long.wav#12345.102-12345.2"


def test_a_table_of_which_no_segment_can_be_read_says_which_columns_were_taken(folder):
    with pytest.raises(CorpusError, match=r"Columns taken: .*start_s from 'from' \(seconds\), end_s from 'to'"):
        read_corpus(CORPORA["table"], written(folder, "from,to", "Ann,Bob"))


def test_the_summary_says_which_columns_were_taken_in_which_unit_and_which_were_not(folder, tmp_path, emotune_command):
    path = written(folder, "start_ms,duration,microphone", "2000,2,left")
    ended = emotune_command("corpus", "read", "table", path, "-o", tmp_path / "m.csv")
    assert ended.code == 0
    assert "start_s from 'start_ms' (milliseconds), duration_s from 'duration' (seconds)" in ended.err
    assert "columns not used, but carried along: microphone" in ended.err
    information = Manifest.read(tmp_path / "m.csv").information
    assert information["units"] == {"start_s": "milliseconds", "duration_s": "seconds"}


def test_predict_says_which_columns_it_takes_before_the_model_is_loaded(folder, tmp_path, emotune_command):
    path = written(folder, "Anfang,stop_ms", "2,4000")
    ended = emotune_command("predict", tmp_path / "no-model", path, "--column", "start_s=Anfang")
    assert ended.code == 2
    taken = "columns taken: file from 'file', start_s from 'Anfang' (seconds), end_s from 'stop_ms' (milliseconds)"
    assert f"{path}: {taken}" in ended.err
    ended = emotune_command("predict", tmp_path / "no-model", folder / "long.wav", "--column", "file=wav")
    assert "--column describes the columns of a table, and there is none" in ended.err


def test_a_manifest_read_again_as_a_table_keeps_its_segments(folder, tmp_path):
    manifest = read_corpus(CORPORA["table"], written(folder, "start,stop", "2,4", "5,6"))
    manifest.write(folder / "again.csv")
    (folder / "again.csv.meta.json").unlink()
    again = read_corpus(CORPORA["table"], folder / "again.csv")
    assert [(u.start_s, u.end_s) for u in again] == [(2.0, 4.0), (5.0, 6.0)]
