"""Servers of tiny models, on a port of this machine, in a thread of this process."""

import asyncio
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx2 as httpx
import uvicorn

from builders.exported import save_exported
from emotune.schema.labels import LabelSpace, Scale
from emotune.server.app import create_app
from emotune.server.problems import MEDIA_TYPE, TITLES
from emotune.server.service import Service
from emotune.server.settings import Settings, settings_of

SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})


def loudness_model(folder: Path) -> Path:
    """Model that hears loudness: loud is anger."""
    thresholds = [1 - 0.005 * step for step in range(1, 101)]
    calibration = {"temperature": 1.0, "thresholds": thresholds, "fitted_on": {}}
    model = save_exported(folder / "loudness", SPACE, calibration=calibration)
    (model / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# loudness\n", encoding="utf-8")
    return model


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


def refused(answer: httpx.Response, kind: str) -> dict:
    """Body of an answer that is a problem of this kind, in its one shape."""
    problem = answer.json()
    status, title = TITLES[kind]
    assert (answer.status_code, problem["status"], problem["title"]) == (status, status, title), problem
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert problem["type"] == f"urn:emotune:problem:{kind}"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["detail"].endswith(".")
    return problem


class SlowEngine:
    """Engine that takes its time, for a scheduler that has one already."""

    def __init__(self, engine, seconds: float) -> None:
        self._engine, self.seconds, self.runs = engine, seconds, 0

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    def run(self, waveforms, conditions=()):
        self.runs += 1
        time.sleep(self.seconds)
        return self._engine.run(waveforms, conditions)


def slowed(server: Served, seconds: float) -> SlowEngine:
    """Makes the model of a server slow."""
    scheduler = server.service.models.default.scheduler
    scheduler.engine = SlowEngine(scheduler.engine, seconds)
    return scheduler.engine


def wait_until(is_so, seconds: float = 10.0) -> None:
    """Waits until something is so."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.01)


class Process:
    """Server in a process of its own, as `emotune serve` starts it.

    Args:
        model: that it serves, as ``loudness``.
        options: of the command.
        log: file that gets what it says.
        program: of Python, in place of emotune's command line.
    """

    def __init__(self, model: Path, log: Path, *options: str, program: Sequence[str] = ("-m", "emotune")) -> None:
        self.log = log
        command = [sys.executable, *program, "serve", f"loudness={model}", "--port", "0", *options]
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, stderr=stream, stdout=stream)
        wait_until(lambda: self.process.poll() is not None or "serving" in self.said(), seconds=60)
        assert self.process.poll() is None, self.said()
        self.url = re.findall(r"at (http://\S+)", self.said())[0]
        wait_until(self.is_ready, seconds=30)

    def said(self) -> str:
        """All that it has written."""
        return self.log.read_text(encoding="utf-8")

    def is_ready(self) -> bool:
        """Whether it takes work."""
        try:
            return httpx.get(f"{self.url}/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def rss_mb(self) -> float:
        """Memory that it holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="utf-8").split()[1])
        return pages * resource.getpagesize() / 1e6

    def end(self, number: int = signal.SIGTERM, *, seconds: float = 30) -> int:
        """Sends a signal and gives the exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
