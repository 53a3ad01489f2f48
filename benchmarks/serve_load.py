"""Clients of `serve.py`: many connections of one process that cost next to no time of their own.

Requests are bytes that were made before; an answer is read up to its stated length. Run in a process of its own, so
that what clients take of the processors is told apart from what the server takes.
"""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import soundfile

RATE = 16000
BLOCK_S = 0.1


@dataclass
class Load:
    """Experience of clients: seconds of each answer, statuses, and requests that were sent and never answered."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    refused: int = 0
    took_s: float = 0.0
    cpu_s: float = 0.0

    def row(self) -> dict[str, Any]:
        good = self.statuses[200]
        quantiles = np.quantile(self.seconds, [0.5, 0.95]).tolist() if self.seconds else [float("nan")] * 2
        return {
            "answered": good,
            "others": {str(status): count for status, count in sorted(self.statuses.items()) if status != 200},
            "lost": self.lost,
            "refused": self.refused,
            "a_second": round(good / self.took_s, 2) if self.took_s else 0.0,
            "p50_ms": round(1000 * quantiles[0], 1),
            "p95_ms": round(1000 * quantiles[1], 1),
            "clients_cpu": round(self.cpu_s / self.took_s, 3) if self.took_s else 0.0,
        }


def clips(count: int, *, shortest_s: float = 2.0, longest_s: float = 6.0, seed: int = 0) -> list[bytes]:
    """WAV files of noise that swells and fades like syllables, of lengths between these."""
    generator = np.random.default_rng(seed)
    found = []
    for length_s in generator.uniform(shortest_s, longest_s, count):
        time_s = np.arange(round(length_s * RATE)) / RATE
        samples = 0.1 * generator.standard_normal(len(time_s)) * (1 + np.sin(2 * np.pi * 4 * time_s))
        stream = io.BytesIO()
        soundfile.write(stream, samples, RATE, format="WAV", subtype="PCM_16")
        found.append(stream.getvalue())
    return found


def loaded(url: str, contents: list[bytes], *, clients: int, **limits: Any) -> Load:
    """Load of so many clients, each asking again as soon as it is answered, from another process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_drive, (url, contents, clients), limits)


def _drive(url: str, contents: list[bytes], clients: int, seconds: float = 3600.0, requests: int = 10**9) -> Load:
    load = Load()
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    asyncio.run(_all(url, contents, clients, began + seconds, requests, load))
    load.took_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    load.cpu_s = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return load


async def _all(url: str, contents: list[bytes], clients: int, until: float, requests: int, load: Load) -> None:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    asked = [_request(target, parts.netloc, content) for content in contents]
    left = [requests]

    async def client(number: int) -> None:
        at = number
        while time.monotonic() < until and left[0] > 0:
            try:
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            except OSError:
                load.refused += 1
                await asyncio.sleep(0.05)
                if load.refused > 20 * clients:
                    return
                continue
            try:
                while time.monotonic() < until and left[0] > 0:
                    left[0] -= 1
                    began = time.monotonic()
                    writer.write(asked[at % len(asked)])
                    at += 1
                    try:
                        await writer.drain()
                        status, closes = await _answer(reader)
                    except (OSError, asyncio.IncompleteReadError):
                        load.lost += 1
                        break
                    load.statuses[status] += 1
                    if status == 200:
                        load.seconds.append(time.monotonic() - began)
                    elif status == 503:  # the server ends
                        return
                    else:
                        await asyncio.sleep(0.05)
                    if closes:
                        break
            finally:
                writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))


def _request(target: str, host: str, content: bytes) -> bytes:
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    body = form + content + b"\r\n--b--\r\n"
    head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status, and whether the server closes the connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
    return status, b"connection: close" in head


def lags(url: str, sound: np.ndarray, *, streams: int) -> tuple[dict[str, list[float]], float]:
    """Seconds from sending the last sample that an event is about to the event, by type; and the clients' CPU."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_listen, (url, sound, streams))


def _listen(url: str, sound: np.ndarray, streams: int) -> tuple[dict[str, list[float]], float]:
    found: dict[str, list[float]] = {"estimate": [], "segment": []}
    began, used = time.monotonic(), time.process_time()
    asyncio.run(_streams(url, sound, streams, found))
    return found, (time.process_time() - used) / (time.monotonic() - began)


async def _streams(url: str, sound: np.ndarray, streams: int, found: dict[str, list[float]]) -> None:
    from websockets.asyncio.client import connect

    content = (sound * 32767).astype("<i2").tobytes()
    step = round(BLOCK_S * RATE) * 2

    async def one(number: int) -> None:
        await asyncio.sleep(number * BLOCK_S * 0.37)  # they do not speak in step
        async with connect(url, max_size=None) as stream:
            json.loads(await stream.recv())
            began = time.monotonic()

            async def speaks() -> None:
                for at in range(0, len(content), step):
                    await asyncio.sleep(max(0.0, began + (at + step) / 2 / RATE - time.monotonic()))
                    await stream.send(content[at : at + step])
                await stream.send('{"type": "end"}')

            speaking = asyncio.ensure_future(speaks())
            ends = len(content) / 2 / RATE
            async for message in stream:
                event = json.loads(message)
                if event["type"] in found and event["end_ms"] / 1000 < ends - 1.0:
                    spoken = began + np.ceil(event["end_ms"] / 1000 / BLOCK_S) * BLOCK_S
                    found[event["type"]].append(time.monotonic() - spoken)
                elif event["type"] == "error":
                    raise RuntimeError(event)
            await speaking

    await asyncio.gather(*(one(number) for number in range(streams)))
