"""What `make dist` builds, installed into an environment of its own without any extra, is used there."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from builders.installed import package_with_model
from builders.recordings import write_recording
from emotune.schema.labels import LabelSpace

ROOT = Path(__file__).parents[2]
MEGABYTES, OF_MINI, MEGABYTES_OF_SERVICE = 220, 16, 350
"""Most that `pip install 'emotune[mini]'` may bring to site-packages, as `du -m` counts, and the model's part of it."""
OFFLINE = """
import socket, sys

def refused(*_):
    raise OSError("no network here")

socket.socket.connect = socket.getaddrinfo = refused
sys.argv = ["emotune", *sys.argv[1:]]
from emotune.cli import main
try:
    main()
finally:
    print(*sorted({"torch", "transformers", "huggingface_hub"} & set(sys.modules)), file=sys.stderr)
"""
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
    """A folder with the source distribution and the wheel that was built from it, and those of a model of loudness."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, folder=folder)
    package = package_with_model(folder / "package", "emotune-mini", LabelSpace(("anger", "neutral")))
    run(sys.executable, "-m", "build", "--outdir", folder / "mini", package, folder=folder)
    return folder


@pytest.fixture(scope="module")
def base(built, tmp_path_factory) -> Path:
    """The programs of an environment with emotune and its model, without any other extra."""
    folder = tmp_path_factory.mktemp("base") / "venv"
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    wheels = [*built.glob("*.whl"), *built.glob("mini/*.whl")]
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
    run(*install, *wheels, folder=folder)
    return programs


@pytest.mark.load
def test_the_wheel_reads_and_scores_without_any_extra(base, tmp_path, demo_corpus):
    python, emotune = base / "python", base / "emotune"
    installed = run(python, "-m", "pip", "list", "--format=freeze", folder=tmp_path).lower()
    assert "emotune==" in installed
    assert "torch" not in installed
    assert "corpus" in run(emotune, "--help", folder=tmp_path)
    assert "ravdess" in run(emotune, "recipes", folder=tmp_path)
    run(emotune, "corpus", "read", "table", demo_corpus / "labels.csv", "-o", "read.csv", folder=tmp_path)
    classes, uar, torch_there = run(python, "-c", EVALUATE, folder=tmp_path).split()
    assert float(uar) == pytest.approx(1 / int(classes))
    assert torch_there == "False"
    refused = subprocess.run(
        [emotune, "predict", "no/model", "a.wav"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    page = Path(refused.stderr.splitlines()[-1].removeprefix("more: ").partition(", ")[0])
    assert page.is_relative_to(base.parent) and "`ModelError`" in page.read_text(encoding="utf-8")


@pytest.mark.load
def test_the_model_that_is_installed_beside_it_predicts_without_torch_or_network(base, tmp_path):
    write_recording(tmp_path / "call.wav")
    said = subprocess.run(
        [base / "python", "-I", "-c", OFFLINE, "predict", "mini", "call.wav"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("call.wav: ") and "anger 0." in said.stdout
    assert said.stderr.strip() == ""
    assert "cc-by-nc-sa-4.0" in run(base / "emotune", "models", folder=tmp_path)


@pytest.mark.load
def test_the_base_tier_and_its_model_stay_small(base):
    packages = next(base.parent.glob("[lL]ib*/**/site-packages"))  # lib64 is a link to lib
    tools = ("pip", "setuptools", "pkg_resources", "_distutils_hack")  # of the environment itself
    sizes = {
        own.name: sum(path.stat().st_blocks * 512 for path in (own, *own.rglob("*")) if path.is_file())
        for own in packages.iterdir()
        if not own.name.startswith(tools)
    }
    largest = sorted(sizes.items(), key=lambda pair: -pair[1])[:8]
    assert sum(sizes.values()) <= (MEGABYTES - OF_MINI) * 2**20, largest


@pytest.mark.load
def test_the_service_is_small_and_answers_soon_after_its_start_without_a_network(tmp_path):
    found = tmp_path / "tiers.json"
    run(sys.executable, ROOT / "benchmarks" / "tiers.py", "serve", "--json", found, folder=tmp_path)
    tier = json.loads(found.read_text(encoding="utf-8"))["serve"]
    assert tier["megabytes"] <= MEGABYTES_OF_SERVICE
    assert tier["answer_after_start_s"] <= 10
    assert tier["serving_mb"] <= 300


@pytest.mark.load
def test_no_weights_lie_in_the_distribution_of_the_toolkit(built):
    (wheel,) = built.glob("*.whl")
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = [name.partition("/")[2] for name in file.getnames()]
    assert not [name for name in names if name.startswith("packages/")]
    of_schemas = "tests/golden/model-1/model.safetensors"  # random, 33 kB: a test reads each earlier schema
    found = [*(name for name in names if name != of_schemas), *zipfile.ZipFile(wheel).namelist()]
    assert {Path(name).name for name in found if name.endswith((".onnx", ".safetensors"))} <= {"silero_16k.onnx"}
    (of_model,) = built.glob("mini/*.whl")
    with zipfile.ZipFile(of_model) as file:
        named = file.namelist()
        (metadata,) = (file.read(name).decode() for name in named if name.endswith("/METADATA"))
    assert "License-Expression: CC-BY-NC-SA-4.0 AND MIT" in metadata
    assert {"emotune_mini/model/model.onnx", "emotune_mini/model/config.json"} <= set(named)
    assert any(name.endswith("/LICENSE") for name in named)


@pytest.mark.load
def test_the_source_distribution_has_what_its_own_tests_and_targets_need(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"Makefile", "LICENSE", "constraints.txt", "tests/conftest.py", "tools/lock.py"} <= names
    assert "examples/demo/corpus/labels.csv" in names
