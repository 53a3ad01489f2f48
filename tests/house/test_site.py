"""The documentation's site: built strictly, every page found from its section, nothing fetched from elsewhere."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools" / "documentation"
GENERATED = ("reference/commands/", "reference/api/", "reference/recipe-keys.md", "tutorials/notebooks/")
LINK = re.compile(r"\]\(([^)#\s:]+\.md)(?:#[^)]*)?\)")
NEEDS_DOCS = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("zensical", "griffe")), reason="the extra docs is not installed"
)


def test_every_page_is_named_by_the_index_of_its_section_and_every_link_has_a_page():
    docs = ROOT / "docs"
    for index in docs.glob("*/index.md"):
        named = set(LINK.findall(index.read_text("utf-8")))
        assert {path.name for path in index.parent.glob("*.md")} - {"index.md"} <= named, index.parent.name
    for page in docs.rglob("*.md"):
        for target in LINK.findall(page.read_text("utf-8")):
            place = (page.parent / target).resolve()
            generated = place.is_relative_to(docs) and place.relative_to(docs).as_posix().startswith(GENERATED)
            elsewhere = place == docs / "findings.md" or place.name in (
                "benchmarks.md",
                "contributing.md",
                "changelog.md",
            )
            assert place.exists() or generated or elsewhere, f"{page}: {target}"


@NEEDS_DOCS
def test_the_site_is_not_built_into_a_folder_of_others_and_help_builds_nothing(tmp_path):
    (tmp_path / "mine.txt").write_text("kept", encoding="utf-8")
    build = [sys.executable, TOOLS / "build.py"]
    ended = subprocess.run([*build, tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode != 0 and "name another folder" in ended.stderr
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "kept"
    asked = subprocess.run([*build, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert asked.returncode == 0 and "--notebooks-as-written" in asked.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.load
@NEEDS_DOCS
def test_the_site_is_built_strictly_and_a_broken_link_is_an_error(tmp_path):
    build = [sys.executable, TOOLS / "build.py", tmp_path / "site"]
    ended = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
    html = tmp_path / "site" / "html"
    assert "emotune predict" in (html / "reference" / "commands" / "predict.html").read_text("utf-8")
    commands = [page.read_text("utf-8") for page in (html / "reference" / "commands").glob("*.html")]
    assert any("silero|energy|none" in page for page in commands) and not any("\\|" in page for page in commands)
    assert "search.js" in {path.name for path in html.iterdir()}
    assert "train.encoder_lr" in (html / "reference" / "recipe-keys.html").read_text("utf-8")
    source = tmp_path / "site" / "source" / "start" / "index.md"
    source.write_text(f"{source.read_text('utf-8')}\n[gone](gone.md)\n", encoding="utf-8")
    again = subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--clean", "--strict"],
        cwd=tmp_path / "site",
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode != 0 and "page does not exist" in again.stderr
