"""A prediction from the command line imports what it uses, and is soon there."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from builders.exported import save_exported
from builders.recordings import write_recording
from emotune.schema.labels import LabelSpace

PEAK_MEGABYTES = 150
TIMES_THE_LIBRARIES = 2.8
LIBRARIES = "import numpy, onnxruntime, pydantic, rich.console, soundfile, soxr, typer"
"""What a prediction cannot do without, at module level."""

OF_PREDICTION = {
    *("numpy", "onnxruntime", "soundfile", "soxr"),  # what predicts
    *("typer", "shellingham", "annotated_doc", "pydantic", "pydantic_core", "annotated_types"),  # what reads options,
    *("typing_inspection", "typing_extensions", "rich"),  # and what prints
    *("_cffi_backend", "_soundfile", "_soundfile_data", "emotune"),
}
OF_ITSELF = {
    *("inputs", "items", "loading", "predict_files", "predictor", "conditioner", "engine", "engines", "onnx_engine"),
    "adaptation",  # asked whether the folder is an adapted model
    "long_clips",  # warns of what is longer than clips of the training
}
"""Modules of the room ``inference``: what tables, parts, workers and other engines need is left alone."""

IMPORTED = """
import sys
before = set(sys.modules)
from emotune.cli import main
sys.argv = ["emotune", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sorted(name for name in set(sys.modules) - before), file=sys.stderr)
"""
SPENT = """
import re, time
status = open("/proc/self/status").read()  # of this program alone; what the system counts begins with its parent
print(time.process_time(), int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) * 1024 / 1e6)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with an exported ``model`` and ``one.wav``."""
    made = tmp_path_factory.mktemp("cold")
    save_exported(made / "model", LabelSpace(("anger", "neutral")))
    write_recording(made / "one.wav")
    return made


def imported(folder: Path, *arguments: str) -> set[str]:
    """Modules that a command imports."""
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return set(ended.stderr.splitlines()[-1].split())


def foreign(modules: set[str]) -> set[str]:
    """Packages among modules that do not come with Python, nor from how this environment was installed."""
    top = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)
    return {name for name in top if not re.match(r"__editable__|_sysconfigdata|[0-9a-f]{20}__mypyc", name)}


def spent(folder: Path, program: str, *arguments: str) -> tuple[float, float]:
    """Processor seconds and peak megabytes of a program that runs with one thread."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program + SPENT, *arguments]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    seconds, megabytes = ended.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def test_a_prediction_imports_nothing_that_it_does_not_use(folder):
    modules = imported(folder, "predict", "model", "one.wav")
    assert foreign(modules) <= OF_PREDICTION
    assert {"numpy", "onnxruntime", "soundfile", "typer"} <= modules
    assert {name.split(".")[2] for name in modules if name.startswith("emotune.inference.")} == OF_ITSELF


def test_the_help_imports_no_arrays(folder):
    assert foreign(imported(folder, "--help")) <= OF_PREDICTION - {"numpy", "onnxruntime", "soundfile", "soxr"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a program's peak memory is read from /proc")
def test_a_prediction_costs_little_more_than_the_libraries_that_it_needs(folder):
    turns = [(spent(folder, LIBRARIES), spent(folder, IMPORTED, "predict", "model", "one.wav")) for _ in range(4)]
    bare, runs = [one for one, _ in turns], [one for _, one in turns]  # in turn: a busy moment meets both
    assert min(seconds for seconds, _ in runs) <= TIMES_THE_LIBRARIES * min(seconds for seconds, _ in bare)
    assert max(megabytes for _, megabytes in runs) <= PEAK_MEGABYTES


@pytest.mark.load
def test_the_budgets_of_a_cold_start_are_kept(tmp_path):
    pytest.importorskip("torch")
    path = Path(__file__).parents[2] / "tools" / "cold_start.py"
    spec = importlib.util.spec_from_file_location("cold_start", path)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name, seconds, budget in tool.budgets(str(tmp_path), 4):
        assert seconds <= budget, name
