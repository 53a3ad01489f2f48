"""`emotune serve`: where it listens, what it says, and how it ends."""

import concurrent.futures
import json
import re
import signal
import socket
import threading
import time

import httpx2 as httpx
import pytest

from builders.recordings import encoded, tone
from builders.served import Process, wait_until
from emotune.server import keys
from emotune.server.serve import is_loopback

LOUD = encoded(tone(seconds=2.0, peak=0.9))
LONG = encoded(tone(seconds=600.0, sampling_rate_hz=2000), 2000)
WAV = {"Content-Type": "audio/wav"}


def test_a_new_key_is_shown_with_the_hash_that_a_file_of_keys_holds(emotune_command):
    said = emotune_command("serve", "--new-key").out
    key, hashed = re.findall(r": +(\S+)", said)
    assert keys.hash_of(key) == hashed


def test_a_port_that_is_taken_is_named_before_any_model_is_loaded(emotune_command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = emotune_command("serve", "no-such-model", "--port", taken.getsockname()[1])
    assert ended.code == 2
    assert "Choose another port" in ended.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--limit", "files"], "NAME=VALUE"),
        (["--limit", "files=many"], "not a number"),
        (["--limit", "file=2"], "Known: files"),
        (["--limit", "files=0"], "files"),
        (["--keys", "no-such-file"], "cannot be read"),
        (["a=mini", "a=mini-emodb"], "Two models"),
        (["no-such-model"], "no folder"),
        (["mini="], "'mini=': expected MODEL or NAME=MODEL"),
        (["=mini"], "'=mini': expected MODEL or NAME=MODEL"),
        (["--origin", "page.example"], "such as https://example.org"),
        (["mini", "--jobs-folder", __file__], "is a file: name a folder"),
    ],
)
def test_what_cannot_be_served_is_one_error(emotune_command, options, words):
    ended = emotune_command("serve", "--port", "0", *options)
    assert ended.code == 2
    assert words in ended.err


def test_addresses_of_this_machine_alone_are_told_from_others():
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org")))


@pytest.mark.load
def test_it_warns_where_everyone_may_ask_and_logs_lines_of_json(loudness, tmp_path):
    with Process(loudness, tmp_path / "log", "--host", "0.0.0.0") as server:
        assert server.said().startswith("warning: whoever reaches 0.0.0.0 may ask")
        httpx.post(f"{server.url}/v1/predict", content=LOUD, headers=WAV, trust_env=False)
        assert server.end(signal.SIGINT) == 0
        lines = server.said().splitlines()[2:]
        assert [json.loads(line)["event"] for line in lines] == ["request", "ending", "ended"]


def asked(url: str, count: int, until: threading.Event, sound: bytes, route: str = "predict") -> list[int | str]:
    """Statuses of requests, one after another until there are enough or something happens."""
    found: list[int | str] = []
    with httpx.Client(trust_env=False, timeout=60) as client:
        while len(found) < count and not until.is_set():
            try:
                found.append(client.post(f"{url}/v1/{route}", content=sound, headers=WAV).status_code)
                if found[-1] == 503:
                    time.sleep(1)  # of the five that it is told
            except httpx.ConnectError:  # it was never taken
                return found
            except httpx.TransportError as error:
                found.append(type(error).__name__)
    return found


@pytest.mark.load
@pytest.mark.parametrize("attempt", range(20))
def test_sigterm_under_load_loses_no_request_that_was_taken(loudness, tmp_path, attempt):
    with Process(loudness, tmp_path / "log") as server:
        never = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            work = [pool.submit(asked, server.url, 10_000, never, LOUD) for _ in range(7)]
            work.append(pool.submit(asked, server.url, 10_000, never, LONG, "timeline?vad=none"))
            wait_until(lambda: server.said().count('"request"') > 20, seconds=60)
            time.sleep(0.01 * attempt)
            code = server.end()
            never.set()
            statuses = [status for one in work for status in one.result()]
        assert code == 0
        assert statuses.count(200) >= 20
        assert set(statuses) <= {200, 503}
        assert "Traceback" not in server.said()
        taken = [json.loads(line) for line in server.said().splitlines()[1:]]
        assert sum(line.get("status") == 200 for line in taken) == statuses.count(200)


@pytest.mark.load
def test_what_is_not_done_in_time_is_given_up_and_the_second_signal_waits_for_nothing(loudness, tmp_path):
    sound = encoded(tone(seconds=14_000.0, sampling_rate_hz=1000), 1000)
    for seconds, signals in ((0.5, 1), (60, 2)):
        limits = ["--limit", f"drain_s={seconds}", "--limit", "seconds=15000"]
        with Process(loudness, tmp_path / "log", *limits) as server, concurrent.futures.ThreadPoolExecutor() as pool:
            work = pool.submit(asked, server.url, 1, threading.Event(), sound, "timeline?vad=none")
            time.sleep(1)
            began = time.monotonic()
            for _ in range(signals):
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.2)
            assert server.process.wait(20) == 0
            assert time.monotonic() - began < 5
            assert work.result() == [503]
            assert "before all was done" in server.said()
            assert "Traceback" not in server.said()


@pytest.mark.load
def test_beyond_its_places_it_refuses_and_recovers(loudness, tmp_path):
    with Process(loudness, tmp_path / "log", "--limit", "requests=8", "--limit", "client_requests=8") as server:
        never = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            work = [pool.submit(asked, server.url, 20, never, LOUD) for _ in range(32)]
            statuses = [status for one in work for status in one.result()]
        assert len(statuses) == 640
        assert set(statuses) == {200, 429}
        assert asked(server.url, 20, never, LOUD) == [200] * 20
        assert server.end() == 0


@pytest.mark.load
def test_memory_stays_flat_over_thousands_of_requests(loudness, tmp_path):
    with Process(loudness, tmp_path / "log") as server:
        never = threading.Event()
        sounds = [encoded(tone(seconds=seconds)) for seconds in (0.5, 3.0, 7.0, 20.0)]

        def some(count: int) -> None:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                work = [pool.submit(asked, server.url, count // 8, never, sounds[n % 4]) for n in range(8)]
                assert all(status == 200 for one in work for status in one.result())

        some(1600)  # until then the allocator fills its pools
        before = server.rss_mb()
        some(3000)
        assert server.rss_mb() / before <= 1.05
        assert server.end() == 0


HANGING = """
import sys, threading
from emotune.server import uploads

def hangs(*arguments):
    threading.Event().wait()

uploads.opened_file = hangs
from emotune.cli import main
sys.argv = ["emotune", *sys.argv[1:]]
main()
"""


@pytest.mark.load
def test_a_decoder_that_hangs_holds_neither_its_client_nor_the_end(loudness, tmp_path):
    limits = ["--limit", "request_s=0.5", "--limit", "drain_s=0.5"]
    with Process(loudness, tmp_path / "log", *limits, program=["-c", HANGING]) as server:
        never = threading.Event()
        assert asked(server.url, 2, never, LOUD) == [503, 503]
        assert server.end(seconds=15) == 0
        assert "a thread did not end" in server.said()
