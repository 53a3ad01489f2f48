"""Every format holds every segment, with any label, and is read back by its own tool's library."""

import csv
import json
import random

import pytest

from emotune.errors import ConfigError, TableError
from emotune.schema.labels import LabelSpace, Scale
from emotune.timelines import Timeline, Timelines, TimelineSegment, Track
from emotune.timelines.formats import SUFFIXES, check_formats, write_timelines
from emotune.timelines.formats.labels import decoded
from emotune.timelines.formats.rttm import rttm_text
from emotune.timelines.formats.table import rows_of
from emotune.timelines.timeline import UnansweredWindow

LABELS = ("anger", 'so "called" joy', "très heureux", "不安 & <b>", "two\nlines", "100 %20 sure", "a\tb", "--> x")


def timeline(name: str = "call 1.wav", tracks: tuple[Track, ...] = (Track(),), seed: int = 0) -> Timeline:
    """Segments of odd milliseconds, many of them touching each other."""
    generator = random.Random(seed)
    segments = []
    for track in tracks:
        at = generator.randrange(3)
        for number in range(3 * len(LABELS)):
            end = at + generator.randrange(251, 5000)
            rest = 0.5 / (len(LABELS) - 1)
            shares = {label: 0.5 if label == LABELS[number % len(LABELS)] else rest for label in LABELS}
            segments.append(TimelineSegment(at / 1000, end / 1000, shares, {"arousal": 3.25}, track, number % 7 == 6))
            at = end + generator.choice((0, 0, 601))
    duration_s = max(one.end_s for one in segments) + 0.4567
    space = LabelSpace(LABELS, {"arousal": Scale(1, 7)})
    return Timeline(name, space, round(duration_s, 3), tuple(segments), tracks)


def expected(made: Timeline, track: Track) -> list[tuple[float, float, str]]:
    return [(one.start_s, one.end_s, one.emotion) for one in made.of(track)]


TRACKS = [(Track(),), (Track(0), Track(1)), (Track(None, 'Zoë "Z"'), Track(None, "Ben O."))]
every_track = pytest.mark.parametrize("tracks", TRACKS, ids=["one", "channels", "speakers"])


@every_track
def test_praatio_reads_the_textgrid(tmp_path, tracks):
    textgrid = pytest.importorskip("praatio.textgrid")
    made = timeline(tracks=tracks)
    made.write(tmp_path / "a.TextGrid")
    read = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False)
    assert read.maxTimestamp == made.duration_s
    for track, name in zip(tracks, read.tierNames, strict=True):
        assert name == "emotion" + (f" ({track.name})" if track.name else "")
        assert [tuple(entry) for entry in read.getTier(name).entries] == expected(made, track)


@every_track
def test_praat_itself_reads_the_textgrid(tmp_path, tracks):
    parselmouth = pytest.importorskip("parselmouth")
    made = timeline(tracks=tracks)
    made.write(tmp_path / "a.TextGrid")
    read = parselmouth.Data.read(str(tmp_path / "a.TextGrid"))
    ask = parselmouth.praat.call
    for number, track in enumerate(tracks, start=1):
        found = []
        for at in range(1, ask(read, "Get number of intervals", number) + 1):
            label = ask(read, "Get label of interval", number, at)
            times = [ask(read, f"Get {edge} time of interval", number, at) for edge in ("start", "end")]
            found += [(*times, label)] if label else []
        assert found == expected(made, track)


@every_track
def test_pympi_reads_the_eaf(tmp_path, tracks):
    pytest.importorskip("pympi")
    from pympi.Elan import Eaf

    made = timeline(tracks=tracks)
    made.write(tmp_path / "a.eaf")
    read = Eaf(str(tmp_path / "a.eaf"))
    for track, name in zip(tracks, read.get_tier_names(), strict=True):
        assert decoded(name) == "emotion" + (f" ({track.name})" if track.name else "")
        found = sorted(read.get_annotation_data_for_tier(name))
        assert [(a / 1000, b / 1000, decoded(text)) for a, b, text in found] == expected(made, track)


@every_track
def test_webvtt_py_reads_the_captions(tmp_path, tracks):
    webvtt = pytest.importorskip("webvtt")
    from html import unescape

    made = timeline(tracks=tracks)
    made.write(tmp_path / "a.vtt")
    found = [
        (
            cue.start_in_seconds + int(cue.start[-3:]) / 1000,
            cue.voice and decoded(unescape(cue.voice)),
            decoded(unescape(cue.text)),
        )
        for cue in webvtt.read(str(tmp_path / "a.vtt"))
    ]
    rows = sorted(made.segments, key=lambda one: (one.start_s, one.end_s))
    assert found == [(pytest.approx(one.start_s), one.track.name or None, one.emotion) for one in rows]


@pytest.mark.parametrize(
    ("recordings", "uris"),
    [
        (["a.wav", "b.wav"], ["a", "b"]),
        (["a.wav", "a.mp3", "b.wav"], ["a.wav", "a.mp3", "b"]),
        (["x/a.wav", "y/a.wav"], ["x/a.wav", "y/a.wav"]),
        (["a.wav", "a.mp3", "a.wav.mp3"], ["a.wav", "a.mp3", "a.wav.mp3"]),
    ],
)
def test_recordings_of_an_rttm_file_keep_names_of_their_own(recordings, uris):
    made = Timelines(tuple(timeline(name) for name in recordings), timeline().label_space)
    assert list(dict.fromkeys(line.split()[1] for line in rttm_text(made).splitlines())) == uris


@every_track
def test_rttm_is_read_as_pyannote_reads_it(tmp_path, tracks):
    pandas = pytest.importorskip("pandas")
    made = timeline(tracks=tracks)
    made.write(tmp_path / "a.rttm")
    names = ["type", "uri", "channel", "start", "duration", "NA2", "NA3", "speaker", "NA4", "NA5"]
    types = {"uri": str, "start": float, "duration": float, "speaker": str}
    read = pandas.read_csv(  # as pyannote.database.util.load_rttm
        tmp_path / "a.rttm", names=names, dtype=types, sep=r"\s+", keep_default_na=True
    )
    assert set(read.uri) == {"call%201"}
    for track in tracks:
        whose = "" if track.speaker is None else track.speaker + "/"
        mine = [row for row in read.itertuples() if row.channel == (track.channel or 0) + 1]
        mine = [row for row in mine if decoded(row.speaker).startswith(whose)]
        found = [(row.start, row.start + row.duration, decoded(row.speaker).removeprefix(whose)) for row in mine]
        assert [(pytest.approx(a), pytest.approx(b), c) for a, b, c in expected(made, track)] == found
        ends = [round(1000 * row.start) + round(1000 * row.duration) for row in mine]
        assert all(end <= round(1000 * row.start) for end, row in zip(ends, mine[1:], strict=False))


def test_audacity_labels_are_three_fields_a_line(tmp_path):
    made = timeline()
    made.write(tmp_path / "a.txt")
    with (tmp_path / "a.txt").open(encoding="utf-8", newline="\n") as stream:
        rows = [line.rstrip("\n").split("\t") for line in stream]
    assert [(float(a), float(b), decoded(c)) for a, b, c in rows] == expected(made, Track())


def test_tables_and_json_hold_all_and_times_without_speech(tmp_path):
    made = timeline(tracks=(Track(0), Track(1)))
    broken = Timeline("bad.wav", made.label_space, error="bad.wav is empty (0 bytes).")
    both = Timelines((made, broken), made.label_space)
    for suffix in (".csv", ".jsonl", ".json"):
        write_timelines(tmp_path / f"a{suffix}", both)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(lines)
    assert rows[-1]["error"] == "bad.wav is empty (0 bytes)."
    for channel in (0, 1):
        mine = [row for row in rows if row["channel"] == str(channel)]
        edges = [0.0, *(float(row["end_s"]) for row in mine)]
        assert edges[:-1] == [float(row["start_s"]) for row in mine]
        assert edges[-1] == made.duration_s
        said = [(float(r["start_s"]), float(r["end_s"]), r["emotion"]) for r in mine if r["emotion"] != "no speech"]
        assert said == expected(made, Track(channel))
        assert any(row["emotion"] == "uncertain" and float(row["confidence"]) == 0.5 for row in mine)
        assert all(not row["confidence"] for row in mine if row["emotion"] == "no speech")
    read = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    whole, failed = read["timelines"]
    assert read["schema"] == "emotune-timeline/2"
    assert read["model"]["classes"] == list(made.label_space.classes)
    assert len(whole["segments"]) + len(whole["silences"]) == len(rows) - 1
    assert [one["probabilities"] for one in whole["segments"]] == [dict(one.probabilities) for one in made.segments]
    assert (failed["file"], failed["error"], failed["segments"]) == ("bad.wav", "bad.wav is empty (0 bytes).", [])


@every_track
def test_humes_upload_answer_holds_every_segment_within_an_utterance(tmp_path, tracks):
    made = timeline(tracks=tracks)
    made.write(tmp_path / "a.hume.json")
    read = json.loads((tmp_path / "a.hume.json").read_text(encoding="utf-8"))
    assert set(read) == {"utterances", "measurements"}
    spans = {one["utterance_id"]: (one["audio_start_ms"], one["audio_end_ms"]) for one in read["utterances"]}
    assert len(spans) == len(read["utterances"])
    assert sorted(spans.values()) == sorted(utterances_of(made))
    segments = sorted(made.segments, key=lambda one: (one.start_s, one.end_s))
    measured = sorted(read["measurements"], key=lambda one: (one["audio_start_ms"], one["audio_end_ms"]))
    for segment, one in zip(segments, measured, strict=True):
        assert (one["audio_start_ms"], one["audio_end_ms"]) == (
            round(segment.start_s * 1000),
            round(segment.end_s * 1000),
        )
        assert {score["name"]: score["probability"] for score in one["expressions"]} == {
            name: round(share, 4) for name, share in segment.probabilities.items()
        }
        assert one["expressions"][0]["name"] == segment.most_probable
        begin, end = spans[one["utterance_id"]]
        assert begin <= one["audio_start_ms"] and one["audio_end_ms"] <= end
        assert (one["trigger"] == "speech_ended") == (one["audio_end_ms"] == end)


def utterances_of(made: Timeline) -> list[tuple[int, int]]:
    """Times without a pause, each moment of them looked at: milliseconds that are covered, by voice."""
    found = []
    for track in made.tracks:
        covered = {at for one in made.of(track) for at in range(round(one.start_s * 1000), round(one.end_s * 1000))}
        starts = sorted(at for at in covered if at - 1 not in covered)
        ends = sorted(at + 1 for at in covered if at + 1 not in covered)
        found += list(zip(starts, ends, strict=True))
    return found


def test_humes_batch_predictions_hold_every_source_and_its_error(tmp_path):
    made = timeline(tracks=(Track(0), Track(1)))
    broken = Timeline("bad.wav", made.label_space, error="bad.wav is empty (0 bytes).")
    write_timelines(tmp_path / "a.hume-batch.json", Timelines((made, broken), made.label_space))
    whole, failed = json.loads((tmp_path / "a.hume-batch.json").read_text(encoding="utf-8"))
    assert failed["results"] == {
        "predictions": [],
        "errors": [{"message": "bad.wav is empty (0 bytes).", "file": "bad.wav"}],
    }
    (prediction,) = whole["results"]["predictions"]
    groups = prediction["models"]["prosody"]["grouped_predictions"]
    assert [group["id"] for group in groups] == ["channel 0", "channel 1"]
    for group, track in zip(groups, made.tracks, strict=True):
        found = [(one["time"]["begin"], one["time"]["end"], one["emotions"][0]["name"]) for one in group["predictions"]]
        assert found == [(one.start_s, one.end_s, one.most_probable) for one in made.of(track)]
        assert all(set(one["emotions"][0]) == {"name", "score"} for one in group["predictions"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recording_in_which_nobody_speaks_is_written_too(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    Timeline("a.wav", LabelSpace(("anger",)), 2.0, (), (Track(),)).write(tmp_path / f"a{suffix}")
    assert (tmp_path / f"a{suffix}").exists()


def test_a_file_for_each_recording_is_named_by_it_within_the_folder(tmp_path):
    rows = (timeline("deep/a.wav"), timeline("/b.flac"), timeline("../c.wav"))
    write_timelines(tmp_path / "out" / "{name}.vtt", Timelines(rows, rows[0].label_space))
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.vtt")}
    assert found == {"out/deep/a.vtt", "out/b.vtt", "out/c.vtt"}


def test_paths_that_cannot_hold_the_timelines_are_refused_before_work(tmp_path):
    with pytest.raises(ConfigError, match=r"must end in .json, .csv.* not '.doc'"):
        check_formats([tmp_path / "a.doc"], ["a"], [])
    with pytest.raises(ConfigError, match=r"can hold one recording, and 2 are given: write \{name\}"):
        check_formats([tmp_path / "a.eaf"], ["a", "b"], [])
    with pytest.raises(TableError, match="it is a folder"):
        (tmp_path / "b.json").mkdir()
        check_formats([tmp_path / "b.json"], ["a", "b"], [])
    check_formats([tmp_path / f"a{suffix}" for suffix in SUFFIXES], ["a"], [])
    with pytest.raises(ConfigError, match=r"/one/a.wav and /two/a.wav would both be"):
        check_formats([tmp_path / "{name}.eaf"], ["/one/a.wav", "/two/a.wav"], [])


def test_a_window_without_an_answer_is_a_row_with_its_error_and_no_silence():
    space = LabelSpace(("anger", "neutral"))
    said = TimelineSegment(0.0, 2.0, {"anger": 0.75, "neutral": 0.25})
    found = Timeline("a.wav", space, 5.0, (said,), (Track(),), unanswered=(UnansweredWindow(2.0, 4.0, "it broke"),))
    assert [(row["start_s"], row["end_s"], row.get("emotion"), row.get("error")) for row in rows_of(found)] == [
        (0.0, 2.0, "anger", None),
        (2.0, 4.0, None, "it broke"),
        (4.0, 5.0, "no speech", None),
    ]
    assert Timelines((found,), space).errors == ["it broke"]
