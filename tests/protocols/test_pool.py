"""Processes that train: their share of the cores, and their end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotune.protocols.pool import training_pool

_STARTS_AND_SAYS = """
import os, time
from emotune.protocols.pool import training_pool
if __name__ == "__main__":
    with training_pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def test_every_library_of_a_process_is_told_its_share_of_the_cores(monkeypatch):
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with training_pool(2, cores=4) as pool:
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "2"
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ
    assert not multiprocessing.active_children()


@pytest.mark.load
def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path):
    script = tmp_path / "starts.py"
    script.write_text(_STARTS_AND_SAYS)
    started = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    worker = int(started.stdout.readline())
    started.send_signal(signal.SIGKILL)
    started.wait()
    until = time.monotonic() + 20
    while _is_alive(worker) and time.monotonic() < until:
        time.sleep(0.1)
    assert not _is_alive(worker)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
