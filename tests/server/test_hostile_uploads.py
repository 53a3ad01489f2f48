"""Broken and hostile uploads: every one gets an answer that is no fault of ours, and takes no memory with it."""

import concurrent.futures
import struct
import subprocess
import sys
from collections import Counter

import httpx2 as httpx
import numpy as np
import pytest

from builders.recordings import encoded, tone
from builders.served import Process, served

CONTAINERS = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64")
HEADS = (
    b"",
    b"RIFF",
    b"fLaC",
    b"OggS",
    b"\x1aE\xdf\xa3",
    b"ID3\x04",
    b"\xff\xfb",
    b"caff",
    b"FORM",
    b"\x00\x00\x00 ftypM4A ",
)
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
WAV = {"Content-Type": "audio/wav"}
LIMITS = {"upload_mb": 1, "seconds": 60, "request_s": 20, "upload_s": 10}


def form(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def part(content: bytes, name: bytes = b'name="file"; filename="a.wav"') -> bytes:
    return b"Content-Disposition: form-data; " + name + b"\r\n\r\n" + content


def mutated(generator: np.random.Generator) -> bytes:
    """A recording with some bytes changed, cut out, doubled, or its end missing."""
    container = str(generator.choice(CONTAINERS))
    rate = int(generator.choice([8000, 16000, 44100]))
    whole = encoded(tone(seconds=float(generator.uniform(0.05, 1.5)), sampling_rate_hz=rate), rate, container=container)
    content = bytearray(whole)
    for _ in range(int(generator.integers(1, 12))):
        near_head = generator.random() < 0.6
        at = int(generator.integers(0, min(len(content), 200) if near_head else len(content)))
        kind = generator.integers(0, 4)
        if kind == 0:
            content[at] = int(generator.integers(0, 256))
        elif kind == 1:
            content[at : at + 4] = struct.pack("<I", int(generator.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**24])))
        elif kind == 2:
            del content[at : at + int(generator.integers(1, 100))]
        else:
            content[at:at] = content[at : at + int(generator.integers(1, 100))]
        if not content:
            break
    return bytes(content[: int(generator.integers(1, len(content) + 1))] if generator.random() < 0.3 else content)


def bombs() -> dict[str, bytes]:
    """Small files that claim or hold very much."""
    wav = encoded(tone(seconds=0.1))
    hours = encoded(np.zeros(8000 * 3600, dtype=np.int16), 8000, container="FLAC", subtype="PCM_16")
    channels = bytearray(wav)
    channels[22:24] = struct.pack("<H", 65535)
    rate = bytearray(wav)
    rate[24:28] = struct.pack("<I", 2**32 - 1)
    size = bytearray(wav)
    size[40:44] = struct.pack("<I", 2**30)
    return {
        "an hour of silence": hours[: 10**6],
        "65535 channels": bytes(channels),
        "4 GHz": bytes(rate),
        "a gigabyte promised": bytes(size),
        "zeros": bytes(200_000),
        "a playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///elsewhere/sound.wav\n",
        "a concat script": b"ffconcat version 1.0\nfile /elsewhere/sound.wav\n",
        "a page": b"<html><script>1 + 1</script></html>",
        "a zip": b"PK\x03\x04" + bytes(100),
    }


def forms(generator: np.random.Generator) -> bytes:
    """Forms that no browser would send."""
    sound = encoded(tone(seconds=0.2))
    kinds = [
        form(),
        form(part(sound))[:-10],
        form(part(sound), part(b"", b'name="file"')),
        form(part(sound, b'name="fil"; filename="a"')),
        form(part(sound, b'name="file"; filename="' + bytes(generator.integers(1, 256, 300, dtype=np.uint8)) + b'"')),
        form(part(sound, b'filename="no name"')),
        form(*[part(b"x")] * 50),
        form(b"X: y\r\n" * 200 + part(sound)),
        form(b"Content-Disposition: " + b"a" * 20_000 + b"\r\n\r\nx"),
        form(b"no header at all"),
        b"--b" + sound,
        b"\r\n" * 1000,
        form(part(bytes(generator.integers(0, 256, 500, dtype=np.uint8)))),
        form(part(sound)).replace(b"\r\n", b"\n"),
        form(part(sound)) + form(part(sound)),
    ]
    return kinds[int(generator.integers(0, len(kinds)))]


def upload(seed: int) -> tuple[str, bytes, dict[str, str]]:
    """Kind, body and headers of the upload of a seed."""
    generator = np.random.default_rng(seed)
    kind = int(generator.integers(0, 5))
    if kind == 0:
        return "form", forms(generator), FORM
    if kind == 1:
        noise = bytes(generator.integers(0, 256, int(generator.integers(0, 5000)), dtype=np.uint8))
        return "noise", HEADS[int(generator.integers(0, len(HEADS)))] + noise, WAV
    if kind == 2:
        content = mutated(generator)
        return "two", form(part(content), part(encoded(tone(seconds=0.2)))), FORM
    return "mutated", mutated(generator), WAV


def query(seed: int) -> str:
    generator = np.random.default_rng([seed, 1])
    route = str(generator.choice(["predict", "timeline"]))
    channel = str(generator.choice(["mix", "each", "0", "7"]))
    form = str(
        generator.choice(["json", "csv", "jsonl"] if route == "predict" else ["json", "rttm", "csv", "vtt", "eaf"])
    )
    return f"/v1/{route}?channel={channel}&format={form}"


def answered(client: httpx.Client, seeds) -> Counter:
    """Statuses by kind of upload; each is no fault, and has its one shape."""
    found: Counter = Counter()
    for seed in seeds:
        kind, content, headers = upload(seed)
        answer = client.post(query(seed), content=content, headers=headers)
        assert answer.status_code in (200, 400, 413, 422), (seed, answer.status_code, answer.text)
        if answer.status_code != 200:
            assert answer.json()["status"] == answer.status_code
        found[kind, answer.status_code] += 1
    return found


def test_broken_uploads_are_answered(loudness):
    with served(f"loudness={loudness}", **LIMITS) as server:
        found = answered(server.client, range(40))
        assert {status for _, status in found} >= {200, 400, 422}
        for name, content in bombs().items():
            for route in ("predict", "timeline"):
                answer = server.client.post(f"/v1/{route}", content=content, headers=WAV)
                assert answer.status_code in (413, 422), (name, answer.text)
                assert "root:" not in answer.text
        assert server.service.admission.taken == server.service.admission.working == 0


@pytest.mark.load
def test_a_thousand_broken_uploads_leave_the_server_as_it_was(loudness, tmp_path):
    with Process(loudness, tmp_path / "log", *[f"--limit={name}={value}" for name, value in LIMITS.items()]) as server:

        def some(seeds) -> Counter:
            with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
                return answered(client, seeds)

        some(range(200))
        before = server.rss_mb()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            found = sum(pool.map(some, [range(start, start + 250) for start in range(1000, 2000, 250)]), Counter())
        assert sum(found.values()) == 1000
        assert server.rss_mb() - before < 60
        assert "Traceback" not in server.said()
        assert server.is_ready()
        assert server.end() == 0


@pytest.mark.load
def test_what_is_made_up_from_the_description_meets_no_fault(loudness, tmp_path):
    pytest.importorskip("schemathesis", reason="makes up requests from OpenAPI")
    options = ["--checks", "not_a_server_error", "--max-examples", "15", "--seed", "7", "--phases", "coverage,fuzzing"]
    with Process(loudness, tmp_path / "log") as server:
        command = [
            "-c",
            "from schemathesis.cli import schemathesis; schemathesis()",
            "run",
            f"{server.url}/openapi.json",
        ]
        ended = subprocess.run(
            [sys.executable, *command, *options], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
        assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
        assert "Traceback" not in server.said()
        assert server.end() == 0
