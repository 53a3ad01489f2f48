"""Streams to a server: sound is sent while events come back."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from emotune.audio.decoding import opened_array
from emotune.client.answers import Event, event_of
from emotune.client.failures import AGAIN, Patience
from emotune.client.settings import ClientSettings
from emotune.errors import ConfigError, ServerError

_END = json.dumps({"type": "end"})
_BYTES_AT_ONCE = 2**18
_LATER = (1001, 1012, 1013)
"""Codes with which a stream is closed that may be opened again."""
_OPEN_S = 10.0  # that opening a connection may take
_SAMPLES = "f32le"


def listen(
    settings: ClientSettings, blocks: Iterable[Any], rate: int | None, options: Mapping[str, Any]
) -> Iterator[Event]:
    """Sends blocks from a thread and yields the events; see ``Client.listen``."""
    query, encoded = _ways(rate, options)
    failed: list[Exception] = []

    def sends() -> None:
        try:
            with suppress(ConnectionClosed):  # whoever receives says why
                for block in blocks:
                    for content in encoded(block):
                        stream.send(content)
                stream.send(_END)
        except Exception as error:
            failed.append(error)
            stream.close()

    try:
        with _opened(settings, query) as stream:
            thread = threading.Thread(target=sends, daemon=True)  # blocks may wait for ever
            thread.start()
            for message in stream:
                if (event := event_of(json.loads(message))) is not None:
                    yield event
            _check_whole(stream.close_code)
    except (OSError, WebSocketException) as error:
        if not failed:
            raise _lost(settings, error) from error
    if failed:
        raise failed[0]


async def listen_async(
    settings: ClientSettings, blocks: AsyncIterable[Any] | Iterable[Any], rate: int | None, options: Mapping[str, Any]
) -> AsyncIterator[Event]:
    """Sends blocks from a task and yields the events; see ``AsyncClient.listen``."""
    query, encoded = _ways(rate, options)
    failed: list[Exception] = []
    try:
        async with await _opened_async(settings, query) as stream:

            async def sends() -> None:
                try:
                    with suppress(ConnectionClosed):
                        async for block in _each(blocks):
                            for content in encoded(block):
                                await stream.send(content)
                        await stream.send(_END)
                except Exception as error:
                    failed.append(error)
                    await stream.close()

            sending = asyncio.ensure_future(sends())
            try:
                async for message in stream:
                    if (event := event_of(json.loads(message))) is not None:
                        yield event
                _check_whole(stream.close_code)
            finally:
                sending.cancel()
    except (OSError, WebSocketException) as error:
        if not failed:
            raise _lost(settings, error) from error
    if failed:
        raise failed[0]


class _Opening:
    """Patience with a server until a stream to it is ready; no sound is sent before."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._patience = Patience(settings.patience_s, settings.timeout_s)

    def after(self, message: str | bytes) -> float | None:
        """Seconds to wait before the stream is opened again; None where it is ready.

        Raises:
            EmotuneError: that the server refuses the stream with.
        """
        event = json.loads(message)
        if event.get("type") == "error" and event["problem"].get("status") in AGAIN:
            wait_s = self._patience.next_s()
            if wait_s is not None:
                return wait_s
        event_of(event)
        return None

    def after_error(self, error: Exception) -> float:
        """Seconds to wait before the stream is opened again.

        Raises:
            ServerError: when that would be in vain, or take too long.
        """
        spent_s = _OPEN_S if isinstance(error, TimeoutError) else 0.0
        wait_s = self._patience.next_s(spent_s=spent_s) if _may_pass(error) else None
        if wait_s is None:
            raise _lost(self._settings, error) from error
        return wait_s


def _may_pass(error: Exception) -> bool:
    """Tells a server that is not there yet or busy from one that takes no such streams."""
    if isinstance(error, InvalidStatus):
        return error.response.status_code in AGAIN
    if isinstance(error, ConnectionClosed):
        return error.rcvd is None or error.rcvd.code in _LATER
    return isinstance(error, OSError | InvalidMessage)


def _opened(settings: ClientSettings, query: Mapping[str, Any]) -> ClientConnection:
    opening = _Opening(settings)
    url, headers = settings.stream_url(**query), settings.headers
    while True:
        with ExitStack() as kept:
            try:
                stream = connect(url, additional_headers=headers, max_size=None, open_timeout=_OPEN_S)
                wait_s = opening.after(kept.enter_context(stream).recv())
            except (OSError, WebSocketException) as error:
                wait_s = opening.after_error(error)
            else:
                if wait_s is None:
                    kept.pop_all()
                    return stream
        time.sleep(wait_s)


async def _opened_async(settings: ClientSettings, query: Mapping[str, Any]) -> AsyncConnection:
    opening = _Opening(settings)
    url, headers = settings.stream_url(**query), settings.headers
    while True:
        async with AsyncExitStack() as kept:
            try:
                stream = await connect_async(url, additional_headers=headers, max_size=None, open_timeout=_OPEN_S)
                wait_s = opening.after(await (await kept.enter_async_context(stream)).recv())
            except (OSError, WebSocketException) as error:
                wait_s = opening.after_error(error)
            else:
                if wait_s is None:
                    kept.pop_all()
                    return stream
        await asyncio.sleep(wait_s)


def _ways(rate: int | None, options: Mapping[str, Any]) -> tuple[dict[str, Any], Callable[[Any], Iterator[bytes]]]:
    """Options of the stream, and what makes messages of a block."""
    encoding = options.get("encoding")
    if encoding is not None:
        return {**options, "sampling_rate_hz": rate}, _pieces
    if rate is None:
        raise ConfigError("Samples need their sampling_rate_hz; or say how bytes are encoded, with encoding=.")
    return {**options, "encoding": _SAMPLES, "sampling_rate_hz": rate}, lambda block: _pieces(_mean(block, rate))


def _mean(block: Any, rate: int) -> bytes:
    """Mean of the channels of samples, as 32-bit floats.

    Raises:
        ConfigError: for what is no array.
    """
    samples = np.asarray(block)
    if not samples.ndim:
        raise ConfigError(
            f"A block is of type {type(block).__name__}, expected an array of samples; for bytes say how they are"
            " encoded, with encoding=."
        )
    if not samples.size:
        return b""
    parts = [part.mean(axis=1) for part in opened_array((samples, rate)).blocks_from(0)]
    return np.concatenate(parts).astype("<f4").tobytes()


def _pieces(content: bytes) -> Iterator[bytes]:
    if not isinstance(content, bytes | bytearray | memoryview):
        raise ConfigError(
            f"A block is of type {type(content).__name__}, expected bytes in the encoding; for arrays of samples leave"
            " out encoding=."
        )
    yield from (content[at : at + _BYTES_AT_ONCE] for at in range(0, len(content), _BYTES_AT_ONCE))


async def _each(blocks: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    if isinstance(blocks, AsyncIterable):
        async for block in blocks:
            yield block
        return
    for block in blocks:
        yield block


def _check_whole(code: int | None) -> None:
    if code != 1000:
        raise ServerError(f"The stream ended before its time (code {code}): open it again.")


def _lost(settings: ClientSettings, error: Exception) -> ServerError:
    return ServerError(f"{settings.url} does not answer, or the stream broke ({error}).")
