"""Blocks of a page: read from its Markdown, and run in a reader's folder as a reader would, one after another.

A comment before a block says why it is not run (``not run: ...``), what is put in place of words of it so that it ends
soon (``in small: OLD => NEW``, one a line), or lines that are run before it (``before: ...``), such as for a name that
its sentences speak of. A comment of a page may give one reason for all of its blocks. A block of YAML that begins with
``# NAME.yaml`` is a file of that name.

Python blocks of a page follow one another in one process, behind those of the shell; where they import nothing, they
have the names of the module that the page named last. A page that asks a server at port 8000 has one, in place of the
line that starts it, and one that asks a language model at port 8080 has an endpoint there.
"""

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from builders.chat_endpoint import chat_endpoint
from builders.desk import environment

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n)?(?:^<!-- in small: (?P<small>(?:(?!-->).)+?) -->\n)?"
    r"(?:^<!-- before: (?P<before>(?:(?!-->).)+?) -->\n)?"
    r"^```(?P<kind>sh|bash|python)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
WHOLE_PAGE = re.compile(r"^<!-- snippets not run: (.+?) -->$", re.MULTILINE)
FILE = re.compile(r"^```yaml\n# (?P<name>[\w-]+\.yaml)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`(emotune(?:\.\w+)+)\.\w+`")
SERVED, ASKED = "127.0.0.1:8000", "127.0.0.1:8080"
STARTS = re.compile(r"^emotune (serve(?!.*--(?:new-key|port))[^&#\n]*).*$", re.MULTILINE)
SECONDS = 600
CELLS = Path(__file__).with_name("page_cells.py")


@dataclass(frozen=True)
class Snippet:
    """A block of a page.

    Args:
        kind: ``sh``, ``bash`` or ``python``.
        text: what stands in it.
        reason: why it is not run.
        before: lines that are run before it.
        module: that the page named last before it.
    """

    kind: str
    text: str
    reason: str | None = None
    before: str = ""
    module: str | None = None


def snippets(text: str) -> list[Snippet]:
    """Blocks of shell and Python of a page."""
    whole = WHOLE_PAGE.search(text)
    found = []
    for m in BLOCK.finditer(text):
        named = NAMED.findall(text[: m.start()])
        reason = m["reason"] or (whole and whole.group(1))
        text_run = in_small(m["text"], m["small"] or "")
        found.append(Snippet(m["kind"], text_run, reason, m["before"] or "", named[-1] if named else None))
    return found


def in_small(block: str, changes: str) -> str:
    """A block with words of it replaced, each of which it must have."""
    for change in changes.splitlines():
        old, _, new = change.partition(" => ")
        assert old in block and new, f"no {change!r} in\n{block}"
        block = block.replace(old, new)
    return block


def files_of(text: str) -> dict[str, str]:
    """Names and content of the files that a page shows."""
    return {found["name"]: found["text"] for found in FILE.finditer(text)}


def run_page(blocks: Sequence[Snippet], desk: Path) -> None:
    """Runs the blocks of a page that have no reason against it."""
    wanted = [one for one in blocks if one.reason is None]
    with server_for(wanted, desk) as address, chat_endpoint() as endpoint:
        for one in wanted:
            if one.kind != "python":
                text = f"{one.before}\n{one.text}".replace(SERVED, address or SERVED).replace(ASKED, endpoint)
                text = STARTS.sub("", text) if address else text
                run(["bash", "-euo", "pipefail", "-c", text], desk)
        cells = [asdict(one) for one in wanted if one.kind == "python"]
        if cells:
            told = json.dumps(cells).replace(SERVED, address or SERVED)
            run([sys.executable, str(CELLS)], desk, told)


def run(command: list[str], desk: Path, told: str | None = None) -> None:
    """Runs a program at a desk, which must end well."""
    ended = subprocess.run(
        command,
        cwd=desk,
        env=environment(desk),
        input=told,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert ended.returncode == 0, f"{command[-1]}\n{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}"


@contextlib.contextmanager
def server_for(blocks: Sequence[Snippet], desk: Path) -> Iterator[str | None]:
    """Address of the server that the blocks start or take to be there; None where they ask none."""
    text = "\n".join(one.text for one in blocks)
    if SERVED not in text and not STARTS.search(text):
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = STARTS.search(text)
    words = (started[1] if started else "serve mini").split()
    command = [sys.executable, "-m", "emotune", *words, "--port", str(port)]
    log = (desk / "server.txt").open("wb")
    running = subprocess.Popen(command, cwd=desk, env=environment(desk), stdout=log, stderr=log)
    try:
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            assert running.poll() is None and time.monotonic() < until, (desk / "server.txt").read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(60)
        log.close()
