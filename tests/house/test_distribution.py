"""What `make dist` builds, installed into an environment of its own without any extra, is used there."""

import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EVALUATE = """
import sys
import emotune

manifest = emotune.Manifest.read("read.csv")
classes = manifest.label_space.classes
rows = [
    emotune.Prediction(one.utterance_id, probabilities={name: float(name == classes[0]) for name in classes})
    for one in manifest
]
emotune.Predictions(tuple(rows), manifest.label_space).write("predictions.csv")
evaluation = emotune.evaluate(manifest, emotune.Predictions.read("predictions.csv"), resamples=100)
print(len(classes), evaluation.overall["uar"].value, "torch" in sys.modules)
"""


def run(*command: object, folder: Path) -> str:
    """Output of a command that sees nothing of the environment that the tests run in."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the source distribution, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, folder=folder)
    return folder


@pytest.mark.load
def test_the_wheel_reads_and_scores_without_any_extra(built, tmp_path, demo_corpus):
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python, emotune = programs / "python", programs / "emotune"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel, folder=tmp_path)
    installed = run(python, "-m", "pip", "list", "--format=freeze", folder=tmp_path).lower()
    assert "emotune==" in installed
    assert "torch" not in installed
    assert "corpus" in run(emotune, "--help", folder=tmp_path)
    assert "ravdess" in run(emotune, "recipes", folder=tmp_path)
    run(emotune, "corpus", "read", "table", demo_corpus / "labels.csv", "-o", "read.csv", folder=tmp_path)
    classes, uar, torch_there = run(python, "-c", EVALUATE, folder=tmp_path).split()
    assert float(uar) == pytest.approx(1 / int(classes))
    assert torch_there == "False"


@pytest.mark.load
def test_the_source_distribution_has_what_its_own_tests_and_targets_need(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"Makefile", "LICENSE", "constraints.txt", "tests/conftest.py", "tools/lock.py"} <= names
    assert "examples/demo/corpus/labels.csv" in names
