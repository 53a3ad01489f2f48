"""Middleware around all routes: request ids, headers of safety, logs, metrics, and faults as problems."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotune.server.logs import TOLD, log
from emotune.server.problems import Problem
from emotune.server.service import ClientGone, Service

ID_HEADER = "X-Request-ID"
_ID = re.compile(r"[\w.:+/=-]{1,128}", re.ASCII)
_CLIENT_CLOSED = 499
"""Status in logs and metrics of a request whose client went away; nobody hears it."""

SAFE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Headers of every answer that does not set them itself."""

_DISCARDED_BYTES, _DISCARDED_S = 64 * 2**20, 5.0
"""Most of a refused upload that is read, so that the client gets to reading why."""


class Wrapped:
    """ASGI middleware of the service; the outermost."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request; all else passes through."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(ID_HEADER, "")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(scope, receive, send, request_id, self._service)
        began = time.monotonic()
        fault: Exception | None = None
        asked = scope
        if scope.get("method") == "HEAD":  # answered as GET is; servers leave out the body
            asked = {**scope, "method": "GET"}
        try:
            await self.app(asked, exchange.receive, exchange.send)
        except ClientGone:
            exchange.status = _CLIENT_CLOSED
        except Exception as error:  # whatever it is, the client gets an answer, and the log its traceback
            fault = error
            if scope["type"] == "http" and exchange.status is None:
                await Problem(
                    "fault", "This is a fault of the server. Its log knows more, by the request's id."
                ).response(request_id)(scope, exchange.receive, exchange.send)
            exchange.status = 500
        finally:
            self._told(
                {**asked, "method": scope.get("method", "WEBSOCKET")},
                exchange.status,
                request_id,
                time.monotonic() - began,
                fault,
            )

    def _told(self, scope: Scope, status: int | None, request_id: str, took_s: float, fault: Exception | None) -> None:
        route = getattr(scope.get("route"), "path", "none")  # not the path, which is the client's
        status = status or _CLIENT_CLOSED
        self._service.metrics.answered(route, status, took_s)
        if fault is None and route in _QUIET and status < 500:
            return
        log(
            "request",
            level=logging.INFO if fault is None else logging.ERROR,
            fault=fault,
            request_id=request_id,
            method=scope["method"],
            route=route,
            status=status,
            took_s=round(took_s, 4),
            **scope["state"].get(TOLD, {}),
        )


_QUIET = ("/health", "/ready", "/metrics")
"""Routes that are asked again and again."""


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str, service: Service) -> None:
        self.status: int | None = None
        self._scope, self._receive, self._send = scope, receive, send
        self._request_id, self._service = request_id, service
        self._is_read = scope["type"] != "http"

    async def receive(self) -> Message:
        """The next message; remembers whether the whole request has come."""
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._is_read = True
        return message

    async def send(self, message: Message) -> None:
        """Sends a message; adds headers to the first."""
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            if message["status"] >= 400 and not self._is_read:
                await self._discard()
            headers = MutableHeaders(scope=message)
            headers[ID_HEADER] = self._request_id
            if self._service.draining.is_set():
                headers["Connection"] = "close"  # another request would find the connection closed
            for name, value in SAFE.items():
                headers.setdefault(name, value)
        elif message["type"] == "websocket.accept":
            self.status = 101
        elif message["type"] == "websocket.close" and self.status is None:
            self.status = 403
        await self._send(message)

    async def _discard(self) -> None:
        """Reads what is left of a refused upload, not without end: else its client would meet a broken connection."""
        if "expect" in Headers(scope=self._scope):  # it has not begun to send
            return
        left = _DISCARDED_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DISCARDED_S):
                while not self._is_read and left > 0:
                    left -= len((await self.receive()).get("body", b""))
