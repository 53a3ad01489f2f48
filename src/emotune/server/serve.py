"""Serving: binds, loads, answers until it is told to end, and finishes what it has taken."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Generator, Iterator, Sequence

import uvicorn

from emotune.errors import ConfigError
from emotune.runtime.listener import Listener
from emotune.server.app import create_app
from emotune.server.logs import log, log_as_json
from emotune.server.service import Service
from emotune.server.settings import Settings

_LARGEST_MESSAGE = 2**20
"""Bytes of a WebSocket's message: half a minute of 16-bit sound at 16 kHz."""

_THREADS_END_S = 5.0
_LAST_WORDS_S = 5
"""Time for answers that are on their way when all work is done."""


def serve(
    models: Sequence[str],
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    listener: Listener | None = None,
) -> None:
    """Serves models until SIGTERM or Ctrl-C, and then finishes what was taken.

    Args:
        models: see ``create_app``.
        settings: limits, keys and so on.
        host, port: address; port 0 = any that is free.
        listener: told where the service is, and what is unwise.

    Raises:
        ConfigError: for an address that cannot be had.
        ModelError: for a model that cannot be loaded.
    """
    listener = listener or Listener()
    if not is_loopback(host) and not settings.keys:
        listener.say(
            f"warning: whoever reaches {host} may ask this server, since it has no keys: see emotune serve --new-key"
        )
    with _bound(host, port) as bound:
        found_host, found_port = bound.getsockname()[:2]
        app = create_app(models, named_on(settings, host, found_host))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws_max_size=_LARGEST_MESSAGE,
            timeout_graceful_shutdown=_LAST_WORDS_S,
        )
        log_as_json()
        shown = f"[{found_host}]" if ":" in found_host else found_host
        service: Service = app.state.service
        listener.say(f"serving {', '.join(service.models)} at http://{shown}:{found_port}")
        asyncio.run(_serve(_Server(config), bound, service))
        _leave_behind(service)


def named_on(settings: Settings, host: str, address: str) -> Settings:
    """Settings that let a server without keys, on this machine alone, be asked by this machine's names alone.

    Args:
        settings: of which only ``hosts`` changes.
        host: as it was given.
        address: that it stands for.
    """
    if settings.keys or not is_loopback(address):
        return settings
    names = dict.fromkeys(("localhost", "127.0.0.1", "::1", host.lower(), address))
    return settings.model_copy(update={"hosts": tuple(names)})


def is_loopback(host: str) -> bool:
    """Tells whether an address is reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at the address, before any model is loaded."""
    bound = None
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or answers wait for full packets
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        if bound is not None:
            bound.close()
        raise ConfigError(
            f"--host {host} --port {port} cannot be had: {error.strerror or error}. Choose another port, or 0 for any."
        ) from error
    with bound:
        yield bound


def _leave_behind(service: Service) -> None:
    """Ends the process where a thread does not: a decoder that hangs in a broken recording must not hold it."""
    until = time.monotonic() + _THREADS_END_S
    while service.has_threads and time.monotonic() < until:
        time.sleep(0.02)
    if service.has_threads:
        log("a thread did not end", level=logging.WARNING)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(0)


class _Server(uvicorn.Server):
    """Server that leaves signals alone: uvicorn would raise them again when all is done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Takes none."""
        yield


async def _serve(server: uvicorn.Server, bound: socket.socket, service: Service) -> None:
    """Runs the server; the first signal lets it finish what it has taken, a second one ends it at once."""
    loop = asyncio.get_running_loop()
    told, hurry = asyncio.Event(), asyncio.Event()

    def end() -> None:
        (hurry if told.is_set() else told).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    running = asyncio.ensure_future(server.serve(sockets=[bound]))
    telling = asyncio.ensure_future(told.wait())
    await asyncio.wait({running, telling}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        log("ending", requests=service.admission.taken, jobs=service.jobs.active, streams=service.streams)
        is_whole = await service.drain(service.settings.limits.drain_s, hurry)
        log("ended" if is_whole else "ended before all was done")
        server.should_exit = True
    telling.cancel()
    await running
