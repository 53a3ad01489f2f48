"""What is committed of the page is what its sources build."""

import gzip
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src/emotune/server/static"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.load
def test_the_committed_page_is_built_from_its_sources_byte_for_byte(page_folder):
    subprocess.run(["npm", "run", "build"], cwd=page_folder, check=True, capture_output=True)
    built, committed = files_of(page_folder.parent / "src/emotune/server/static"), files_of(STATIC)
    assert built.keys() == committed.keys()
    assert [name for name in built if built[name] != committed[name]] == [], "run npm run build in page/"


def test_the_page_is_small():
    code = [text for name, text in files_of(STATIC).items() if name.endswith((".js", ".css", ".html"))]
    assert sum(len(gzip.compress(text)) for text in code) <= 200_000


def test_the_page_names_no_other_place():
    index = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "://" not in index
    assert "style=" not in index and "<style" not in index and "onload" not in index


def test_the_licences_of_what_is_bundled_lie_beside_it():
    licences = (STATIC / "licences.txt").read_text(encoding="utf-8")
    assert "preact" in licences and "The MIT License" in licences
    assert "wavesurfer.js" in licences and "BSD 3-Clause License" in licences


def test_the_lock_file_names_no_registry():
    lock = (ROOT / "page/package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in lock and "://registry" not in lock
