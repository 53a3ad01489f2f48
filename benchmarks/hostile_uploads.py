"""A thousand broken and hostile uploads to `emotune serve`: answers by kind; no fault, no hang, no growth of memory.

    python benchmarks/hostile_uploads.py OUTPUT.json [--model mini] [--count 1000] [--schemathesis 20]

Kinds: recordings with changed, missing or doubled bytes; headers that promise more than there is, or another format;
forms that are cut, nested or without end; names that are paths, control characters or kilobytes; wrong types, methods
and options; bodies that stop half-way; connections that say nothing. With `--schemathesis N`, so many examples of each
operation of the OpenAPI description, too. Ends with 1 where a status was 500, an answer did not come in 30 s, or the
server's memory grew by more than 150 MB.
"""

from __future__ import annotations

import argparse
import io
import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from serve import Server

from emotune.models.folder import find_model_folder

TIMEOUT_S, MOST_GROWTH_MB = 30.0, 150.0
CONTAINERS = {"WAV": "PCM_16", "FLAC": "PCM_16", "OGG": "VORBIS", "AIFF": "PCM_24", "AU": "ULAW", "CAF": "ALAW"}
Draw = np.random.Generator
Request = tuple[bytes, bool]
"""Bytes that are sent, and whether an answer is due."""


def recording(draw: Draw) -> bytes:
    container = str(draw.choice(list(CONTAINERS)))
    rate = int(draw.choice([8000, 16000, 44100]))
    samples = 0.1 * draw.standard_normal((round(rate * draw.uniform(0.05, 2.0)), int(draw.integers(1, 3))))
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=container, subtype=CONTAINERS[container])
    return stream.getvalue()


def form(content: bytes, disposition: bytes = b'form-data; name="file"; filename="a.wav"') -> bytes:
    return b"--b\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + content + b"\r\n--b--\r\n"


def post(
    body: bytes,
    *,
    kind: bytes = b"multipart/form-data; boundary=b",
    path: bytes = b"/v1/predict",
    length: int | None = None,
    method: bytes = b"POST",
    more: bytes = b"",
) -> bytes:
    stated = len(body) if length is None else length
    head = method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: " + kind
    return head + b"\r\nContent-Length: " + str(stated).encode() + b"\r\n" + more + b"\r\n" + body


def mutated(draw: Draw) -> Request:
    content = bytearray(recording(draw))
    for at in draw.integers(0, len(content), draw.integers(1, 40)):
        content[at] = draw.integers(256)
    return post(bytes(content), kind=b"audio/wav"), True


def cut(draw: Draw) -> Request:
    content = recording(draw)
    at = int(draw.integers(0, len(content)))
    spliced = content[:at] if draw.random() < 0.5 else content[:at] + recording(draw)[at // 2 :]
    return post(form(spliced)), True


def lying_header(draw: Draw) -> Request:
    """A WAV whose fields say what is not so: gigabytes, no channels, a rate of four billion."""
    stream = io.BytesIO()
    soundfile.write(stream, 0.1 * draw.standard_normal(8000), 16000, format="WAV")
    content = bytearray(stream.getvalue())
    place, width = [(4, "<I"), (20, "<H"), (22, "<H"), (24, "<I"), (28, "<I"), (32, "<H"), (34, "<H"), (40, "<I")][
        int(draw.integers(8))
    ]
    value = int(draw.choice([0, 1, 2**15, 2**16 - 1, 2**31, 2**32 - 1])) % 2 ** (8 * struct.calcsize(width))
    struct.pack_into(width, content, place, value)
    return post(form(bytes(content))), True


def another_format(draw: Draw) -> Request:
    heads = [
        b"",
        b"RIFF",
        b"fLaC",
        b"OggS",
        b"\x1aE\xdf\xa3",
        b"ID3\x04",
        b"\x00\x00\x00\x20ftypM4A ",
        b"#EXTM3U\nfile:/no/a.wav\n",
    ]
    heads += [b"PK\x03\x04", b"<?xml version='1.0'?>", b"ffconcat version 1.0\nfile /no/a.wav\n", b"#!AMR\n", b"FORM"]
    return post(form(heads[int(draw.integers(len(heads)))] + draw.bytes(int(draw.integers(0, 20000))))), True


def long_silence(draw: Draw) -> Request:
    """Kilobytes that are hours of sound."""
    stream = io.BytesIO()
    hours = int(draw.integers(1, 4))
    soundfile.write(stream, np.zeros(8000 * 3600 * hours // 4, dtype=np.int16), 8000, format="FLAC")
    return post(form(stream.getvalue())), True


def broken_form(draw: Draw) -> Request:
    content = recording(draw)
    whole = form(content)
    bodies = [
        whole[: int(draw.integers(len(whole)))],
        whole.replace(b"--b--", b"--c--"),
        whole.replace(b"\r\n", b"\n"),
        b"--b\r\n" * int(draw.integers(1, 5000)),
        form(content, b"form-data"),
        form(content, b'form-data; name="other"'),
        b"--b\r\n" + b"X: y\r\n" * int(draw.integers(1, 3000)) + b"\r\n" + content,
        form(form(content)),
        b"".join(form(b"x")[:-7] for _ in range(int(draw.integers(1, 200)))),
    ]
    return post(bodies[int(draw.integers(len(bodies)))]), True


def bad_name(draw: Draw) -> Request:
    names = [
        b"../../../../no/a.wav",
        b"a" * int(draw.integers(1000, 100_000)),
        draw.bytes(100),
        b"CON",
        b"\x00.wav",
        b"",
    ]
    names += [
        b"%2e%2e%2fa",
        b"a\r\nX-Injected: 1\r\n",
        "😀\u202e.wav".encode(),
        b'"; name="model"',
        b"=1+1",
    ]
    disposition = b'form-data; name="file"; filename="' + names[int(draw.integers(len(names)))] + b'"'
    return post(form(recording(draw), disposition)), True


def wrong_type(draw: Draw) -> Request:
    kinds = [
        b"text/html",
        b"application/json",
        b"multipart/form-data",
        b"multipart/mixed; boundary=b",
        b"",
        b"a" * 5000,
    ]
    kinds += [
        b"multipart/form-data; boundary=" + b"b" * 500,
        b"audio/",
        b"image/png",
        b"multipart/form-data; boundary=\xff",
    ]
    return post(form(recording(draw)), kind=kinds[int(draw.integers(len(kinds)))]), True


def wrong_option(draw: Draw) -> Request:
    options = [
        b"channel=99",
        b"channel=-1",
        b"coverage=nan",
        b"coverage=1e999",
        b"threshold=x",
        b"format=exe",
        b"model=../mini",
    ]
    options += [
        b"window_s=inf",
        b"hop_s=-5",
        b"model=" + b"m" * 3000,
        b"%ff=%00",
        b"channel=mix&channel=each",
        b"a[]=1",
    ]
    route = [b"/v1/predict", b"/v1/timeline", b"/v1/jobs", b"/v1/nothing", b"/static/../../no/a.wav"][
        int(draw.integers(5))
    ]
    path = route + b"?" + options[int(draw.integers(len(options)))]
    methods = [b"POST", b"POST", b"POST", b"GET", b"DELETE", b"PATCH", b"TRACE"]
    return post(form(recording(draw)), path=path, method=methods[int(draw.integers(7))]), True


def wrong_length(draw: Draw) -> Request:
    """Bodies that are shorter or longer than they say; where they are shorter, the client goes away."""
    body = form(recording(draw))
    factor = float(draw.choice([0.5, 2.0, 1e6]))
    more = b"Content-Encoding: gzip\r\n" if draw.random() < 0.3 else b""
    return post(body, length=round(len(body) * factor), more=more), False


def no_request(draw: Draw) -> Request:
    sent = [
        b"",
        b"\r\n" * 100,
        draw.bytes(2000),
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ]
    sent += [b"POST /v1/predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n"]
    return sent[int(draw.integers(len(sent)))], False


KINDS: dict[str, Callable[[Draw], Request]] = {
    kind.__name__.replace("_", " "): kind
    for kind in (
        mutated,
        cut,
        lying_header,
        another_format,
        long_silence,
        broken_form,
        bad_name,
        wrong_type,
        wrong_option,
        wrong_length,
        no_request,
    )
}


def status_of(port: int, request: Request) -> str:
    """Status of the answer, ``closed`` for a connection without one, ``hang`` where one was due and did not come."""
    content, is_due = request
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        try:
            connection.sendall(content)
            if not is_due:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while len(answer) < 12 and (part := connection.recv(4096)):
                answer += part
        except TimeoutError:
            return "hang"
        except OSError:
            return "closed"
    return answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/") else "closed"


def by_schemathesis(port: int, examples: int) -> Counter[str]:
    """Statuses of examples that schemathesis makes of the server's own description."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings

    found: Counter[str] = Counter()
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
    for result in schema.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def asks(case) -> None:
            found[str(case.call(timeout=TIMEOUT_S).status_code)] += 1

        asks()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--schemathesis", type=int, default=0, metavar="N")
    options = parser.parse_args()
    running = Server("ours", find_model_folder(options.model).folder, upload_s=20, seconds=600)
    found: dict[str, Counter[str]] = {name: Counter() for name in KINDS}
    try:
        good = post(form(recording(np.random.default_rng(1))))
        assert status_of(running.port, (good, True)) == "200"
        for number in range(44):  # what decoders load at first is no growth
            status_of(running.port, list(KINDS.values())[number % len(KINDS)](np.random.default_rng([9, number])))
        before, began = running.rss_mb, time.monotonic()
        for number in range(options.count):
            name = list(KINDS)[number % len(KINDS)]
            found[name][status_of(running.port, KINDS[name](np.random.default_rng([options.seed, number])))] += 1
        if options.schemathesis:
            found["schemathesis"] = by_schemathesis(running.port, options.schemathesis)
        took_s, growth = time.monotonic() - began, running.rss_mb - before
        assert status_of(running.port, (good, True)) == "200", "the server does not answer any more"
    finally:
        status = running.end()
    statuses = sorted({status for row in found.values() for status in row})
    print(f"| kind | {' | '.join(statuses)} |\n|{'---|' * (len(statuses) + 1)}")
    for name, row in found.items():
        print(f"| {name} | {' | '.join(str(row[one] or '') for one in statuses)} |")
    total = sum(found.values(), Counter())
    print(f"\n{sum(total.values())} in {took_s:.0f} s: {total['500']} faults, {total['hang']} hangs;", end=" ")
    print(f"memory {before:.0f} MB, {growth:+.1f} MB afterwards; exit status {status}")
    about = {"faults": total["500"], "hangs": total["hang"], "before_mb": before, "growth_mb": growth, "exit": status}
    options.output.write_text(json.dumps({**about, "kinds": found}, indent=1) + "\n")
    sys.exit(int(bool(total["500"] or total["hang"] or growth > MOST_GROWTH_MB or status)))


if __name__ == "__main__":
    main()
