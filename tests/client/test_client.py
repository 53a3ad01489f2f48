"""A client's answers are those of a model that is loaded, its errors those of this library."""

import asyncio
import itertools
import json
import threading
import time
from types import SimpleNamespace

import httpx2
import numpy as np
import pytest
import typer.main
from websockets.sync.server import serve

import emotune
from builders.command import run_command
from builders.recordings import encoded, noise, tone, write_recording
from builders.served import served, slowed, wait_until
from emotune.cli import app
from emotune.client import AsyncClient, Client, failures, questions, streams, synchronous
from emotune.errors import AudioError, ConfigError, ServerError
from emotune.inference.items import Item, items_given
from emotune.inference.timeline.recording import TimelineRule
from emotune.inference.timeline.windows import WindowRule
from emotune.server.keys import new_key
from emotune.server.settings import Settings

RATE = 16000
SPOKEN = np.concatenate([0.5 * tone(seconds=3), np.zeros(RATE), 0.05 * tone(seconds=2), np.zeros(RATE)]).astype("f4")


@pytest.fixture(scope="module")
def client(server):
    with Client(server.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def here(loudness):
    return emotune.load(loudness)


def awaited(server, ask):
    """Answer of an asynchronous client."""

    async def asked():
        async with AsyncClient(server.url) as client:
            return await ask(client)

    return asyncio.run(asked())


SOURCES = {
    "bytes": encoded(tone()),
    "floats": (0.7 * tone().astype("f4"), RATE),
    "doubles": (0.7 * tone(), RATE),
    "16 bits": ((20000 * tone()).astype("i2"), RATE),
    "unsigned": ((100 * tone() + 128).astype("u1"), RATE),
    "stereo": (np.stack([tone(), 0.1 * tone()], axis=1).astype("f4"), RATE),
    "telephone": (tone(sampling_rate_hz=8000).astype("f4"), 8000),
    "mapping": {"array": tone().astype("f4"), "sampling_rate": RATE},
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_prediction_is_that_of_load(client, server, here, name):
    expected = here.predict(SOURCES[name])
    assert client.predict(SOURCES[name]) == expected
    assert awaited(server, lambda asked: asked.predict(SOURCES[name])) == expected


def test_predictions_of_files_are_those_of_load(client, server, here, tmp_path):
    paths = [write_recording(tmp_path / name, channels=channels) for name, channels in (("a.wav", 1), ("b.flac", 2))]
    paths += [paths[0], tmp_path / "none.wav", tmp_path / "empty.wav"]
    paths[-1].touch()
    expected = here.predict(paths)
    for found in (client.predict(paths), awaited(server, lambda asked: asked.predict(paths))):
        assert found.rows[:3] == expected.rows[:3]
        assert [row.utterance_id for row in found] == [row.utterance_id for row in expected]
        assert [bool(row.error) for row in found] == [False, False, False, True, True]
        assert found.label_space == expected.label_space
        assert found.model_fingerprint == expected.model_fingerprint


def test_each_channel_is_a_row_as_with_load(client, here, tmp_path):
    path = write_recording(tmp_path / "call.wav", channels=2)
    assert client.predict(path, channel="each").rows == here.predict(path, channel="each").rows
    assert client.predict(path, channel=1) == here.predict(path, channel=1)
    assert client.predict([path], channel="each").rows == here.predict([path], channel="each").rows


def public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def test_both_clients_have_the_same_names_and_answers(client, server, tmp_path):
    assert public(AsyncClient) == public(Client)
    path = write_recording(tmp_path / "call.wav", channels=2, seconds=2)
    right = Item("right", path, channel=1, extra={"channel": 1})
    items = [right, Item("mixed", path), Item("none", tmp_path / "none.wav", channel=1, extra={"channel": 1})]
    rule = TimelineRule(vad="none")
    assert client.predict_items([right]).rows[0].probabilities == client.predict(path, channel=1).probabilities
    for channel in ("mix", 0, "each"):
        there = client.predict_items(items, channel=channel)
        assert awaited(server, lambda asked, channel=channel: asked.predict_items(items, channel=channel)) == there
        assert there.rows[0].extra == there.rows[-1].extra == {"channel": 1}
        there = client.timeline_item(right, channel=channel, rule=rule)
        assert awaited(server, lambda asked, c=channel: asked.timeline_item(right, channel=c, rule=rule)) == there
    assert awaited(server, lambda asked: asked.about()) == client.about
    assert awaited(server, lambda asked: asked.label_space()) == client.label_space
    assert awaited(server, lambda asked: asked.fingerprint()) == client.fingerprint


@pytest.mark.parametrize(
    "rule", [None, TimelineRule(vad="energy"), TimelineRule(WindowRule(1.0, 0.5), "none")], ids=["", "energy", "none"]
)
def test_a_timeline_is_that_of_load(client, server, here, rule):
    expected = here.timeline((SPOKEN, RATE), rule=rule)
    assert client.timeline((SPOKEN, RATE), rule=rule) == expected
    assert awaited(server, lambda asked: asked.timeline((SPOKEN, RATE), rule=rule)) == expected
    assert rule is None or len(expected.segments) >= 1


def test_abstention_is_that_of_load(server, loudness):
    here = emotune.load(loudness, coverage=0.5)
    quiet = 0.01 * noise(RATE)
    with Client(server.url, coverage=0.5, model="loudness") as client:
        found = client.predict((quiet, RATE))
    assert found == here.predict((quiet, RATE))
    assert found.emotion == "uncertain"


def test_a_threshold_is_that_of_the_server(server):
    for least, emotion in ((0.0, "anger"), (1.0, "uncertain")):
        with Client(server.url, threshold=least) as client:
            assert client.predict(encoded(tone())).emotion == emotion
            answered = [one for one in client.listen([SPOKEN], RATE, vad="none") if one.prediction]
            assert {one.prediction.uncertain for one in answered} == {least == 1}
    with pytest.raises(ConfigError, match="leave out one"):
        Client(server.url, threshold=0.5, coverage=0.5)
    with pytest.raises(ConfigError, match="threshold"):
        Client(server.url, threshold=2).predict(encoded())


def test_errors_are_those_of_this_library(client, server, tmp_path):
    with pytest.raises(AudioError, match="cannot be decoded"):
        client.predict(b"no recording")
    with pytest.raises(AudioError, match="No such file"):
        client.predict(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="the most are 100 s"):
        client.timeline((noise(RATE * 101), RATE))
    with pytest.raises(ConfigError, match="The window is 99"):
        client.timeline((SPOKEN, RATE), rule=TimelineRule(WindowRule(99.0, 1.0)))
    with pytest.raises(ConfigError, match="There is no model 'other'"):
        Client(server.url, model="other").predict(encoded())
    with pytest.raises(ConfigError, match="has no model 'other', but loudness"):
        _ = Client(server.url, model="other").label_space
    with pytest.raises(ConfigError, match="is no address"):
        Client("localhost:8000")
    with pytest.raises(ConfigError, match="change_cost"):
        client.timeline((SPOKEN, RATE), rule=TimelineRule(change_cost=3.0))


def test_a_key_is_sent_with_questions_and_streams(loudness):
    key, hashed = new_key()
    with served(f"loudness={loudness}", settings=Settings(keys=(hashed,))) as guarded:
        with Client(guarded.url, key=key) as client:
            assert client.predict(encoded(tone())).emotion == "anger"
            assert list(client.listen([SPOKEN], RATE, vad="none"))
        with Client(guarded.url, key="another") as client:
            with pytest.raises(ServerError, match="have a key"):
                client.predict(encoded())
            with pytest.raises(ServerError, match="have a key"):
                list(client.listen([SPOKEN], RATE))


@pytest.mark.parametrize("key", ["se\ncret", "secr\u00e9t", "secret\x00"])
def test_a_key_that_no_header_carries_is_refused_and_not_shown(key, monkeypatch, tmp_path):
    for kind in (Client, AsyncClient):
        with pytest.raises(ConfigError, match=r"key=.*EMOTUNE_KEY") as refused:
            kind("http://127.0.0.1:9", key=key)
        assert key not in str(refused.value)
    if "\0" not in key:
        monkeypatch.setenv("EMOTUNE_KEY", key)
        ended = run_command("predict", "m", write_recording(tmp_path / "a.wav"), "--server", "http://127.0.0.1:9")
        assert ended.code == 2 and "EMOTUNE_KEY" in ended.err and key not in ended.err + ended.out


def test_white_space_around_a_key_is_no_part_of_it():
    network, _ = answers(DONE)
    with Client("http://server", transport=network, key="secret\n") as client:
        assert client.models() and client.settings.headers == {"Authorization": "Bearer secret"}
        assert "secret" not in repr(client.settings)
    assert Client("http://server", key=" ").settings.headers == {}


def test_a_server_that_is_not_there_is_one_clear_error():
    with Client("http://127.0.0.1:9", patience_s=0) as client, pytest.raises(ServerError, match="emotune serve"):
        client.predict(encoded())
    with pytest.raises(ServerError, match="does not answer"):
        list(Client("http://127.0.0.1:9", patience_s=0).listen([noise(RATE)], RATE))


def answers(*given):
    """A network that gives these answers in turn, and the requests that came."""
    came, left = [], iter(given)

    def answer(request: httpx2.Request) -> httpx2.Response:
        came.append((request.read(), time.monotonic()))
        one = next(left)
        if isinstance(one, Exception):
            raise one
        status, headers, body = one
        return httpx2.Response(status, headers=headers, json=body)

    return httpx2.MockTransport(answer), came


BUSY = (429, {"Retry-After": "7"}, {"type": "urn:emotune:problem:too-many", "detail": "Too many."})
DONE = (200, {}, {"models": [{"name": "one"}]})


def test_a_busy_server_is_asked_again_when_it_says(monkeypatch):
    waits = []
    monkeypatch.setattr(synchronous.time, "sleep", waits.append)
    network, came = answers(BUSY, (503, {}, {"detail": "Ending."}), httpx2.ConnectError("refused"), DONE)
    assert Client("http://server", transport=network).models() == [{"name": "one"}]
    assert waits == [7.0, 1.0, 2.0]
    assert len(came) == 4


@pytest.mark.parametrize("kind", [httpx2.ReadError, httpx2.RemoteProtocolError, httpx2.WriteError])
def test_a_connection_that_breaks_is_made_again(kind, monkeypatch):
    waits = []
    monkeypatch.setattr(synchronous.time, "sleep", waits.append)
    network, came = answers(kind("gone"), kind("gone"), DONE)
    assert Client("http://server", transport=network).models() == [{"name": "one"}]
    assert waits == [0.5, 1.0] and len(came) == 3


def test_an_answer_that_does_not_come_in_time_uses_patience_up(monkeypatch):
    monkeypatch.setattr(synchronous.time, "sleep", lambda seconds: None)
    network, came = answers(*[httpx2.ReadTimeout("late")] * 9)
    with pytest.raises(ServerError, match="late"):
        Client("http://server", transport=network, timeout_s=20, patience_s=60).models()
    assert len(came) == 3


def breaking(server, broken: bytes):
    """A network in front of a server that breaks at one recording."""
    there = httpx2.HTTPTransport()

    def answer(request: httpx2.Request) -> httpx2.Response:
        if broken in request.read():
            raise httpx2.ReadError("cut off")
        passed = httpx2.Request(request.method, request.url, headers=request.headers, content=request.content)
        came = there.handle_request(passed)
        return httpx2.Response(came.status_code, content=came.read())

    return httpx2.MockTransport(answer)


def test_a_recording_that_breaks_the_connection_is_a_row_among_others(server, tmp_path, monkeypatch):
    paths = [write_recording(tmp_path / f"{name}.wav") for name in "abc"]
    network = breaking(server, paths[1].read_bytes())
    with Client(server.url, transport=network, patience_s=0.5) as client:
        assert [bool(row.error) for row in client.predict(paths)] == [False, True, False]

    async def asked():
        async with AsyncClient(server.url, transport=network, patience_s=0) as client:
            return await client.predict(paths)

    assert "cut off" in asyncio.run(asked()).rows[1].error
    made = httpx2.Client
    monkeypatch.setattr(httpx2, "Client", lambda **given: made(**{**given, "transport": network}))
    monkeypatch.setattr(synchronous, "Patience", lambda seconds, timeout_s: failures.Patience(0, timeout_s))
    for command in ("predict", "timeline"):
        found = tmp_path / f"{command}.csv"
        ended = run_command(command, "loudness", *paths, "--server", server.url, "-o", found)
        assert ended.code == 1 and "cut off" in ended.err and found.exists()


def test_a_server_that_is_gone_is_waited_for_once(monkeypatch, tmp_path):
    waits = []
    monkeypatch.setattr(synchronous.time, "sleep", waits.append)
    model = {"name": "one", "classes": ["anger"], "dimensions": {}, "fingerprint": "f"}
    network, _ = answers((200, {}, {"models": [model]}), *[httpx2.ConnectError("refused")] * 99)
    monkeypatch.setattr(synchronous, "TOGETHER", 1)
    with Client("http://server", transport=network, patience_s=4) as client:
        found = client.predict([encoded()] * 20)
    assert all("refused" in row.error for row in found) and waits == [0.5, 1.0, 2.0]


def test_patience_has_an_end(monkeypatch):
    waits = []
    monkeypatch.setattr(synchronous.time, "sleep", waits.append)
    network, _ = answers(*[BUSY] * 9)
    with pytest.raises(ServerError, match="Too many"):
        Client("http://server", transport=network, patience_s=20).models()
    assert waits == [7.0, 7.0]


def test_a_question_is_asked_again_whole(monkeypatch, tmp_path):
    monkeypatch.setattr(synchronous.time, "sleep", lambda seconds: None)
    network, came = answers(BUSY, (422, {}, {"type": "urn:emotune:problem:recording", "detail": "Broken."}))
    path = write_recording(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="Broken"):
        Client("http://server", transport=network).predict(path)
    assert path.read_bytes() in came[0][0] and path.read_bytes() in came[1][0]


@pytest.mark.parametrize("body", [{"predictions": [{}]}, {"predictions": 3}, {}, {"predictions": [None]}])
def test_what_is_no_answer_of_emotune_is_one_clear_error(body):
    network, _ = answers((200, {}, body))
    with pytest.raises(ServerError, match="not one of emotune serve"):
        Client("http://server", transport=network).predict(encoded())


def test_an_answer_that_is_no_json_is_one_clear_error():
    network = httpx2.MockTransport(lambda request: httpx2.Response(502, text="<html>Bad gateway"))
    with pytest.raises(ServerError, match="502, and no JSON"):
        Client("http://server", transport=network).models()


LONG = encoded(tone(seconds=80, sampling_rate_hz=4000), 4000)


def test_a_recording_that_outlasts_a_request_is_a_job(client, server, here, tmp_path):
    rule, steps = TimelineRule(vad="none"), []

    def progress(items, *, total, title):
        for item in items:
            steps.append((total, title))
            yield item

    (item,) = items_given(LONG, None, "mix")
    expected = here.timeline(LONG, rule=rule)
    assert client.timeline_item(item, rule=rule, progress=progress) == expected
    assert steps == [(100, item.utterance_id)] * 100
    assert awaited(server, lambda asked: asked.timeline(LONG, rule=rule)) == expected
    (tmp_path / "long.wav").write_bytes(LONG)
    made = tmp_path / "long.json"
    ended = run_command(
        "timeline", "loudness", tmp_path / "long.wav", "--server", server.url, "-o", made, "--vad", "none"
    )
    assert ended.code == 0 and json.loads(made.read_text())["timelines"][0]["duration_s"] == 80
    assert server.service.jobs.active == 0 and server.service.jobs._jobs == {}  # nothing is kept


def test_a_large_recording_is_a_job_from_the_beginning(server, here, monkeypatch):
    monkeypatch.setattr(questions, "_AT_ONCE_BYTES", 1000)
    network, came = httpx2.HTTPTransport(), []
    monkeypatch.setattr(network, "handle_request", told(network.handle_request, came))
    with Client(server.url, transport=network) as client:
        for source in (encoded(tone()), (tone().astype("f4"), RATE)):
            assert client.predict(source) == here.predict(source)
        assert client.predict([encoded(tone())]).rows == here.predict([encoded(tone())]).rows
    assert "/v1/predict" not in came and came.count("/v1/jobs") == 3


def told(handle, came):
    """The same network, which remembers paths."""

    def remembers(request: httpx2.Request) -> httpx2.Response:
        came.append(request.url.path)
        return handle(request)

    return remembers


def test_a_job_can_be_looked_at_waited_for_and_cancelled(client, server, here):
    job = client.job(encoded(tone()), kind="predict")
    assert job.result() == job.result() == here.predict(encoded(tone()))
    assert (job.status().status, job.status().progress, job.status().is_active) == ("done", 1.0, False)
    job.cancel()
    with pytest.raises(ServerError, match="There is no such job"):
        job.status()
    assert client.job(LONG, rule=TimelineRule(vad="none")).result() == here.timeline(
        LONG, rule=TimelineRule(vad="none")
    )
    with pytest.raises(AudioError, match="cannot be decoded"):
        client.job(b"no recording").result()
    for ask in (client.job, client.timeline, here.timeline):
        with pytest.raises(ConfigError, match="Expected one recording, got a list of several"):
            ask([LONG, LONG])
    with pytest.raises(ConfigError, match="'dance', but of timeline and predict"):
        client.job(LONG, kind="dance")
    with pytest.raises(ConfigError, match="A rule is for timelines"):
        client.job(LONG, kind="predict", rule=TimelineRule())

    async def cancels(asked):
        shares = []
        job = await asked.job(encoded(tone()), kind="predict")
        found = await job.result(shares.append)
        await job.cancel()
        with pytest.raises(ServerError, match="There is no such job"):
            await job.status()
        return found, shares[-1]

    assert awaited(server, cancels) == (here.predict(encoded(tone())), 1.0)


def test_who_stops_waiting_ends_the_job(loudness, monkeypatch):
    with served(f"loudness={loudness}", seconds=60) as slow:
        slowed(slow, 0.5)

        def stops(items, *, total, title):
            wait_until(lambda: slow.service.jobs.active)
            raise KeyboardInterrupt
            yield

        (item,) = items_given(LONG, None, "mix")
        with Client(slow.url, patience_s=0) as client:
            with pytest.raises(KeyboardInterrupt):
                client.timeline_item(item, rule=TimelineRule(vad="none"), progress=stops)
            wait_until(lambda: slow.service.jobs.active == 0, seconds=3)
            monkeypatch.setattr(questions, "_AT_ONCE_BYTES", 0)
            with pytest.raises(KeyboardInterrupt):
                client.predict_items([Item("short", (tone(), RATE))] * 9, progress=stops)
            wait_until(lambda: slow.service.jobs.active == 0, seconds=3)

        async def cancelled():
            async with AsyncClient(slow.url) as client:
                asking = asyncio.ensure_future(client.timeline(LONG, rule=TimelineRule(vad="none")))
                while not slow.service.jobs.active:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.3)  # the client knows the job
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking

        asyncio.run(cancelled())
        wait_until(lambda: slow.service.jobs.active == 0, seconds=3)


TOO_LONG = (503, {"Retry-After": "9"}, {"type": "urn:emotune:problem:took-too-long", "detail": "There was no answer."})


def test_an_answer_that_took_too_long_is_asked_for_as_a_job_and_not_again(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("it waits"))
    about = {"id": "x", "status": "cancelled", "progress": 0.5, "error": None}
    network, came = answers(TOO_LONG, (202, {}, about), (200, {}, about), (204, {}, None))
    with (
        Client("http://server", transport=network) as client,
        pytest.raises(ServerError, match="The job was cancelled"),
    ):
        client.predict(encoded())
    assert len(came) == 4


def test_a_fault_is_told_with_the_id_that_the_log_knows():
    problem = {"type": "urn:emotune:problem:fault", "status": 500, "detail": "A fault.", "request_id": "abc"}
    assert str(failures.error_of(problem)) == "A fault. The request was abc."


def blocks(step: int = 4000):
    return [SPOKEN[at : at + step] for at in range(0, len(SPOKEN), step)]


def test_segments_of_a_stream_are_those_of_the_timeline(client, server, here):
    expected = list(here.timeline((SPOKEN, RATE), rule=TimelineRule(vad="energy")).segments)
    assert list(client.listen(blocks(), RATE, events="segments", vad="energy")) == expected
    sent = (SPOKEN * 32767).round().astype("<i2").tobytes()
    rounded = list(here.timeline(encoded(SPOKEN, subtype="PCM_16"), rule=TimelineRule(vad="energy")).segments)
    assert len(list(client.listen([sent], encoding="s16le", events="segments", vad="energy"))) == len(rounded)

    async def heard(asked):
        async def comes():
            for block in blocks():
                yield block

        return [one async for one in asked.listen(comes(), RATE, events="segments", vad="energy")]

    assert awaited(server, heard) == expected


def test_estimates_come_while_the_sound_is_sent(client):
    heard = threading.Event()

    def live():
        for number, block in enumerate(itertools.chain(blocks(), blocks())):
            if number == 4:
                assert heard.wait(10)  # the first estimate is there before the rest is sent
            yield block

    found = []
    for estimate in client.listen(live(), RATE, vad="none", hop_s=0.5):
        found.append(estimate)
        heard.set()
    assert found[0].end_s <= 1.0
    assert found[-1].end_s == 14.0
    assert found[-1].prediction is not None
    assert found[-1].speech_s == 3.0


def test_faults_on_either_side_of_a_stream_are_raised(client, server):
    def breaks():
        yield SPOKEN
        raise OSError("the microphone is gone")

    with pytest.raises(OSError, match="the microphone is gone"):
        list(client.listen(breaks(), RATE))
    with pytest.raises(ConfigError, match="colour"):
        list(client.listen(blocks(), RATE, colour="red"))
    with pytest.raises(AudioError, match="NaN"):
        list(client.listen([np.full(RATE, np.nan)], RATE))
    with pytest.raises(ConfigError, match="sampling_rate_hz"):
        list(client.listen(blocks()))
    with pytest.raises(ConfigError, match="of type bytes, expected an array of samples"):
        list(client.listen([SPOKEN.tobytes()], RATE))
    with pytest.raises(ConfigError, match="of type ndarray, expected bytes in the encoding"):
        list(client.listen([SPOKEN], RATE, encoding="f32le"))

    async def heard(asked):
        return [one async for one in asked.listen(breaks(), RATE)]

    with pytest.raises(OSError, match="the microphone is gone"):
        awaited(server, heard)


def a_stream_server(firsts):
    """Opens a server that greets each stream with the next of these and then closes it; its address, and what came."""
    left, came = iter(firsts), []

    def handle(stream):
        first, code = next(left)
        if first is not None:
            stream.send(json.dumps(first))
        if first == READY:
            came.extend(message for message in stream if isinstance(message, bytes) or stream.close(code))
        stream.close(code)

    server = serve(handle, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.socket.getsockname()[1]}", came


READY = {"type": "ready"}
TOO_MANY = {"type": "error", "problem": {"status": 429, "type": "urn:emotune:problem:too-many", "detail": "Too many."}}


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_stream_is_opened_again_until_it_is_ready(kind, monkeypatch):
    waits = []

    async def waited(seconds):
        waits.append(seconds)

    monkeypatch.setattr(streams, "time", SimpleNamespace(sleep=waits.append))
    monkeypatch.setattr(streams, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": waited}))

    def listened(url, **options):
        if kind is Client:
            return list(Client(url, **options).listen([noise(400), noise(400)], RATE))

        async def asked():
            return [one async for one in AsyncClient(url, **options).listen([noise(400), noise(400)], RATE)]

        return asyncio.run(asked())

    server, url, came = a_stream_server([(TOO_MANY, 1013), (None, 1013), (READY, 1000)])
    with server:
        assert listened(url) == []
    assert waits == [0.5, 1.0] and [len(block) for block in came] == [1600, 1600]
    server, url, _ = a_stream_server([(TOO_MANY, 1013)])
    with server, pytest.raises(ServerError, match="Too many"):
        listened(url, patience_s=0)
    with pytest.raises(ServerError, match="does not answer"):
        listened(url, patience_s=4)
    assert waits == [0.5, 1.0, 0.5, 1.0, 2.0]


def test_a_stream_that_nobody_reads_any_more_is_closed(client, server):
    wait_until(lambda: server.service.streams == 0)
    events = client.listen(itertools.cycle(blocks()), RATE, vad="none")
    next(events)
    assert server.service.streams == 1
    events.close()
    wait_until(lambda: server.service.streams == 0)


def test_the_command_line_asks_a_server(server, loudness, tmp_path):
    path = write_recording(tmp_path / "a.wav", seconds=2)
    tables = {}
    for name, where in (("here", [loudness]), ("there", ["loudness", "--server", server.url])):
        ended = run_command("predict", *where, path, tmp_path / "none.wav", "-o", tmp_path / f"{name}.csv")
        assert ended.code == 1
        tables[name] = emotune.Predictions.read(tmp_path / f"{name}.csv")
    assert tables["here"].rows[0] == tables["there"].rows[0]
    assert tables["there"].rows[1].error
    for name, where in (("here", [loudness]), ("there", ["loudness", "--server", server.url])):
        ended = run_command("timeline", *where, path, "--vad", "none", "-o", tmp_path / f"{name}.json")
        assert ended.code == 0
    assert (tmp_path / "here.json").read_text() == (tmp_path / "there.json").read_text()
    refused = run_command("predict", "loudness", path, "--server", server.url, "--device", "cpu")
    assert refused.code == 2 and "--device" in refused.err


VALUES = {
    "--vad": "energy",
    "--part-format": "csv",
    "--engine": "ray",
    "--adapt": "auto",
    "--precision": "int8",
    "--retry-errors": None,
}


def options_of_a_command(name: str) -> list[str]:
    parameters = typer.main.get_command(app).commands[name].params
    return [max(one.opts, key=len) for one in parameters if one.param_type_name == "option"]


OF_BOTH = {
    "--output",
    "--split",
    "--column",
    "--channel",
    "--coverage",
    "--server",
    "--spreadsheet-safe",
    "--json",
    "--help",
}
OF_TIMELINES = OF_BOTH | {"--window", "--hop", "--vad", "--summary"}
FOR_HERE = [
    (command, option)
    for command, taken in (("predict", OF_BOTH), ("timeline", OF_TIMELINES))
    for option in options_of_a_command(command)
    if option not in taken
]


@pytest.mark.parametrize(("command", "option"), FOR_HERE)
def test_every_option_for_a_model_here_is_refused_with_a_server(command, option, tmp_path):
    value = VALUES.get(option, "gender=predict" if option == "--condition" else "3")
    words = [option] if value is None else [option, value]
    path = write_recording(tmp_path / "a.wav")
    ended = run_command(command, "m", path, "--server", "http://127.0.0.1:9", *words)
    assert ended.code == 2 and f"{option} is for a model on this machine" in ended.err
