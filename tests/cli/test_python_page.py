"""docs/reference/python.md names every command, and only calls that exist."""

import importlib
import re
from pathlib import Path

import pytest
import typer

from emotune.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
CALLS = sorted(set(re.findall(r"`(emotune(?:\.\w+)+)`", PAGE)))
LIGHT = ("env", "models", "recipes", "recipes show", "explain", "protocols", "studies")


def commands(group, before=""):
    """Names of all commands; a group that shows something by itself is one too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield f"{before}{name}"
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def test_the_page_names_every_command():
    titles = set(re.findall(r"^## emotune (.*)$", PAGE, re.MULTILINE)) - {"train protocol=..."}
    assert titles == set(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_the_page_names_exists(call):
    module, name = call.rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("command", LIGHT)
def test_light_examples_run(command):
    section = PAGE.partition(f"## emotune {command}\n")[2]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example is not None
    *statements, expression = example.group(1).splitlines()
    names = {}
    exec("\n".join(statements), names)
    assert eval(expression, names)
