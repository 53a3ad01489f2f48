"""The command itself: killed three times, then continued by two processes at a time."""

import json
import os
import signal
import subprocess
import sys

import pytest
import yaml

pytest.importorskip("optuna", reason="optuna is not installed: pip install 'emotune[sweep]'")

from builders.recipes import write_recipe

pytestmark = pytest.mark.load


def test_no_trial_is_lost_or_doubled_when_a_sweep_is_killed_thrice_and_two_processes_go_on(tones, tmp_path):
    manifest = tmp_path / "manifest.csv"
    tones.write(manifest)
    speakers = sorted({str(item.speaker) for item in tones})
    splits = {"train": speakers[:2], "development": speakers[2:4], "test": speakers[4:]}
    recipe = write_recipe(
        tmp_path / "recipe.yaml",
        manifest,
        train={"epochs": 3, "batch_seconds": 4.0},
        data={"splits": {name: {"speaker": part} for name, part in splits.items()}},
    )
    sweep = {
        "recipe": str(recipe),
        "arms": {"mean": {"set": {"model.pooling": "mean"}}, "std": {"set": {"model.pooling": "std"}}},
        "space": {"train.head_lr": {"low": 1e-4, "high": 1e-2, "log": True}},
        "trials": 4,
        "prune": False,
        "seeds": 2,
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    command = [sys.executable, "-m", "emotune", "sweep", "sweep.yaml", "-o", "out", "--resamples", "100"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = 0
    for _ in range(3):
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
        assert process.stderr is not None
        for line in process.stderr:  # the second trial that it begins is killed in its first or second epoch
            whole += line.startswith(b"epoch ")
            if line.startswith(b"epoch 1:") and whole > 1:
                break
        assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        whole = 0
    both = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    told = json.loads((tmp_path / "out" / "sweep.json").read_text())
    for arm in told["arms"]:
        assert [(trial["number"], trial["state"]) for trial in arm["trials"]] == [(n, "complete") for n in range(4)]
        assert len(arm["fresh_development"]) == 2
        folders = sorted(path.name for path in (tmp_path / "out" / "trials" / arm["name"]).iterdir() if path.is_dir())
        assert folders == ["0000", "0001", "0002", "0003"]
        assert all(trial["epochs"] == 3 for trial in arm["trials"])
