"""A page a command, from what the command line says of itself, with its twin in Python."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages
import typer

from emotune.cli import app

TWINS = "docs/reference/python.md"


def all_commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Names and commands; a group that shows something by itself is one too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield f"{above}{name}", command
            yield from all_commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def twins(text: str) -> dict[str, str]:
    """What the page of calls says of each command, by its name."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return {title.removeprefix("emotune "): body.strip() for title, body in zip(parts[::2], parts[1::2], strict=True)}


def page_of(name: str, command: Any, twin: str) -> str:
    """A command's page.

    Raises:
        SystemExit: for a command or an option without a word about it.
    """
    said = " ".join((command.help or "").split())
    if not said or not twin:
        raise SystemExit(f"error: emotune {name} has no {'twin in ' + TWINS if said else 'help'}")
    context = typer.Context(command, info_name=f"emotune {name}")
    rows = {"arguments": [], "options": []}
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is None or parameter.name in ("install_completion", "show_completion"):
            continue
        shown, about = record
        if not about.strip():
            raise SystemExit(f"error: emotune {name}: nothing is said of {shown}")
        kind = "arguments" if parameter.param_type_name == "argument" else "options"
        rows[kind].append(
            f"| `{shown.replace('|', chr(92) + '|')}` | {' '.join(about.split()).replace('|', chr(92) + '|')} |"
        )
    usage = command.get_usage(context).removeprefix("Usage: ")
    lines = [f"# emotune {name}", "", said, "", "```text", " ".join(usage.split()), "```", ""]
    for kind, own in rows.items():
        if own:
            lines += [f"## {kind.title()}", "", f"| {kind.removesuffix('s')} | meaning |", "|---|---|", *own, ""]
    return "\n".join([*lines, "## From Python", "", twin, ""])


def write(root: Path, folder: Path) -> int:
    """Writes a page for each command and one that lists them all, and counts the commands."""
    folder.mkdir(parents=True)
    text = (root / TWINS).read_text(encoding="utf-8")
    said, source = twins(text), folder.parents[1]
    lines = [
        "# Commands",
        "",
        "`emotune COMMAND --help` says the same. Every command is a function as well.",
        "",
        "| command | what it does |",
        "|---|---|",
    ]
    found = dict(all_commands(typer.main.get_command(app)))
    for name, command in sorted(found.items()):
        page = f"{name.replace(' ', '-')}.md"
        body = page_of(name, command, said.get(name, ""))
        if name == "train":
            body += f"\n## Under a protocol\n\n{said['train protocol=...']}\n"
        body = body.replace("](#", "](python.md#")
        at = f"reference/commands/{page}"
        (folder / page).write_text(pages.relinked(body, TWINS, root, source, at), encoding="utf-8")
        first = command.help.strip().split("\n\n")[0]
        lines.append(f"| [`{name}`]({page}) | {' '.join(first.split())} |")
    (folder / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(found)
