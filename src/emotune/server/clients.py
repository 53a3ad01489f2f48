"""Clients: who asks, by key or by address, for fairness and for what is theirs alone."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends
from fastapi.requests import HTTPConnection

from emotune.server.keys import client_of
from emotune.server.problems import Problem
from emotune.server.service import Service


def service_of(connection: HTTPConnection) -> Service:
    """The service that the app was made for."""
    return cast(Service, connection.app.state.service)


def client(connection: HTTPConnection) -> str:
    """Client of a request: the beginning of its key's hash, or its address where no keys are needed.

    Raises:
        Problem: where a key is needed and none that is known is given.
    """
    keys = service_of(connection).settings.keys
    if not keys:
        return connection.client.host if connection.client else "local"
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    name = client_of(key.strip(), keys) if scheme.lower() == "bearer" else None
    if name is None:
        raise Problem(
            "key-needed",
            "This server answers those who have a key: send it as 'Authorization: Bearer KEY'.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    connection.state.told = {**getattr(connection.state, "told", {}), "client": name}
    return name


Client = Annotated[str, Depends(client)]
TheService = Annotated[Service, Depends(service_of)]
