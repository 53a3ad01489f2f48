"""The examples of CONTRIBUTING.md, in a copy of emotune: contract tests take them up, a recipe uses them all."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from builders.recordings import write_recordings

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"^```python\n# (?P<file>[^\s,]+)(?:, (?P<where>[^\n]+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
PARTS = {
    "harbour": ("tests/corpora/test_every_corpus.py",),
    "unispeech": ("tests/models/test_backbones.py", "tests/models/test_models_do_not_depend_on_batch_mates.py"),
    "generalised_mean": ("tests/models/test_every_aggregation.py", "tests/models/test_poolings_agree.py"),
    "hinge": ("tests/losses/test_every_loss.py",),
    "room": ("tests/conditions/test_every_condition.py",),
    "mean_absolute_error": ("tests/metrics/test_every_metric.py",),
}


def place(root: Path, file: str, where: str | None, text: str) -> None:
    """Writes a new file, or its lines at the end of one that is there, or at the beginning of a table in it."""
    path = root / file
    if where is None:
        assert not path.exists(), file
        path.write_text(text)
    elif where == "at the end":
        path.write_text(path.read_text() + text)
    else:
        before = path.read_text()
        name = where.removeprefix("in ")
        table = re.search(rf"^{name}\b[^=\n]*= [^{{]*{{", before, re.MULTILINE)
        assert table is not None, f"{file} has no table {name}"
        path.write_text(before[: table.end()] + "\n" + text + before[table.end() :])


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of emotune and its tests, with all blocks of CONTRIBUTING.md in their places."""
    root = tmp_path_factory.mktemp("tree")
    for folder in ("src", "tests", "docs", "tools"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    blocks = list(BLOCK.finditer((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert len(blocks) == (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").count("```python")
    for block in blocks:
        place(root, block["file"], block["where"], block["text"])
    return root


def run(tree: Path, *arguments: object, folder: Path | None = None) -> str:
    """Output of a module of Python that finds the copy first."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=folder or tree, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-5000:]
    return ended.stdout


@pytest.mark.load
def test_the_contract_tests_take_up_every_example(tree):
    files = [file for files in PARTS.values() for file in files]
    options = ("-v", "-p", "no:cacheprovider", "-p", "no:randomly", "-k", " or ".join([*PARTS, "of_the_table"]))
    documents = [tree / "src/emotune" / file for file in ("metrics/absolute_error.py", "conditions/room.py")]
    said = run(tree, "pytest", *options, *files)
    for name in PARTS:
        assert re.search(rf"\[{name}\b[^\n]*PASSED", said), name
    assert "SKIPPED" not in said
    assert "2 passed" in run(tree, "pytest", "-p", "no:cacheprovider", *documents)
    run(tree, "pytest", "-p", "no:cacheprovider", "tests/config/test_recipe_keys.py")
    assert "loss.hinge.margin: number" in run(tree, "emotune", "explain", "loss.hinge")


@pytest.mark.load
def test_a_recipe_uses_all_examples_together(tree, tiny_wavlm, tmp_path):
    names = [f"{speaker}_{emotion}_1.wav" for speaker in ("ada", "bob", "cleo", "dan") for emotion in ("angry", "sad")]
    places = [f"{('quay', 'hall', 'quay')[number % 3]}/{name}" for number, name in enumerate(names)]
    write_recordings(tmp_path / "harbour", *places, "hall/notes.wav")
    recipe = {
        "name": "examples",
        "data": {"manifest": "split.csv"},
        "model": {
            "backbone": {
                "name": "unispeech",
                "config": {
                    key: value for key, value in tiny_wavlm.items() if "bucket" not in key and "max_" not in key
                },
            },
            "pooling": {"name": "generalised_mean", "power": 2},
            "conditions": {"room": {"size": 4}},
        },
        "loss": {"cross_entropy": {"weight": 0}, "hinge": {"weight": 1, "margin": 0.5}},
        "train": {"epochs": 1},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run(tree, "emotune", "corpus", "read", "harbour", "harbour", "-o", "read.csv", folder=tmp_path)
    run(tree, "emotune", "corpus", "split", "read.csv", "-o", "split.csv", folder=tmp_path)
    run(tree, "emotune", "train", "recipe.yaml", "-o", "run", folder=tmp_path)
    kept = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert kept["loss"]["hinge"]["margin"] == 0.5
    assert kept["model"]["pooling"] == {"name": "generalised_mean", "power": 2.0}
    assert "room (given)" in (tmp_path / "run" / "model" / "README.md").read_text()
    assert "margin" in run(tree, "emotune", "explain", "loss.hinge", folder=tmp_path)


def test_a_package_of_your_own_is_named_by_groups_that_there_are():
    from importlib import import_module

    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tables = {
        "corpus": "emotune.corpora:CORPORA",
        "loss": "emotune.losses:LOSSES",
        "backbone": "emotune.models.backbones:BACKBONES",
        "pooling": "emotune.models.aggregations:POOLINGS",
        "condition": "emotune.conditions:CONDITIONS",
        "layer_mix": "emotune.models.aggregations:LAYER_MIXES",
        "adapter": "emotune.models.adapters:ADAPTERS",
        "join": "emotune.models.conditions:JOINS",
        "view": "emotune.models.views:VIEWS",
        "augmentation": "emotune.data.augmentations:AUGMENTATIONS",
        "attack": "emotune.attacks:ATTACKS",
        "head": "emotune.models.heads:HEADS",
        "metric": "emotune.metrics:METRICS",
        "degradation": "emotune.evaluation.robustness.degradations:DEGRADATIONS",
        "model": "emotune.models.installed:MODELS",
    }
    section = text[text.index("## A package of your own") :]
    assert set(re.findall(r"`(\w+)`", section[: section.index("options")])) == tables.keys()
    for group, table in tables.items():
        module, _, name = table.partition(":")
        assert getattr(import_module(module), name).kind.replace(" ", "_") == group
