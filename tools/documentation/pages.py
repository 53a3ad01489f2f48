"""The written pages of the site: those of docs, and what elsewhere in the project belongs to them."""

import os
import posixpath
import re
import shutil
from pathlib import Path

FROM_ELSEWHERE = {
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "packages/emotune-mini/src/emotune_mini/model/README.md": "mini.md",
    "packages/emotune-mini-emodb/src/emotune_mini_emodb/model/README.md": "mini-emodb.md",
}
FINDINGS = {"findings/README.md": "findings.md"}
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)#\s]+)(#[^)\s]*)?\)")
ROW, CODE = re.compile(r"^\|.*$", re.MULTILINE), re.compile(r"`[^`]+`")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def title_of(page: Path) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"error: {page} has no title")
    return found.group(1).replace("`", "")


def place(path: str) -> str:
    """Where a file of the project stands on the site.

    >>> place("docs/start/index.md"), place("benchmarks/README.md"), place("benchmarks/kills.py")
    ('start/index.md', 'benchmarks.md', 'files/benchmarks/kills.py.txt')
    """
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return {**FROM_ELSEWHERE, **FINDINGS}.get(path) or f"files/{path}{'' if path.endswith('.png') else '.txt'}"


def with_plain_pipes(text: str) -> str:
    r"""The text with bare pipes in code in tables: the site shows the backslash there that other readers need.

    >>> print(with_plain_pipes(r"| `--vad a\|b` | one \| two |"))
    | `--vad a|b` | one \| two |
    """
    return ROW.sub(lambda row: CODE.sub(lambda code: code[0].replace("\\|", "|"), row[0]), text)


def relinked(text: str, path: str, root: Path, source: Path, at: str | None = None) -> str:
    """A page whose links lead to where their targets stand on the site; a file of the project that is named is copied.

    Args:
        text: Markdown.
        path: in the project, where its links start from.
        root, source: of the project, and of the site's pages.
        at: where the page stands on the site, if not where ``place`` says.
    """
    here = posixpath.dirname(at or place(path))

    def moved(match: re.Match[str]) -> str:
        shown, target, anchor = match.group(1), match.group(2), match.group(3) or ""
        if re.match(r"[a-z]+:", target):
            return match.group(0)
        of_project = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        on_site = place(of_project)
        if on_site.startswith("files/") and (root / of_project).is_file():
            (source / on_site).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / of_project, source / on_site)
        return f"{shown}({posixpath.relpath(on_site, here or '.')}{anchor})"

    parts, end = [], 0
    for block in FENCED.finditer(text):
        parts += [LINK.sub(moved, with_plain_pipes(text[end : block.start()])), block.group(0)]
        end = block.end()
    return "".join([*parts, LINK.sub(moved, with_plain_pipes(text[end:]))])


def copy(root: Path, source: Path) -> int:
    """Copies all written pages with their pictures and sounds, and counts the pages."""
    shutil.copytree(root / "docs", source)
    names = [path.relative_to(root).as_posix() for path in sorted((root / "docs").rglob("*.md"))]
    for name in [*names, *FROM_ELSEWHERE]:
        text = (root / name).read_text(encoding="utf-8")
        (source / place(name)).write_text(relinked(text, name, root, source), encoding="utf-8")
    return len(names) + len(FROM_ELSEWHERE)


def write_findings(root: Path, page: Path) -> None:
    """The page of findings: its introduction, and each script's own head with the output that was seen."""
    text = relinked(
        (root / "findings" / "README.md").read_text(encoding="utf-8"), "findings/README.md", root, page.parent
    )
    parts = [text.rstrip(), "\n## In the scripts' own words\n"]
    for script in sorted((root / "findings").glob("*.sh")):
        lines = script.read_text(encoding="utf-8").splitlines()[1:]
        head = [
            line.removeprefix("#").removeprefix(" ")
            for line in lines[: next(n for n, line in enumerate(lines) if not line.startswith("#"))]
        ]
        parts.append(f"### {script.name}\n\n```text\n{os.linesep.join(head)}\n```\n")
    page.write_text("\n".join(parts), encoding="utf-8")
