"""Clients: who asks, by key or by address, for fairness and for what is theirs alone."""

from __future__ import annotations

from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import Depends
from fastapi.requests import HTTPConnection

from emotune.server.keys import client_of
from emotune.server.logs import tell
from emotune.server.problems import Problem
from emotune.server.service import Service

KEY_PROTOCOL = "emotune.key"
"""Subprotocol of a WebSocket, which the key follows: pages cannot set headers there. The server accepts with it."""


async def service_of(connection: HTTPConnection) -> Service:
    """The service that the app was made for."""
    return cast(Service, connection.app.state.service)


async def client(connection: HTTPConnection) -> str:
    """Client of a request: the beginning of its key's hash, or its address where no keys are needed.

    Raises:
        Problem: for a page from elsewhere, and where a key is needed and none that is known is given.
    """
    settings = (await service_of(connection)).settings
    _check_origin(connection, settings.origins)
    if not settings.keys:
        return connection.client.host if connection.client else "local"
    name = client_of(_key_of(connection), settings.keys)
    if name is None:
        raise Problem(
            "key-needed",
            "This server answers those who have a key: send it as 'Authorization: Bearer KEY'.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    tell(connection.scope, client=name)
    return name


def _key_of(connection: HTTPConnection) -> str:
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    protocols = [word.strip() for word in connection.headers.get("sec-websocket-protocol", "").split(",")]
    return protocols[1] if len(protocols) == 2 and protocols[0] == KEY_PROTOCOL else ""


def _check_origin(connection: HTTPConnection, origins: tuple[str, ...]) -> None:
    """Refuses pages from elsewhere, which browsers let send forms and open WebSockets without asking."""
    origin = connection.headers.get("origin")
    if origin is None or origin in origins or urlsplit(origin).netloc == connection.headers.get("host"):
        return
    raise Problem("origin-refused", "Pages from elsewhere may not ask this server: emotune serve --origin allows one.")


Client = Annotated[str, Depends(client)]
TheService = Annotated[Service, Depends(service_of)]
