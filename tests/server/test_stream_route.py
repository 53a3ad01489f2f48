"""Streams: what is sent while it is spoken, against what the whole recording gives; and everything that ends one."""

import asyncio
import base64
import gc
import io
import threading
import time

import av
import numpy as np
import pytest
from starlette import testclient

import emotune
from builders.engines import SometimesDeaf, spiked
from builders.recordings import encoded, noise
from builders.served import wait_until
from emotune.inference.predictor import Predictor
from emotune.inference.stream import Stream
from emotune.inference.timeline.recording import TimelineRule
from emotune.inference.timeline.windows import WindowRule
from emotune.server.app import create_app
from emotune.server.backlog import Backlog
from emotune.server.cancellation import Cancellation, Cancelled
from emotune.server.keys import new_key
from emotune.server.settings import Limits, Settings
from emotune.timelines.formats.json_document import segment_to_json, unanswered_to_json

RATE = 16000
END = {"type": "end"}


def client_of(model, **settings) -> testclient.TestClient:
    return testclient.TestClient(create_app([str(model)], Settings(workers=1, **settings)))


@pytest.fixture(scope="module")
def client(loudness):
    with client_of(loudness) as opened:
        yield opened


@pytest.fixture(scope="module")
def predictor(loudness):
    return emotune.load(loudness)


def speech(seconds: float = 12.0, rate: int = RATE) -> np.ndarray:
    """Louder and quieter noise, with pauses."""
    parts = [
        loud * noise(round(s * rate), seed=number)
        for number, (loud, s) in enumerate(
            [(3.0, 2.5), (0, 0.9), (0.3, 3.2), (0, 1.4), (1.0, 1.1), (0, 0.7), (3.0, 2.2)]
        )
    ]
    return np.concatenate(parts)[: round(seconds * rate)].astype(np.float32)


def events(client, content: bytes, query: str = "", *, step: int = 3200, end: bool = True, headers=None) -> list[dict]:
    """All events of a stream; of one that is refused, its error and the code of its end."""
    found = []
    with client.websocket_connect(f"/v1/stream?{query}", headers=headers or {}) as stream:
        for at in range(0, len(content), step):
            stream.send_bytes(content[at : at + step])
        if end:
            stream.send_json(END)
        try:
            while True:
                found.append(stream.receive_json())
        except testclient.WebSocketDisconnect as closed:
            found.append({"type": "closed", "code": closed.code})
    return found


def estimates_in_step(client, blocks: list[np.ndarray], query: str) -> list[dict]:
    """Estimates of a client that waits for one after each block, so that none is skipped."""
    found = []
    with client.websocket_connect(f"/v1/stream?encoding=f32le&{query}") as stream:
        assert stream.receive_json()["type"] == "ready"
        for block in blocks:
            stream.send_bytes(block.astype("<f4").tobytes())
            found.append(stream.receive_json())
        stream.send_json(END)
        assert stream.receive_json() == {"type": "done"}
    return found


def of(kind: str, found: list[dict]) -> list[dict]:
    return [one for one in found if one["type"] == kind]


RAW = {
    "s16le": {"container": "RAW", "subtype": "PCM_16", "endian": "LITTLE"},
    "f32le": {"container": "RAW", "subtype": "FLOAT", "endian": "LITTLE"},
    "mulaw": {"container": "RAW", "subtype": "ULAW"},
}


@pytest.mark.parametrize(("encoding", "rate"), [("s16le", 16000), ("f32le", 44100), ("mulaw", 8000)])
@pytest.mark.parametrize("step", [777, 20000])
def test_segments_are_those_of_the_timeline_of_the_same_audio(client, predictor, encoding, rate, step):
    samples = speech(rate=rate)
    file = encoded(samples, rate, **{name: value for name, value in RAW[encoding].items() if name == "subtype"})
    whole = predictor.timeline(file, rule=TimelineRule(vad="energy"))
    query = f"events=segments&vad=energy&encoding={encoding}&sampling_rate_hz={rate}"
    found = events(client, encoded(samples, rate, **RAW[encoding]), query, step=step)
    assert of("segment", found) == [{"type": "segment", **segment_to_json(one)} for one in whole.segments]
    assert len(whole.segments) >= 3
    assert [one["type"] for one in found[-2:]] == ["done", "closed"]
    assert found[-1]["code"] == 1000
    assert found[0]["type"] == "ready" and found[0]["model"]["fingerprint"] == predictor.fingerprint


def webm(samples: np.ndarray, rate: int = 48000) -> bytes:
    """WebM as a browser records it: Opus, in clusters that are written as they are complete."""
    stream = io.BytesIO()
    with av.open(stream, "w", format="webm", options={"live": "1", "cluster_time_limit": "200"}) as out:
        track = out.add_stream("libopus", rate=rate)
        track.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for block in [*av.AudioResampler(format=track.format.name, layout="mono", rate=rate).resample(frame), None]:
            out.mux(track.encode(block))
    return stream.getvalue()


def test_what_a_browser_records_gives_the_timeline_of_its_file(client, predictor):
    content = webm(speech(rate=48000))
    whole = predictor.timeline(content, rule=TimelineRule(vad="energy"))
    found = events(client, content, "events=segments&vad=energy&encoding=webm", step=500)
    assert of("segment", found) == [{"type": "segment", **segment_to_json(one)} for one in whole.segments]
    assert len(whole.segments) >= 3


def test_estimates_of_a_stream_that_keeps_pace_are_those_of_python(client, predictor):
    samples = speech(6.0)
    alone = Stream(predictor, voice_activity="energy", hop_s=0.5)
    expected = [one for at in range(0, len(samples), 8000) for one in alone.feed(samples[at : at + 8000])]
    found = estimates_in_step(client, np.split(samples, 12), "vad=energy")
    assert [one["end_ms"] for one in found] == list(range(500, 6001, 500))
    for one, ours in zip(found, expected, strict=True):
        assert (one["start_ms"], one["end_ms"]) == (round(ours.start_s * 1000), round(ours.end_s * 1000))
        assert (one["emotion"], one["is_speaking"], one["skipped"]) == (ours.emotion, ours.is_speaking, 0)
        assert one["probabilities"] == ({} if ours.prediction is None else ours.prediction.probabilities)
        assert 0 <= one["lag_ms"] < 5000


def test_of_sound_that_comes_faster_than_it_is_heard_the_newest_window_is_estimated(client):
    found = of("estimate", events(client, speech().tobytes(), "encoding=f32le&vad=energy", step=10**6))
    assert len(found) < 24
    assert found[-1]["end_ms"] == 12000
    assert sum(one["skipped"] for one in found) + len(found) == 24


REFUSED = {
    "encoding=ogg": "query.encoding",
    "window_s=99": "The window is 99",
    "events=segments&smoothing_s=1": "leave out smoothing_s",
    "encoding=webm&sampling_rate_hz=8000": "leave out sampling_rate_hz",
    "sampling_rate_hz=1e9": "query.sampling_rate_hz",
    "colour=red": "query.colour",
    "model=nobody": "There is no model 'nobody'",
    "coverage=0.5&threshold=0.5": "leave out one of them",
    "hop_s=-1": "query.hop_s",
}


@pytest.mark.parametrize("query", REFUSED)
def test_options_that_cannot_be_end_the_stream_with_a_problem(client, query):
    error, closed = events(client, b"", query, end=False)
    assert error["problem"]["status"] == 422
    assert REFUSED[query] in error["problem"]["detail"]
    assert closed["code"] == 1008


@pytest.mark.parametrize(
    ("query", "content", "match"),
    [
        ("encoding=webm", b"no webm at all" * 1000, "cannot be decoded"),
        ("encoding=webm", webm(speech(2.0, 48000), 48000)[:40], "cannot be decoded"),
        ("encoding=f32le", np.full(16000, np.nan, dtype="<f4").tobytes(), "NaN"),
        ("encoding=f32le", np.full(16000, 1e30, dtype="<f4").tobytes(), "divide 16-bit samples"),
    ],
)
def test_what_is_no_sound_ends_the_stream_with_a_problem(client, query, content, match):
    *_, error, closed = events(client, content, query)
    assert match in error["problem"]["detail"]
    assert error["problem"]["type"] == "urn:emotune:problem:recording"
    assert closed["code"] == 1008


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("vad=none&vad=energy", "query.vad: given 2 times"),
        ("ebents=segments", "query.ebents: there is no option 'ebents', did you mean 'events'? Known: coverage"),
    ],
)
def test_options_of_a_stream_are_told_in_words_of_ours(client, query, words):
    assert events(client, b"", query, end=False)[0]["problem"]["detail"].startswith(words)


def test_a_text_that_is_no_end_is_refused(client):
    with client.websocket_connect("/v1/stream") as stream:
        stream.receive_json()
        stream.send_text("hello")
        assert stream.receive_json()["problem"]["status"] == 400


def test_a_stream_without_sound_ends_after_a_while(loudness):
    with client_of(loudness, limits=Limits(stream_idle_s=0.2)) as client:
        *_, error, closed = events(client, b"", end=False)
    assert error["problem"]["type"] == "urn:emotune:problem:stream-idle"
    assert closed["code"] == 1008


def test_a_stream_is_no_longer_than_the_limit(loudness):
    with client_of(loudness, limits=Limits(stream_s=2.0)) as client:
        *_, error, _ = events(client, speech(4.0).tobytes(), "encoding=f32le", step=16000)
    assert "longer than 2 s" in error["problem"]["detail"]


def test_streams_beyond_the_limit_are_told_to_come_later(loudness):
    with client_of(loudness, limits=Limits(streams=1)) as client, client.websocket_connect("/v1/stream") as first:
        assert first.receive_json()["type"] == "ready"
        error, closed = events(client, b"", end=False)
        assert (error["problem"]["status"], closed["code"]) == (429, 1013)
        first.send_json(END)
        while first.receive_json()["type"] != "done":
            pass
    with client_of(loudness, limits=Limits(streams=1)) as client:
        for _ in range(3):  # a client that goes away frees its place
            with client.websocket_connect("/v1/stream") as stream:
                assert stream.receive_json()["type"] == "ready"
            wait_until(lambda: client.app.state.service.streams == 0)


def test_a_stream_by_another_name_of_the_server_is_refused(loudness):
    with client_of(loudness, hosts=("localhost",)) as client:
        error, closed = events(client, b"", end=False, headers={"host": "example.org", "origin": "http://example.org"})
        assert (error["problem"]["type"], closed["code"]) == ("urn:emotune:problem:host-refused", 1008)
        assert events(client, b"", headers={"host": "localhost:1"})[0]["type"] == "ready"


def test_one_client_cannot_take_every_stream(loudness):
    (key, hashed), (other, other_hashed) = new_key(), new_key()
    settings = {"keys": (hashed, other_hashed), "limits": Limits(streams=2, client_streams=1)}
    own = {"authorization": f"Bearer {key}"}
    with client_of(loudness, **settings) as client, client.websocket_connect("/v1/stream", headers=own) as first:
        assert first.receive_json()["type"] == "ready"
        error, closed = events(client, b"", end=False, headers=own)
        assert (error["problem"]["detail"], closed["code"]) == (
            "You have 1 streams here, the most of one client at a time.",
            1013,
        )
        assert events(client, b"", headers={"authorization": f"Bearer {other}"})[0]["type"] == "ready"


def test_a_client_that_goes_early_leaves_no_forgotten_error_in_the_log(loudness, caplog):
    with client_of(loudness) as client:
        for content in (b"", speech(2.0).tobytes()):
            with client.websocket_connect("/v1/stream?encoding=f32le") as stream:
                assert stream.receive_json()["type"] == "ready"
                stream.send_bytes(content)
            wait_until(lambda: client.app.state.service.streams == 0)
        gc.collect()
        client.get("/health")  # the loop has gone on
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_keys_and_origins_are_asked_for(loudness):
    key, hashed = new_key()
    with client_of(loudness, keys=(hashed,), origins=("https://friend.example",)) as client:
        for headers, status in (
            ({}, 401),
            ({"authorization": "Bearer wrong"}, 401),
            ({"authorization": f"Bearer {key}", "origin": "https://elsewhere.example"}, 403),
        ):
            error, closed = events(client, b"", end=False, headers=headers)
            assert (error["problem"]["status"], closed["code"]) == (status, 1008)
        for origin in ({}, {"origin": "http://testserver"}, {"origin": "https://friend.example"}):
            found = events(client, b"", headers={"authorization": f"Bearer {key}", **origin})
            assert [one["type"] for one in found] == ["ready", "done", "closed"]
        encoded_key = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
        with client.websocket_connect("/v1/stream", subprotocols=["emotune", f"bearer.{encoded_key}"]) as page:
            assert page.accepted_subprotocol == "emotune"
            assert page.receive_json()["type"] == "ready"


def test_a_server_that_ends_answers_what_has_come_and_says_come_again(loudness):
    with client_of(loudness) as client, client.websocket_connect("/v1/stream?events=segments&vad=energy") as stream:
        stream.receive_json()
        sound = np.concatenate([noise(RATE * 2), noise(RATE)])
        stream.send_bytes((sound * 32767).astype("<i2").tobytes())
        time.sleep(0.2)
        client.portal.call(client.app.state.service.draining.set)
        assert stream.receive_json()["end_ms"] == 3000
        assert stream.receive_json()["problem"]["type"] == "urn:emotune:problem:ending"
        with pytest.raises(testclient.WebSocketDisconnect) as closed:
            stream.receive_json()
        assert closed.value.code == 1012


def test_a_backlog_holds_no_more_than_it_may_and_loses_nothing():
    content = bytes(range(256)) * 100
    most, came = [], []

    async def sends() -> None:
        backlog = Backlog(1000, Cancellation())

        def hears() -> None:
            while piece := backlog.read(300):
                came.append(piece)

        thread = threading.Thread(target=hears)
        thread.start()
        for at in range(0, len(content), 171):
            await backlog.put(content[at : at + 171])
            most.append(backlog._bytes)
        backlog.end()
        await asyncio.to_thread(thread.join)

    asyncio.run(sends())
    assert b"".join(came) == content
    assert max(most) <= 1000


def test_who_waits_for_sound_is_woken_when_the_client_goes():
    async def goes() -> None:
        cancellation = Cancellation()
        backlog = Backlog(10, cancellation)
        reading = asyncio.get_running_loop().run_in_executor(None, backlog.read)
        await asyncio.sleep(0.05)
        cancellation.cancel()
        with pytest.raises(Cancelled):
            await reading

    asyncio.run(goes())


def test_windows_without_an_answer_are_told_and_the_stream_goes_on(loudness, predictor):
    content = encoded(spiked(3.1), container="RAW", subtype="FLOAT", endian="LITTLE")
    deaf, rule = Predictor(SometimesDeaf(predictor.engine)), TimelineRule(WindowRule(1.0, 0.5), "none")
    whole = deaf.timeline(spiked(3.1).astype("f4"), RATE, rule=rule)
    with client_of(loudness) as client:
        scheduler = client.app.state.service.models.default.scheduler
        scheduler.engine = SometimesDeaf(scheduler.engine)
        found = events(client, content, "encoding=f32le&events=segments&vad=none&window_s=1&hop_s=0.5")
        estimates = estimates_in_step(client, np.split(spiked(3.1), 6), "vad=none&window_s=1&hop_s=1&smoothing_s=0")
    told = of("unanswered", found)
    expected = [unanswered_to_json(one) for one in whole.unanswered]
    assert [{**one, "error": ""} for one in told] == [{"type": "unanswered", **one, "error": ""} for one in expected]
    assert [(one["start_ms"], one["end_ms"]) for one in told] == [(2500, 3500), (3000, 4000)]
    assert all("out of memory" in one["error"] for one in told)
    assert of("segment", found) == [{"type": "segment", **segment_to_json(one)} for one in whole.segments]
    assert [one["type"] for one in found[-2:]] == ["done", "closed"]
    failed = estimates.pop(3)
    assert (failed["end_ms"], failed["emotion"], failed["probabilities"]) == (4000, None, {})
    assert "out of memory" in failed["error"] and all(one["error"] is None for one in estimates)


def test_a_client_that_sends_without_end_waits_for_the_server(client, monkeypatch):
    """Backpressure: what the server has taken in is bounded, however much is sent."""
    from emotune.server import hearing

    taken = []
    slow = hearing.RawSound.decode

    def decode(self, content):
        taken.append(len(content))
        time.sleep(0.02)
        return slow(self, content)

    monkeypatch.setattr(hearing.RawSound, "decode", decode)
    content = (speech() * 3276).astype("<i2").tobytes() * 4
    found = events(client, content, "events=segments&vad=energy", step=8000)
    assert sum(taken) == len(content)
    assert max(taken) <= 10 * RATE * 2
    assert found[-2]["type"] == "done"
