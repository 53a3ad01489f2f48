"""Route of streams: sound in while it is spoken, estimates or segments out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from emotune.errors import EmotuneError
from emotune.io.tables import to_json
from emotune.server.backlog import Backlog
from emotune.server.cancellation import Cancellation, Cancelled
from emotune.server.clients import PROTOCOL, client, protocols_of, service_of
from emotune.server.hearing import Event, Hearing, held_bytes
from emotune.server.logs import log
from emotune.server.options import StreamOptions
from emotune.server.problems import Problem, check_given_once, option_problem, problem_of
from emotune.server.scheduler import Asker, Priority
from emotune.server.service import Service

router = APIRouter(tags=["streams"])

DONE, REFUSED, FAULT, RESTART, LATER = 1000, 1008, 1011, 1012, 1013
_CODES: Mapping[str, int] = {"ending": RESTART, "too-many": LATER, "no-room": LATER, "fault": FAULT, "model": FAULT}
"""Codes by kind of problem; those of all others say that the client must change something."""

_UNREAD_S = 20.0  # that a client may leave an answer unread
_CLOSE_S = 5.0


@router.websocket("/v1/stream")
async def stream(websocket: WebSocket) -> None:
    """Hears binary messages of sound, and sends events as JSON; ``{"type": "end"}`` asks for the rest."""
    await websocket.accept(PROTOCOL if PROTOCOL in protocols_of(websocket) else None)
    service = await service_of(websocket)
    exchange = _Exchange(websocket)
    try:
        asker = Asker(await client(websocket), Priority.STREAM, exchange.cancellation)
        options = _options(websocket)
        model = service.models.named(options.model)
        with service.stream_place(asker.client):
            predictor = model.predictor_for(asker, coverage=options.coverage, threshold=options.threshold)
            hearing = Hearing(predictor, options, service.settings.limits)
            await exchange.send(
                {"type": "ready", "request_id": exchange.request_id, "model": model.to_json(), **hearing.settings}
            )
            await exchange.run(hearing, Backlog(held_bytes(options), exchange.cancellation), service)
    except (WebSocketDisconnect, Cancelled):
        pass
    except Problem as problem:
        await exchange.refuse(problem)
    except EmotuneError as error:
        await exchange.refuse(problem_of(error))
    except Exception as error:
        log("stream fault", fault=error, request_id=exchange.request_id)
        await exchange.refuse(Problem("fault", "This is a fault of the server. Its log knows more, by the id."))
    else:
        await exchange.close(DONE)
    finally:
        exchange.cancellation.cancel()


class _Exchange:
    """One open stream."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._loop = asyncio.get_running_loop()
        self.request_id: str = websocket.scope["state"]["request_id"]
        self.cancellation = Cancellation()

    async def run(self, hearing: Hearing, backlog: Backlog, service: Service) -> None:
        """Hears until the client has sent all, or the service is about to end: then what has come is answered.

        Raises:
            Problem: for a client that stops sending, sends nonsense or does not read; when the service is to end.
            AudioError: for what is no sound.
            WebSocketDisconnect: when the client went away.
        """
        hears = service.hear(lambda: hearing.run(backlog, self._send_from_thread))
        receives = asyncio.ensure_future(self._receive(backlog, service.settings.limits.stream_idle_s))
        drains = asyncio.ensure_future(service.draining.wait())
        for task in (hears, receives, drains):
            task.add_done_callback(_look_at)
        try:
            await asyncio.wait({hears, receives, drains}, return_when=asyncio.FIRST_COMPLETED)
            if receives.done():
                receives.result()
            backlog.end()
            await hears
            if drains.done() and not receives.done():
                raise Problem("ending", "The server ends. Open the stream again: another server may be there.")
        finally:
            self.cancellation.cancel()
            for task in (receives, drains):
                task.cancel()
            await asyncio.wait({hears})
        await self.send({"type": "done"})

    async def _receive(self, backlog: Backlog, idle_s: float) -> None:
        """Takes the sound until the client says that it was all."""
        while True:
            try:
                message = await asyncio.wait_for(self._websocket.receive(), idle_s)
            except TimeoutError as error:
                raise Problem("stream-idle", f"No sound came for {idle_s:g} s.") from error
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            if (content := message.get("bytes")) is not None:
                if content:
                    await backlog.put(content)
            elif _is_end(message.get("text")):
                return
            else:
                raise Problem("malformed-body", 'A text message that is not {"type": "end"}; sound is sent as bytes.')

    def _send_from_thread(self, event: Event) -> None:
        self.cancellation.check()
        sending = asyncio.run_coroutine_threadsafe(self.send(event), self._loop)
        try:
            sending.result(_UNREAD_S)
        except TimeoutError as error:
            sending.cancel()
            raise Problem("stream-unread", f"An event was not read for {_UNREAD_S:g} s.") from error
        except (WebSocketDisconnect, RuntimeError) as error:  # it went away
            raise Cancelled from error

    async def send(self, event: Event) -> None:
        """Sends an event."""
        await self._websocket.send_text(to_json(event, indent=None))

    async def refuse(self, problem: Problem) -> None:
        """Says why the stream ends, and closes it."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(_CLOSE_S):
                await self.send({"type": "error", "problem": problem.to_json(self.request_id)})
        await self.close(_CODES.get(problem.kind, REFUSED), problem.title)

    async def close(self, code: int, reason: str = "") -> None:
        """Closes the stream, where the client has not."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(_CLOSE_S):
                await self._websocket.close(code, reason)


def _look_at(ended: asyncio.Future[Any]) -> None:
    """Takes note of an error that nobody waits for any more, or the log would call it forgotten."""
    if not ended.cancelled():
        ended.exception()


def _options(websocket: WebSocket) -> StreamOptions:
    check_given_once(websocket.query_params.multi_items())
    given: dict[str, Any] = dict(websocket.query_params)
    try:
        return StreamOptions.model_validate(given)
    except ValidationError as error:
        raise option_problem(error.errors(), "query", known=list(StreamOptions.model_fields)) from error


def _is_end(text: str | None) -> bool:
    return text is not None and "".join(text.split()) == '{"type":"end"}'
