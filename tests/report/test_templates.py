"""Pages come from templates, are escaped, and need no PyTorch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

import jinja2

import emotune
from emotune.report.template import Markup, render
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import Utterance

SOURCE = Path(emotune.__file__).parent
HTML = re.compile(
    r"<(?:!doctype|/?(?:html|head|body|main|header|footer|section|div|span|p|h[1-6]|ul|ol|li|dl|dt|dd|table|thead|tbody"
    r"|tr|td|th|figure|figcaption|details|summary|small|style|script))\b[^<]*>"
)
HTML_ENDS = re.compile(r"</(?:a|b|i|p|div|span|svg|td|th|tr|li)>")
CLASSES = ("anger", "neutral")
WITHOUT_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "sklearn", "scipy", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
try:
    import torch
except ModuleNotFoundError:
    pass
else:
    sys.exit("torch can be imported")
"""


def strings(path: Path) -> list[str]:
    """All texts of a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
    ]


def has_html(text: str) -> bool:
    return bool(HTML.search(text) or HTML_ENDS.search(text))


@pytest.mark.parametrize("text", ["<p>", '<td class="text">', "</span>", "<!doctype html>", "a <b>c</b>"])
def test_the_check_sees_html(text):
    assert has_html(text)


def test_no_python_string_holds_html():
    found = [
        f"{path.relative_to(SOURCE)}: {text[:60]!r}"
        for path in sorted(SOURCE.rglob("*.py"))
        for text in strings(path)
        if has_html(text)
    ]
    assert found == []


def test_a_name_that_a_template_lacks_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="width"):
        render("svg.html.j2", description="")


def test_what_is_put_in_is_escaped_unless_it_is_a_drawn_figure():
    drawn = render("svg.html.j2", description='"<b>', width=4, height=3, body=Markup("<g/>"))
    assert 'aria-label="&#34;&lt;b&gt;"' in drawn
    assert "<g/>" in drawn
    assert "&lt;g/&gt;" in render("svg.html.j2", description="", width=4, height=3, body="<g/>")


@pytest.fixture
def tables(tmp_path):
    """A manifest and two systems' predictions, one right in two of three clips and one in all."""
    rows = tuple(Utterance(f"u{n:02}", "a.wav", speaker=f"s{n % 6}", emotion=CLASSES[n // 6 % 2]) for n in range(36))
    manifest = Manifest(rows, LabelSpace(CLASSES), tmp_path)
    manifest.write(tmp_path / "truth.csv")
    for name, every in (("poor", 3), ("good", 100)):
        said = []
        for n, row in enumerate(rows):
            right = 0.9 if (n + 1) % every else 0.2
            said.append(
                Prediction(row.utterance_id, {one: right if one == row.emotion else 1 - right for one in CLASSES})
            )
        table = Predictions(tuple(said), LabelSpace(CLASSES), "model", manifest.fingerprint())
        table.write(tmp_path / f"{name}.csv")
    return tmp_path


def without_torch(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_comparison_of_two_tables_writes_its_page_without_torch(tables):
    options = ("--manifest", tables / "truth.csv", "-o", tables / "out", "--resamples", 200)
    program = "from emotune.cli import main; main()"
    found = without_torch(program, "compare", tables / "poor.csv", tables / "good.csv", *options)
    assert found.returncode == 0, found.stderr
    page = (tables / "out" / "compare.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert "36 utterances" in page


def test_an_evaluation_of_a_table_writes_its_page_without_torch(tables):
    program = """
from pathlib import Path
from emotune.evaluation import evaluate
from emotune.report.evaluation_page import write_report
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

folder = Path(sys.argv[1])
found = evaluate(Manifest.read(folder / "truth.csv"), Predictions.read(folder / "good.csv"), resamples=100)
write_report(folder / "out", found, title="good")
"""
    found = without_torch(program, tables)
    assert found.returncode == 0, found.stderr
    assert "Confusion matrix" in (tables / "out" / "report.html").read_text(encoding="utf-8")


def test_all_but_fusion_and_robustness_loads_with_the_extra_alone():
    with_scipy = {"fusion_page", "robustness_page", "robustness_words"}  # as fusing and degrading do
    with_scipy |= {"adversarial_page", "adversarial_words"}  # and attacking
    names = sorted({path.stem for path in (SOURCE / "report").glob("*.py")} - {"__init__", *with_scipy})
    imports = "; ".join(f"import emotune.report.{name}" for name in names)
    found = without_torch(imports)
    assert found.returncode == 0, found.stderr


def test_pages_of_fusion_and_robustness_load_without_torch():
    program = """
sys.meta_path.pop(0)
sys.modules["torch"] = sys.modules["transformers"] = None
import emotune.report.fusion_page, emotune.report.robustness_page
"""
    found = without_torch(program)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_a_missing_library_is_answered_with_the_extra_that_brings_it(tables, missing):
    program = f"""
sys.modules[{missing!r}] = None
from emotune.cli import main
main()
"""
    options = ("--manifest", tables / "truth.csv", "-o", tables / "out")
    found = without_torch(program, "compare", tables / "poor.csv", tables / "good.csv", *options)
    assert found.returncode == 2
    assert f"need {missing}: pip install 'emotune[report]'" in found.stderr
    assert "Traceback" not in found.stderr
