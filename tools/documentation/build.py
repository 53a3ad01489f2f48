"""Builds the documentation's site in runs/docs, without a network; ends with an error at the first fault.

    python tools/documentation/build.py [FOLDER] [--notebooks-as-written]

A fault is a link to a page, a heading or a file that is not there, a page that no index of its section names, a public
name or a command without a word about it, and whatever a page would fetch from elsewhere.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import api
import commands
import keys
import notebooks
import pages
from links import foreign

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SECTIONS = ("start", "tutorials", "how-to", "reference", "explanation")


def navigation(source: Path) -> list[object]:
    """Titles and pages: the order of a section is that of the links in its index.

    Raises:
        SystemExit: for a page that its section's index does not name.
    """
    found: list[object] = [{"emotune": "index.md"}]
    for section in SECTIONS:
        index = source / section / "index.md"
        text = index.read_text(encoding="utf-8")
        named = list(dict.fromkeys(re.findall(r"\]\(([\w./-]+\.md)\)", text)))
        named = [name for name in named if not name.startswith("..")]
        there = {path.relative_to(index.parent).as_posix() for path in index.parent.rglob("*.md")} - {"index.md"}
        deep = {name for name in there if "/" in name and f"{name.partition('/')[0]}/index.md" in there}
        if lost := sorted(there - set(named) - deep):
            raise SystemExit(f"error: docs/{section}/index.md does not name {', '.join(lost)}")
        inner: list[object] = [f"{section}/index.md"]
        for name in named:
            folder = name.partition("/")[0]
            below = sorted(f"{section}/{one}" for one in deep if one.startswith(f"{folder}/") and one != name)
            title = pages.title_of(source / section / name)
            inner.append({title: [f"{section}/{name}", *below]} if name.endswith("/index.md") else f"{section}/{name}")
        found.append({pages.title_of(index): inner})
    return [
        *found,
        {"Results": ["results.md", "mini.md", "mini-emodb.md", "benchmarks.md", "findings.md"]},
        {"Glossary": "glossary.md"},
        {"Project": ["changelog.md", "contributing.md"]},
    ]


def toml(value: object) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{toml(name)} = {toml(own)}' for name, own in value.items())} }}"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("folder", nargs="?", type=Path, default=Path("runs/docs"), help="replaced (%(default)s)")
    options.add_argument(
        "--notebooks-as-written", action="store_true", help="their pages lack what the cells show; takes seconds less"
    )
    given = options.parse_args()
    target = given.folder.resolve()
    source = target / "source"
    if target.is_dir() and any(target.iterdir()) and not (target / "zensical.toml").is_file() and not source.is_dir():
        raise SystemExit(f"error: {target} is not empty and was not written by this program; name another folder")
    shutil.rmtree(target, ignore_errors=True)
    counts = {
        "pages of ours": pages.copy(ROOT, source),
        "commands": commands.write(ROOT, source / "reference" / "commands"),
        "recipe keys": keys.write(source / "reference" / "recipe-keys.md"),
        "public names": api.write(ROOT, source / "reference" / "api"),
        "notebooks": notebooks.write(ROOT, source, execute=not given.notebooks_as_written),
    }
    pages.write_findings(ROOT, source / "findings.md")
    settings = (HERE / "zensical.toml").read_text(encoding="utf-8")
    settings = settings.replace("nav = []", f"nav = {toml(navigation(source))}")
    settings = settings.replace('"theme"', toml(os.path.relpath(HERE / "theme", target)))
    (target / "zensical.toml").write_text(settings, encoding="utf-8")
    zensical = Path(sys.executable).parent / "zensical"
    built = subprocess.run(
        [zensical, "build", "--clean", "--strict"], cwd=target, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise SystemExit(
            re.sub(r"\x1b\[[\d;]*m", "", built.stderr).partition("Traceback")[0] + "error: the site has faults"
        )
    if fetched := foreign(target / "html"):
        raise SystemExit("\n".join(f"error: {page} fetches {what}" for page, what in fetched))
    print(", ".join(f"{count} {name}" for name, count in counts.items()) + f": {target / 'html' / 'index.html'}")


if __name__ == "__main__":
    main()
