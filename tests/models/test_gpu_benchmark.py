"""The benchmark of a GPU runs from end to end on a CPU, with a tiny model, and finds what it compares equal."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.load
def test_all_of_it_runs_on_a_cpu_and_what_it_compares_is_equal(tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("matplotlib")
    command = [sys.executable, SCRIPT, tmp_path, "--device", "cpu", "--tiny", "--seconds", "0.01"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert all(difference < 1e-5 for difference in found["differences"].values())
    contenders = {"ours", "transformers, padded batches of 8", "transformers, padded batches of 32"}
    assert found["rates"]["prediction"].keys() == contenders | {"ours, FlexAttention"}
    assert found["rates"]["training"].keys() == contenders
    for rows in found["rates"].values():
        assert all(row["audio_seconds_per_second"] > 0 for row in rows.values())
