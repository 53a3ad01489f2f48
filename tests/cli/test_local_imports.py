"""What a command imports when it runs is there: a misspelt name would else show only then."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

from emotune import cli

FILES = sorted(Path(cli.__file__).parent.glob("*.py"))


def imported_in_functions(path):
    """Module and name of every ``from emotune... import ...`` inside a function of a file."""
    found = set()
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("emotune"):
                    found |= {(node.module, alias.name) for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_command_imports_when_it_runs_exists(path):
    pytest.importorskip("torch")
    for module, name in imported_in_functions(path):
        if module.endswith("ray_job"):
            pytest.importorskip("ray")
        loaded = importlib.import_module(module)
        assert hasattr(loaded, name) or importlib.util.find_spec(f"{module}.{name}"), f"{module} has no {name}"


def test_local_imports_are_seen():
    assert ("emotune.studies.run", "run") in set().union(*map(imported_in_functions, FILES))


def test_no_module_is_named_in_a_string():
    for path in FILES:
        assert "import_module" not in path.read_text(encoding="utf-8")
