"""The page in Chromium, before a server of tiny models: all that a person does with it, under its policy."""

import csv
import io
import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile

from page.conftest import running

SAMPLE = Path(__file__).parents[2] / "src/emotune/server/static/sample.mp3"
pytestmark = pytest.mark.load


def answer(server: str, *files: Path, **query: object) -> bytes:
    """What the server itself says of recordings."""
    boundary = "b" * 20
    parts = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{one.name}"\r\n\r\n'.encode()
        + one.read_bytes()
        + b"\r\n"
        for one in files
    )
    request = urllib.request.Request(
        f"{server}v1/timeline?" + "&".join(f"{name}={value}" for name, value in query.items()),
        parts + f"--{boundary}--\r\n".encode(),
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    with urllib.request.urlopen(request) as said:
        return said.read()


def seconds(clock: str) -> float:
    minutes, rest = clock.split(":")
    return 60 * int(minutes) + float(rest)


@pytest.fixture
def broken(tmp_path) -> Path:
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF and then nonsense " * 50)
    return path


def test_a_recording_that_is_handed_in_is_shown_as_the_server_hears_it(see, server):
    seen = see("upload", SAMPLE)
    segments = json.loads(answer(server, SAMPLE))["timelines"][0]["segments"]
    assert len(segments) > 4
    assert [row[2] for row in seen["rows"]] == [one["emotion"] for one in segments]
    starts_s = [one["start_ms"] / 1000 for one in segments]
    valence = [one["dimensions"]["valence"] for one in segments]
    assert [seconds(row[0]) for row in seen["rows"]] == pytest.approx(starts_s, abs=0.051)
    assert [float(row[4]) for row in seen["rows"]] == pytest.approx(valence, abs=0.0051)
    assert seen["dots"] == len(segments)
    assert seen["bands"] == 1


def test_a_segment_is_played_from_its_start_to_its_end(see):
    seen = see("play", SAMPLE)
    assert seen["current"] == 1
    assert seconds(seen["start"]) < seconds(seen["after"])
    assert seconds(seen["after"]) == pytest.approx(seconds(seen["end"]), abs=0.3)


def test_a_recording_is_heard_live_and_whole_and_the_browser_is_asked_to_change_nothing(see, tmp_path):
    soundfile.write(tmp_path / "microphone.wav", *soundfile.read(SAMPLE))
    seen = see("record", MICROPHONE=str(tmp_path / "microphone.wav"))
    asked = seen["wanted"]["audio"]
    assert (asked["echoCancellation"], asked["noiseSuppression"], asked["autoGainControl"]) == (False, False, False)
    (name,) = seen["names"]
    assert name.startswith("recording ") and name.endswith(".wav")
    assert seen["live"] in ("Anger", "Neutral")
    assert [note for note in seen["notes"] if "No live" in note] == []
    assert seconds(seen["whole"].removeprefix("of ")) >= 3
    assert seen["rows"]


def test_every_format_of_one_recording_can_be_taken_along(see, server):
    found = see("downloads", SAMPLE, 0.6)["found"]
    suffixes = {"csv", "json", "jsonl", "TextGrid", "eaf", "txt", "vtt", "rttm", "hume.json", "hume-batch.json"}
    assert {one["name"] for one in found.values()} == {f"sample.{suffix}" for suffix in suffixes}
    for format_name in found:
        said = answer(server, SAMPLE, format=format_name, threshold=0.6)
        assert found[format_name]["text"] == said.decode(), format_name


def test_the_threshold_is_that_of_the_downloads_too(see, server):
    segments = json.loads(answer(server, SAMPLE))["timelines"][0]["segments"]
    seen = see("downloads", SAMPLE, round(np.median([one["confidence"] for one in segments]), 2))
    rows = [row for row in csv.DictReader(io.StringIO(seen["found"]["csv"]["text"])) if row["emotion"] != "no speech"]
    uncertain = sum(row["emotion"] == "uncertain" for row in rows)
    assert 0 < uncertain < len(rows)
    assert seen["uncertain"] == uncertain


def test_all_recordings_are_taken_along_in_one_table(see, tmp_path):
    other = tmp_path / "other.mp3"
    other.write_bytes(SAMPLE.read_bytes())
    found = see("downloads", f"{SAMPLE},{other}", 0)["found"]
    assert set(found) == {"csv", "json", "jsonl", "rttm", "hume-batch"}
    rows = csv.DictReader(io.StringIO(found["csv"]["text"]))
    assert {row["recording"] for row in rows} == {"sample.mp3", "other.mp3"}


def test_a_broken_file_is_told_of_and_the_others_are_heard(see, broken):
    seen = see("upload", f"{SAMPLE},{broken}")
    (alert,) = seen["alerts"]
    assert "broken.wav" in seen["states"][1] and "/tmp" not in alert
    assert "cannot" in alert
    assert seen["rows"]


def test_a_recording_without_speech_is_no_fault(see, tmp_path):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(32000, np.float32), 16000)
    seen = see("upload", tmp_path / "quiet.wav")
    assert seen["sum"].startswith("Nobody speaks") and seen["alerts"] == []


@pytest.fixture
def large(tmp_path) -> Path:
    """Ten minutes of the sample, more than is heard at once."""
    samples, rate = soundfile.read(SAMPLE)
    soundfile.write(tmp_path / "large.wav", np.tile(samples, 35), rate)
    return tmp_path / "large.wav"


def test_a_large_recording_is_heard_by_a_job(see, server, large):
    seen = see("upload", large)
    segments = json.loads(answer(server, large))["timelines"][0]["segments"]
    assert len(segments) > 50
    assert [row[2] for row in seen["rows"]] == [one["emotion"] for one in segments[:50]]


def test_a_jobs_downloads_follow_the_threshold_too(see, server, large):
    found = see("downloads", large, 0.99)["found"]
    assert found["csv"]["text"] == answer(server, large, format="csv", threshold=0.99).decode()


def test_a_job_can_be_cancelled_and_begun_again(see, large):
    seen = see("cancel", large)
    assert "Cancelled" in seen["cancelled"]
    assert seen["jobs"] == ["POST", "DELETE", "POST"]


def test_channels_are_voices_of_their_own_where_that_is_asked_for(see, tmp_path):
    samples, rate = soundfile.read(SAMPLE)
    soundfile.write(tmp_path / "call.wav", np.stack([samples, samples[::-1]], 1), rate)
    assert see("channels", tmp_path / "call.wav") == {"policy": [], "faults": [], "labels": ["Channel 0", "Channel 1"]}


def test_the_keyboard_reaches_everything(see):
    seen = see("keyboard")
    assert seen["first"].startswith("1 of ") and seen["second"].startswith("2 of ")
    assert seen["threshold"].startswith("60")
    assert seen["file"] == "sample.csv"


def test_two_models_stand_beside_each_other(see):
    seen = see("compare", "plain")
    assert (seen["bands"], seen["sliders"]) == (2, 2)
    assert "agree on 100" in seen["sum"]  # their temperatures differ alone


def test_a_key_is_asked_for_and_nowhere_kept(see, models, tmp_path):
    from emotune.server.keys import new_key

    key, hashed = new_key()
    (tmp_path / "keys").write_text(hashed)
    with running(*models, "--keys", tmp_path / "keys") as address:
        seen = see("key", key, at=address)
    assert "did not take" in seen["refusal"]
    assert key not in seen["kept"]


def test_axe_finds_nothing_serious_and_nothing_is_wider_than_a_narrow_screen(see):
    seen = see("accessibility")
    assert [one for one in seen["faults"] if one["impact"] in ("serious", "critical")] == []
    assert seen["wide"] <= 0
