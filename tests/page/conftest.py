"""The page's tools from its lock file, Chromium, and servers of tiny models: what the tests of the page stand on."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from builders.exported import save_exported
from emotune.schema.labels import LabelSpace, Scale

ROOT = Path(__file__).parents[2]
NO_NETWORK = re.compile("ENOTFOUND|EAI_AGAIN|ECONN(REFUSED|RESET)|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT")
ADDRESS = re.compile(r"serving .* at (http://\S+)")


def environment() -> dict[str, str]:
    """Variables for processes: npm never fetches a browser."""
    return os.environ | {"PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1"}


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory) -> Path:
    """Copy of ``page`` with what its lock file names, installed once for all of pytest's processes."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("no node and npm on the path")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "clone/page"
    with FileLock(shared / "clone.lock"):
        if not (folder / "node_modules/.package-lock.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(ROOT / "page", folder, ignore=shutil.ignore_patterns("node_modules"))
            ended = subprocess.run(
                ["npm", "ci"], cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=300
            )
            if NO_NETWORK.search(ended.stderr):
                pytest.skip(f"npm reaches no registry: {ended.stderr.splitlines()[0]}")
            assert ended.returncode == 0, ended.stderr
    return folder


@contextmanager
def running(*arguments: object) -> Iterator[str]:
    """Address of ``emotune serve`` with these arguments, until the block ends."""
    command = [sys.executable, "-m", "emotune", "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        try:
            for line in process.stdout:
                said += line
                if found := ADDRESS.search(line):
                    yield found[1] + "/"
                    return
            pytest.fail(said)
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> list[str]:
    """Two models of loudness: ``plane`` with valence and arousal beside its classes, ``plain`` without."""
    folder = tmp_path_factory.mktemp("served")
    classes = ("anger", "neutral")
    scales = {"valence": Scale(1, 7), "arousal": Scale(1, 7)}
    plane = save_exported(folder / "plane", LabelSpace(classes, scales))
    plain = save_exported(folder / "plain", LabelSpace(classes), temperature=0.5)
    return [f"plane={plane}", f"plain={plain}"]


@pytest.fixture(scope="session")
def server(models) -> Iterator[str]:
    """Address of a server of both models."""
    pytest.importorskip("uvicorn")
    with running(*models) as address:
        yield address


@pytest.fixture
def see(page_folder, server) -> Callable[..., dict[str, Any]]:
    """Plays a scene of browser.mjs; what was seen, once nothing broke the policy, failed or called elsewhere."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on the path")

    def see(scene: str, *arguments: object, at: str = server, **variables: str) -> dict[str, Any]:
        ended = subprocess.run(
            ["node", Path(__file__).parent / "browser.mjs", scene, at, *map(str, arguments)],
            env=environment() | {"PAGE": str(page_folder), "CHROMIUM": chromium} | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert ended.returncode == 0, ended.stderr
        seen = json.loads(ended.stdout)
        assert seen["policy"] == []
        assert seen["faults"] == []
        return seen

    return see
