"""Servers of tiny models, on a port of this machine, in a thread of this process."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import uvicorn

from builders.exported import save_exported
from emotune.schema.labels import LabelSpace, Scale
from emotune.server.app import create_app
from emotune.server.service import Service
from emotune.server.settings import Settings, settings_of

SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})


def loudness_model(folder: Path) -> Path:
    """Model that hears loudness: loud is anger."""
    thresholds = [1 - 0.005 * step for step in range(1, 101)]
    calibration = {"temperature": 1.0, "thresholds": thresholds, "fitted_on": {}}
    return save_exported(folder / "loudness", SPACE, calibration=calibration)


class Served(SimpleNamespace):
    """Running server: its ``url``, ``service``, and a ``client`` for it."""

    url: str
    service: Service
    client: httpx.Client


@contextmanager
def served(*models: str | Path, settings: Settings | None = None, **limits: float) -> Iterator[Served]:
    """Serves models until the block ends."""
    app = create_app([str(model) for model in models], settings or settings_of(limits))
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])))
    thread.start()
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            wait_until(lambda: server.started)
            yield Served(url=url, service=app.state.service, client=client)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def wait_until(is_so, seconds: float = 10.0) -> None:
    """Waits until something is so."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.01)
