"""Clients: who asks, by key or by address, for fairness and for what is theirs alone."""

from __future__ import annotations

import base64
from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import Depends
from fastapi.requests import HTTPConnection

from emotune.server.keys import client_of
from emotune.server.logs import tell
from emotune.server.problems import Problem
from emotune.server.service import Service

PROTOCOL = "emotune"
"""Subprotocol of a WebSocket; a key may stand beside it, since pages cannot set headers there."""
_KEY_PROTOCOL = "bearer."


async def service_of(connection: HTTPConnection) -> Service:
    """The service that the app was made for."""
    return cast(Service, connection.app.state.service)


async def client(connection: HTTPConnection) -> str:
    """Client of a request: the beginning of its key's hash, or its address where no keys are needed.

    Raises:
        Problem: for a page from elsewhere, for a name that is not the server's, and where a key is needed and none that
            is known is given.
    """
    settings = (await service_of(connection)).settings
    _check_host(connection, settings.hosts)
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
    given = next((word for word in protocols_of(connection) if word.startswith(_KEY_PROTOCOL)), "")
    return _decoded(given.removeprefix(_KEY_PROTOCOL))


def protocols_of(connection: HTTPConnection) -> list[str]:
    """Subprotocols that a WebSocket offers."""
    return [word.strip() for word in connection.headers.get("sec-websocket-protocol", "").split(",")]


def _decoded(text: str) -> str:
    """Text of base64 for addresses, without padding; nothing for what is none."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return ""


def _check_host(connection: HTTPConnection, hosts: tuple[str, ...]) -> None:
    """Refuses other names, by which a page from elsewhere could reach this machine as if it were its own server."""
    try:
        name = urlsplit(f"//{connection.headers.get('host', '')}").hostname
    except ValueError:
        name = None
    if hosts and name not in hosts:
        raise Problem("host-refused", f"This server is asked as {', '.join(hosts)}. By other names it needs --keys.")


def _check_origin(connection: HTTPConnection, origins: tuple[str, ...]) -> None:
    """Refuses pages from elsewhere, which browsers let send forms and open WebSockets without asking."""
    origin = connection.headers.get("origin")
    if origin is None or origin in origins or urlsplit(origin).netloc == connection.headers.get("host"):
        return
    raise Problem("origin-refused", "Pages from elsewhere may not ask this server: emotune serve --origin allows one.")


Client = Annotated[str, Depends(client)]
TheService = Annotated[Service, Depends(service_of)]
