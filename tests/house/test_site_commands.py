"""Commands and snippets of the documentation run, in a reader's folder with recordings of real people."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.desk import environment, write_desk

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n)?^```(?P<kind>sh|bash|python)\n(?P<text>.*?)^```$", re.M | re.S
)
WHOLE_PAGE = re.compile(r"^<!-- snippets not run: (.+?) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    """A block of a page; ``reason`` says why it is not run."""

    kind: str
    text: str
    reason: str | None


def snippets(text: str) -> list[Snippet]:
    whole = WHOLE_PAGE.search(text)
    return [Snippet(m["kind"], m["text"], m["reason"] or (whole and whole.group(1))) for m in BLOCK.finditer(text)]


PAGES = {
    path.relative_to(DOCS).as_posix(): snippets(path.read_text(encoding="utf-8")) for path in sorted(DOCS.rglob("*.md"))
}
RUN = [page for page, found in PAGES.items() if any(one.reason is None for one in found)]


@pytest.fixture(scope="module")
def run_of_calls(shared, tmp_path_factory) -> Path:
    """The run that `start/first-training.md` makes, which other pages begin with."""
    desk = tmp_path_factory.mktemp("first") / "desk"
    write_desk(desk, shared)
    commands = [one.text for one in PAGES["start/first-training.md"] if one.kind == "sh" and one.reason is None]
    run(Snippet("sh", commands[0], None), desk)
    return desk / "runs" / "calls"


def run(snippet: Snippet, desk: Path) -> None:
    command = ["bash", "-euo", "pipefail", "-c"] if snippet.kind != "python" else [sys.executable, "-c"]
    ended = subprocess.run(
        [*command, snippet.text],
        cwd=desk,
        env=environment(desk),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, f"{snippet.text}\n{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}"


@pytest.mark.load
@pytest.mark.parametrize("page", RUN)
def test_every_snippet_of_a_page_runs(page, shared, tmp_path, request):
    desk = tmp_path / "desk"
    write_desk(desk, shared)
    own = "\n".join(one.text for one in PAGES[page] if one.reason is None)
    if "runs/calls" in own and "-o runs/calls" not in own:
        (desk / "runs").mkdir()
        (desk / "runs" / "calls").symlink_to(request.getfixturevalue("run_of_calls"))
    for snippet in PAGES[page]:
        if snippet.reason is None:
            run(snippet, desk)


def test_every_block_is_seen_and_what_is_not_run_says_why():
    found = [one for several in PAGES.values() for one in several]
    fenced = sum(len(re.findall(r"^```(?:sh|bash|python)$", (DOCS / page).read_text("utf-8"), re.M)) for page in PAGES)
    assert len(found) == fenced
    assert sum(one.reason is None for one in found) > 20


def test_a_reason_stands_before_its_block_or_for_a_whole_page():
    block = "```sh\nls\n```\n"
    assert [one.reason for one in snippets(f"{block}\n<!-- not run: no cluster -->\n{block}")] == [None, "no cluster"]
    assert [one.reason for one in snippets(f"<!-- snippets not run: no data -->\n\n{block}")] == ["no data"]
