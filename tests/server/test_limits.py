"""What is beyond a limit is refused with a problem that names it, and its place is free again."""

import re
import socket
import threading
import time

import httpx2 as httpx
import numpy as np
import pytest

from builders.recordings import encoded, tone
from builders.served import refused, served, slowed, wait_until

LOUD = encoded(tone(peak=0.9))
WAV = {"Content-Type": "audio/wav"}


def test_more_bytes_than_may_be_are_refused_at_once_and_while_they_come(server):
    too_many = encoded(tone(seconds=100.0))
    assert "2 MB" in refused(server.client.post("/v1/predict", content=too_many, headers=WAV), "too-large")["detail"]
    refused(server.client.post("/v1/predict", files={"file": too_many}), "too-large")
    piecewise = (too_many[at : at + 50_000] for at in range(0, len(too_many), 50_000))  # names no length
    refused(server.client.post("/v1/predict", content=piecewise, headers=WAV), "too-large")
    assert server.client.post("/v1/predict", content=LOUD, headers=WAV).status_code == 200


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_more_seconds_than_may_be_are_refused_by_the_header(server, container, opened):
    long = encoded(tone(seconds=61.0, sampling_rate_hz=8000), 8000, container=container)
    answer = server.client.post("/v1/timeline", files={"file": ("long", long)})
    problem = refused(answer, "too-large")
    assert re.match(
        r"long is (61\.\d s long|longer than 60 s), the most are 60 s\. Send it as a job", problem["detail"]
    )


def test_a_clip_that_is_too_long_for_the_model_is_sent_to_timelines(server):
    answer = server.client.post("/v1/predict", files={"file": ("call.wav", encoded(tone(seconds=31.0)))})
    assert "31.0 s long, the most are 30 s" in refused(answer, "too-large")["detail"]
    assert "/v1/timeline" in answer.json()["detail"]


def test_a_header_that_hides_its_length_does_not_help(server):
    """A WAV out of a pipe states no length: it is decoded to the limit and no further."""
    wav = bytearray(encoded(tone(seconds=61.0, sampling_rate_hz=8000), 8000))
    at = wav.index(b"data") + 4
    wav[4:8] = wav[at : at + 4] = b"\xff\xff\xff\xff"
    refused(server.client.post("/v1/timeline", files={"file": bytes(wav)}), "too-large")


def test_among_several_a_recording_that_is_too_large_is_a_row(server):
    several = [("file", ("long", encoded(tone(seconds=31.0)))), ("file", ("short", LOUD))]
    rows = server.client.post("/v1/predict", files=several).json()["predictions"]
    assert [row["error"] is None for row in rows] == [False, True]


def test_more_channels_or_files_than_may_be_are_refused(server):
    four = encoded(np.stack([tone(seconds=0.5)] * 4, axis=1))
    assert (
        "4 channels, the most are 3"
        in refused(server.client.post("/v1/predict", files={"file": four}), "too-large")["detail"]
    )
    five = [("file", LOUD)] * 5
    assert "more than 4 files" in refused(server.client.post("/v1/predict", files=five), "too-large")["detail"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("channel=left", "query.channel: expected mix, each or the number of a channel, not 'left'."),
        ("window_s=nan", "query.window_s: expected a number, not 'nan'."),
        ("window_s=0.01", "query.window_s: expected at least 0.1, not '0.01'."),
        ("window_s=wide", "query.window_s: expected a number, not 'wide'."),
        ("vad=loud", "query.vad: expected 'silero', 'energy' or 'none', not 'loud'."),
        (
            "chan=1",
            "query.chan: there is no option 'chan', did you mean 'channel'? Known: channel, coverage, format",
        ),
        ("vad=none&vad=energy", "query.vad: given 2 times, expected once."),
    ],
)
def test_an_option_that_is_wrong_is_told_in_words_of_ours(server, query, words):
    answer = server.client.post(f"/v1/timeline?{query}", files={"file": LOUD})
    assert refused(answer, "option")["detail"].startswith(words)


@pytest.mark.parametrize(
    ("headers", "content", "kind"),
    [
        ({"Content-Type": "application/json"}, b"{}", "media-type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, LOUD, "media-type"),
        (WAV | {"Content-Encoding": "gzip"}, LOUD, "media-type"),
        ({"Content-Type": "multipart/form-data"}, LOUD, "malformed-body"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, LOUD, "malformed-body"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n", "malformed-body"),
        (
            {"Content-Type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc',
            "malformed-body",
        ),
        (
            {"Content-Type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="channel"\r\n\r\neach\r\n--x--\r\n',
            "malformed-body",
        ),
        (WAV, b"", "recording"),
        (WAV, b"RIFF", "recording"),
        (WAV, LOUD[:30], "recording"),
        (WAV, LOUD[: len(LOUD) // 2], "recording"),
    ],
)
def test_what_is_no_upload_or_no_recording_is_refused(server, headers, content, kind):
    refused(server.client.post("/v1/timeline", content=content, headers=headers), kind)


@pytest.mark.parametrize(
    "query",
    [
        "model=other",
        "channel=left",
        "coverage=0",
        "coverage=1.5",
        "threshold=-1",
        "coverage=0.5&threshold=0.5",
        "window_s=3&hop_s=4",
        "window_s=31",
        "window_s=nan",
        "vad=loud",
        "format=xml",
        "windows=2",
    ],
)
def test_an_option_that_is_wrong_is_named_before_the_upload_is_read(server, query):
    answer = server.client.post(f"/v1/timeline?{query}", content=LOUD, headers=WAV)
    refused(answer, "option")


def test_what_is_not_there_is_a_problem_too(server):
    refused(server.client.get("/v2/predict"), "not-found")
    refused(server.client.get("/v1/predict"), "method-not-allowed")
    assert server.client.put("/v1/jobs/x").headers["allow"] == "DELETE, GET, HEAD"


def slow_parts(go_on: threading.Event):
    yield LOUD[:1000]
    go_on.wait(20)
    yield LOUD[1000:]


def test_requests_beyond_the_places_are_refused_and_told_when_to_come_again(loudness):
    with served(f"loudness={loudness}", requests=3, client_requests=2) as server:
        go_on = threading.Event()
        answers = []

        def slow() -> None:
            with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
                answers.append(client.post("/v1/predict", content=slow_parts(go_on), headers=WAV))

        threads = [threading.Thread(target=slow) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_until(lambda: server.service.admission.taken == 2)
        answer = server.client.post("/v1/predict", content=LOUD, headers=WAV)
        assert "of one client" in refused(answer, "too-many")["detail"]
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        go_on.set()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200, 200]
        assert server.client.post("/v1/predict", content=LOUD, headers=WAV).status_code == 200
        assert server.service.admission.taken == server.service.admission.working == 0


def test_an_upload_that_does_not_come_is_refused_after_a_while(loudness):
    with served(f"loudness={loudness}", upload_s=0.2) as server:
        go_on = threading.Event()
        began = time.monotonic()
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
            threading.Timer(1.0, go_on.set).start()
            answer = client.post("/v1/predict", content=slow_parts(go_on), headers=WAV)
        refused(answer, "upload-too-slow")
        assert time.monotonic() - began < 10
        assert server.service.admission.taken == 0


def test_an_answer_that_takes_too_long_is_refused_and_its_work_ended(loudness):
    with served(f"loudness={loudness}", request_s=0.3) as server:
        engine = slowed(server, 0.2)
        answer = server.client.post("/v1/timeline?vad=none", files={"file": encoded(tone(seconds=60.0))})
        assert "/v1/jobs" in refused(answer, "took-too-long")["detail"]
        wait_until(lambda: server.service.admission.working == 0)
        runs = engine.runs
        time.sleep(0.5)
        assert engine.runs == runs
        assert server.service.models.default.scheduler.waiting == 0


def test_a_client_that_goes_away_frees_its_place_and_ends_its_work(loudness):
    with served(f"loudness={loudness}") as server:
        engine = slowed(server, 0.2)
        sound = encoded(tone(seconds=60.0))
        head = (
            f"POST /v1/timeline?vad=none HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nContent-Length: {len(sound)}"
        )
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + sound)
            wait_until(lambda: engine.runs > 0)
        wait_until(lambda: server.service.admission.taken == 0, seconds=2)
        wait_until(lambda: server.service.admission.working == 0, seconds=2)
        assert engine.runs < 20  # of 59 windows
        assert server.service.models.default.scheduler.waiting == 0


def test_an_upload_beyond_the_bound_of_memory_lies_in_a_file_that_no_folder_lists(loudness, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with served(f"loudness={loudness}", memory_mb=0.1) as server:
        sound = encoded(tone(seconds=20.0, peak=0.9))
        (row,) = server.client.post("/v1/predict", files={"file": sound}).json()["predictions"]
        assert row["emotion"] == "anger"
        assert list(tmp_path.iterdir()) == []
