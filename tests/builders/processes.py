"""Several training processes on this machine, as a launcher starts them."""

import os
import socket
from collections.abc import Callable
from typing import Any

import torch


def free_port() -> str:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def launched(count: int, number: int, port: str) -> None:
    """Makes this process one of several, with one thread, before training joins them."""
    os.environ |= {"WORLD_SIZE": str(count), "RANK": str(number), "LOCAL_RANK": str(number)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    torch.set_num_threads(1)


def run_together(target: Callable[..., Any], count: int, *arguments: Any, timeout_s: float = 120) -> None:
    """Runs ``target(count, number, port, *arguments)`` in so many processes, all of which must end well."""
    context, port = torch.multiprocessing.get_context("spawn"), free_port()
    running = [context.Process(target=target, args=(count, number, port, *arguments)) for number in range(count)]
    for process in running:
        process.start()
    for process in running:
        process.join(timeout=timeout_s)
    assert [process.exitcode for process in running] == [0] * count
