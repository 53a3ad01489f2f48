"""Notebooks, run cell by cell, as pages with what each cell shows.

    python tools/documentation/notebooks.py NOTEBOOK < /dev/null

prints the cells' outputs as JSON; `run` does that in a process of its own, in a folder that has `examples`.
"""

import ast
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = "docs/tutorials/notebooks"


def outputs(cells: list[str]) -> list[tuple[str, str]]:
    """Text and HTML that each cell shows; as in a notebook, a last expression is shown.

    >>> outputs(["a = 1\\nprint(a)", "a + 1"])
    [('1\\n', ''), ('2\\n', '')]
    """
    names: dict[str, object] = {"__name__": "__main__"}
    found = []
    for source in cells:
        tree = ast.parse(source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        out = io.StringIO()
        shown = None
        with contextlib.redirect_stdout(out):
            exec(compile(tree, "cell", "exec"), names)
            if isinstance(last, ast.Expr):
                shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        html = shown._repr_html_() if hasattr(shown, "_repr_html_") else ""
        text = f"{shown!r}\n" if shown is not None and not html else ""
        found.append((out.getvalue() + text, html))
    return found


def run(notebook: Path, root: Path) -> list[tuple[str, str]]:
    """Runs a notebook and gives what each of its cells of code shows.

    Raises:
        SystemExit: when a cell fails, with what Python says of it.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to(root / "examples")
        environment = {**os.environ, "PYTHONPATH": str(root / "src"), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, str(Path(__file__).resolve()), str(notebook.resolve())]
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{ran.stderr}error: {notebook} fails")
    return json.loads(ran.stdout.splitlines()[-1])


def page_of(notebook: Path, shown: list[tuple[str, str]] | None) -> str:
    """Page of a notebook, with what its cells of code show where that is known."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    said = iter(shown or [("", "")] * len(cells))
    lines = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            lines += [source.replace("](", "](../"), ""]
            continue
        text, html = next(said)
        lines += ["```python", source, "```", ""]
        lines += ["```text", text.rstrip(), "```", ""] if text.strip() else []
        lines += [html, ""] if html else []
    return "\n".join(lines) + f"\n[This notebook]({notebook.name}), to run yourself in a clone of the project.\n"


def write(root: Path, source: Path, *, execute: bool) -> int:
    """Writes the pages of all notebooks beside them, and counts them."""
    notebooks = sorted((root / FOLDER).glob("*.ipynb"))
    for notebook in notebooks:
        page = source / FOLDER.removeprefix("docs/") / f"{notebook.stem}.md"
        page.write_text(page_of(notebook, run(notebook, root) if execute else None), encoding="utf-8")
    return len(notebooks)


if __name__ == "__main__":
    sources = [
        "".join(c["source"]) for c in json.loads(Path(sys.argv[1]).read_text())["cells"] if c["cell_type"] == "code"
    ]
    print(json.dumps(outputs(sources)))
