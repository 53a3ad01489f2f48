"""A fault of a recipe is told before anything heavy is loaded."""

import os
import subprocess
import sys

MISSPELT = ["train", "demo/tiny_wavlm", "--dry-run", "data.manifest=m.csv", "train.epoch=1"]


def seconds_of_processor(command: list[str]) -> tuple[float, str]:
    """What a command of its own process takes, and what it says."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as stream:
        said = stream.read()
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0  # it has been waited for
    return used.ru_utime + used.ru_stime, said


def test_a_misspelt_key_is_answered_before_a_model_library_is_loaded():
    """It takes .65 s of processor time on a busy machine; PyTorch would add 1.6 s."""
    runs = [seconds_of_processor([sys.executable, "-m", "emotune", *MISSPELT]) for _ in range(3)]
    assert all("train.epoch: Unknown key 'epoch', did you mean 'epochs'?" in said for _, said in runs)
    assert min(seconds for seconds, _ in runs) < 1.0
