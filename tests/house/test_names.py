"""Modules and files that the documentation, the settings and the code speak of are there."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tests", "docs", "tools", "benchmarks", "examples", "findings")
SPOKEN_IN = (".py", ".md", ".yaml", ".toml", ".cff", ".sh", ".html", ".importlinter", "Makefile")
MADE_UP = ("CHANGELOG.md", "tests/house/test_names.py", "tests/house/test_registry.py", "tests/house/test_structure.py")
"""What speaks of names that have gone, or that never were."""

PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w\.(?:py|md|sh|png|yaml|json)\b")
DOTTED = re.compile(r"(?<![\w./-])emotune(?:\.[A-Za-z]\w*)+(?::\w+)?")
GROUP = re.compile(
    r"emotune\.(corpus|backbone|pooling|loss|head|metric|condition|layer_mix|adapter|join|view|task|augmentation|degradation|attack|model|checkpoint_format|annotation_engine|tracker)"
    r"(\.options)?"
    r"|emotune\.(classes|dimensions|preprocessing|calibration|licence|card|source|weights)"
)
"""Groups of entry points, and metadata of an exported graph, are named like modules."""


@cache
def is_there(name: str) -> bool:
    """Whether a dotted name is a module of emotune, or a word in one."""
    parts = re.split(r"[.:]", name)
    for count in range(len(parts), 0, -1):
        path = ROOT.joinpath("src", *parts[:count])
        source = next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.exists()), None)
        if source is not None:
            return count == len(parts) or re.search(rf"\b{parts[count]}\b", source.read_text("utf-8")) is not None
    return False


def gone(text: str) -> list[str]:
    """The names in a text that nothing bears."""
    dotted = [name for name in DOTTED.findall(text) if not GROUP.fullmatch(name) and not is_there(name)]
    return dotted + [path for path in PATH.findall(text) if not (ROOT / path).exists()]


def test_every_module_and_file_that_is_spoken_of_is_there():
    pages = [path for path in ROOT.iterdir() if path.is_file()]
    pages += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    found = {}
    for path in pages:
        name = path.relative_to(ROOT).as_posix()
        if path.name.endswith(SPOKEN_IN) and name not in MADE_UP:
            text = path.read_text("utf-8")
            if name == "CONTRIBUTING.md":  # its blocks add files
                text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
            found[name] = gone(text)
    assert len(found) > 500
    assert {name: names for name, names in found.items() if names} == {"tests/e2e/test_whole_way.py": ["emotune.loda"]}


def test_a_name_that_has_gone_is_found():
    text = (
        "`emotune.io.tables.write_rows`, emotune.io.nothing:write, emotune.loss.options, docs/results.md, docs/no.md."
    )
    assert gone(text) == ["emotune.io.nothing:write", "docs/no.md"]
