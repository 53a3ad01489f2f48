"""The figures of the structure count what they say."""

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def structure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("structure", ROOT / "tools" / "structure.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["structure"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["structure"]


@pytest.fixture
def tree(tmp_path) -> Path:
    """Three rooms: `top` imports `low`, `low` imports `top` inside a function, `table` names `low` in a string."""
    package = tmp_path / "src" / "emotune"
    for name, text in {
        "__init__.py": '"""A package."""\nfrom emotune import low\n',
        "top.py": "from emotune.low import inner\nimport numpy\n",
        "low/__init__.py": "",
        "low/inner.py": "def late():\n    from emotune import top\n    return top\n",
        "table.py": 'ENTRIES = {"one": "emotune.low.inner:late"}\n',
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    (tmp_path / ".importlinter").write_text(
        "[importlinter:contract:layers]\ntype = layers\nlayers =\n    top\n    low\n"
    )
    return tmp_path


def test_rooms_arrows_circles_and_arrows_upwards_are_counted(structure, tree):
    found = dict(structure.figures(tree))
    assert found["rooms"] == 3
    assert found["arrows between rooms"] == 2
    assert found["arrows by names in strings alone"] == 1
    assert found["circles of rooms"] == 1
    assert found["circles of modules"] == 1
    assert found["arrows not downwards"] == "1, low -> top"
    assert found["rooms outside the layers"] == "table"
    assert found["lines"] == 8
    assert found["lines by room"] == "low 3, emotune 2, top 2, table 1"
    assert found["largest file"] == "3 lines, low/inner.py"
    assert found["median function"] == "3 lines"


def test_an_arrow_within_a_layer_is_not_downwards(structure):
    layers = [{"cli"}, {"models", "losses"}]
    arrows = {("cli", "models"), ("models", "losses"), ("losses", "cli"), ("cli", "elsewhere")}
    assert structure.not_downwards(arrows, layers) == {("models", "losses"), ("losses", "cli")}


def test_copies_are_counted_whatever_stands_between_and_before_their_lines(structure):
    body = [f"value_{number} = {number}" for number in range(7)]
    one = "\n".join(body)
    other = '"""Text."""\nimport os\ndef f():\n' + "\n\n".join(f"    {line}  # a word" for line in body)
    lines = [structure.code_lines(one), structure.code_lines(other.replace("  # a word", ""))]
    assert lines == [body, ["def f():", *body]]
    assert structure.equal_windows(lines) == 2
    assert structure.code_lines("a = 1  # a comment\n# a comment\n") == ["a = 1  # a comment"]
    assert structure.equal_windows([body[:5], body[:5]]) == 0


SOURCE = '''
def shaped(x: Tensor) -> Tensor:
    """Doubles; x has shape (batch,)."""

def unshaped(x: FloatArray, *, mask: "NDArray") -> None:
    """Doubles an array (twice)."""

def _private(x: Tensor): ...

def plain(x: int):
    """Refuses two.

    Raises:
        ValueError: if it is two.
    """
    raise ValueError(x)

def silent():
    """Refuses."""
    if True:
        raise ValueError

def again():
    try: pass
    except ValueError: raise
    def inner(): raise ValueError

class Base:
    """A base."""
    def forward(self, x: Tensor):
        """Maps (batch, frames) to (batch,)."""

class Mean(Base):
    """An average.

    Reference:
        Somebody (2019), Means.
    """
    def forward(self, x: Tensor): return x

class Sum(Base):
    """A sum."""
    def forward(self, x: Tensor): return x
'''


def test_shapes_errors_and_sources_are_counted_where_they_are_due(structure):
    shares = structure.documented({"emotune.losses.one": ast.parse(SOURCE)})
    assert [(share.said, share.due) for share in shares.values()] == [(4, 5), (1, 2), (1, 3)]
    metrics = ast.parse(
        'def uar(t) -> float: "Recall, arXiv 1."\ndef f1(t) -> FloatArray: "F1."\ndef names() -> str: ""'
    )
    assert (
        str(structure.documented({"emotune.metrics.one": metrics})["metrics, losses, models that cite"])
        == "1 of 2 (50%)"
    )
