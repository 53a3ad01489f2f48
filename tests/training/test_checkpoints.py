"""Checkpoints: whole or absent, known by their sums, the newest whole one is found, and nothing in them runs code."""

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch

import emotune.training.loop.checkpoints as checkpoints_module
from emotune.errors import ModelError
from emotune.training.loop.checkpoints import Checkpoint, Checkpoints, State


def checkpoint(value: float, *, best_step: int | None = None, **changes) -> Checkpoint:
    """The one after so many steps of a first epoch of a hundred, or of epochs of as many steps as the best one."""
    weights = {"weight": torch.full((3,), value)}
    parameter = torch.nn.Parameter(torch.full((3,), value))
    optimiser = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimiser.step()
    return Checkpoint({"model": weights}, optimiser.state_dict(), State(**plain_state(int(value), best_step) | changes))


def plain_state(step: int, best_step: int | None = None) -> dict:
    steps_an_epoch = best_step or 100
    rows = [{"epoch": n + 1, "step": (n + 1) * steps_an_epoch, "uar": 0.5} for n in range(step // steps_an_epoch)]
    return {
        "step": step,
        "steps_an_epoch": steps_an_epoch,
        "rows": rows,
        "losses": [0.1] * (step - len(rows) * steps_an_epoch),
        "seconds": 1.0,
        "best_step": best_step,
        "processes": 1,
        "most_samples": [None],
        "batch_seconds": 60.0,
        "accumulate": 1,
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def two_of(folder: Path) -> tuple[Path, Path]:
    """A folder with two whole checkpoints."""
    checkpoints = Checkpoints(folder)
    return checkpoints.save(checkpoint(1.0)), checkpoints.save(checkpoint(2.0))


def test_a_checkpoint_comes_back_as_it_was_and_the_one_before_it_stays(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.newest() == (None, [])
    for value in (3.0, 7.0, 12.0):
        checkpoints.save(checkpoint(value))
    assert names(checkpoints.folder) == ["step-00000007", "step-00000012"]
    newest, said = checkpoints.newest()
    assert said == []
    found, expected = checkpoints.load(newest), checkpoint(12.0)
    assert torch.equal(found.tensors["model"]["weight"], expected.tensors["model"]["weight"])
    assert torch.equal(found.optimiser["state"][0]["exp_avg"], expected.optimiser["state"][0]["exp_avg"])
    assert found.optimiser["param_groups"] == expected.optimiser["param_groups"]
    assert found.state == expected.state


def test_a_run_that_goes_on_from_a_checkpoint_keeps_it_as_the_one_before(tmp_path):
    two_of(tmp_path)
    again = Checkpoints(tmp_path)
    again.load(again.newest()[0])
    again.save(checkpoint(3.0))
    assert names(tmp_path) == ["step-00000002", "step-00000003"]


def test_the_sums_are_those_of_sha256sum(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.keep_best(4, {"weight": torch.ones(2)})
    folder = checkpoints.save(checkpoint(8.0, best_step=4))
    ended = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count(": OK") == 4
    assert "../best-00000004.safetensors: OK" in ended.stdout


DAMAGES = {
    "a cut file": lambda folder: cut(folder / "model.safetensors"),
    "64 zeroed bytes of weights": lambda folder: zero(folder / "model.safetensors"),
    "64 zeroed bytes of the optimiser": lambda folder: zero(folder / "optimiser.pt"),
    "a flipped bit of the state": lambda folder: flip(folder / "state.json"),
    "a missing optimiser": lambda folder: (folder / "optimiser.pt").unlink(),
    "a missing state": lambda folder: (folder / "state.json").unlink(),
    "missing sums": lambda folder: (folder / "SHA256SUMS").unlink(),
    "empty sums": lambda folder: (folder / "SHA256SUMS").write_text(""),
    "broken sums": lambda folder: flip(folder / "SHA256SUMS"),
    "sums without the weights": lambda folder: without_line(folder / "SHA256SUMS", "model.safetensors"),
    "sums of a file elsewhere": lambda folder: (folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../../etc/x\n"),
    "a folder in a file's place": lambda folder: folder_for(folder / "optimiser.pt"),
    "an empty folder": lambda folder: [path.unlink() for path in folder.iterdir()],
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def zero(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-64] + bytes(64))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def without_line(path: Path, word: str) -> None:
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if word not in line))


def folder_for(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_left_out_with_a_word_and_the_one_before_it_taken(tmp_path, damage):
    before, newest = two_of(tmp_path)
    DAMAGES[damage](newest)
    found, said = Checkpoints(tmp_path).newest()
    assert found == before
    assert len(said) == 1 and said[0].startswith("step-00000002 is damaged (") and said[0].endswith("is left out")


@pytest.mark.parametrize("hidden", [".step-00000002.part", ".step-00000002.removed.part"])
def test_a_checkpoint_that_was_not_written_or_removed_to_the_end_is_left_out(tmp_path, hidden):
    before, newest = two_of(tmp_path)
    newest.rename(tmp_path / hidden)
    assert Checkpoints(tmp_path).newest()[0] == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": []}, "step 8 does not go with 0 rows and 0 losses"),
        ({"step": "8"}, "state.json.step: Input should be a valid integer"),
        ({"best_step": 5}, "best_step 5 is that of no epoch"),
        ({"losses": [0.1]}, "does not go with"),
        ({"most_samples": []}, "most_samples has 0 entries for 1 processes"),
        ({"seconds": None}, "state.json.seconds: Input should be a valid number"),
        ({"more": 1}, "state.json.more: Extra inputs are not permitted"),
    ],
)
def test_a_state_that_cannot_be_is_left_out_even_with_its_right_sum(tmp_path, change, message):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.keep_best(4, {"weight": torch.ones(2)})
    folder = checkpoints.save(checkpoint(8.0, best_step=4))
    path, sums = folder / "state.json", folder / "SHA256SUMS"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    sums.write_text(sums.read_text().replace(old, hashlib.sha256(path.read_bytes()).hexdigest()))
    found, said = checkpoints.newest()
    assert found is None
    assert message in said[0]
    assert said[-1] == "no whole checkpoint is left: training begins anew"


def test_the_end_of_an_epoch_is_newer_once_it_is_scored(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    unscored = checkpoints.save(checkpoint(4.0, steps_an_epoch=4))
    assert unscored.name == "step-00000004-unscored"
    row = {"epoch": 1, "step": 4}
    scored = checkpoints.save(checkpoint(4.0, steps_an_epoch=4, rows=[row], losses=[]))
    assert names(tmp_path) == ["step-00000004", "step-00000004-unscored"]
    assert checkpoints.newest()[0] == scored


def test_a_full_disk_is_an_error_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(checkpoint(1.0))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ModelError, match=r"step-00000002 could not be written .*No space left.*continues"):
        checkpoints.save(checkpoint(2.0))
    assert names(tmp_path) == ["step-00000001"]


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(checkpoint(1.0))
    ran = tmp_path / "ran"

    class Bad:
        def __reduce__(self):
            return (open, (str(ran), "w"))

    file = tmp_path / "step-00000001" / "optimiser.pt"
    torch.save({"state": Bad()}, file)
    with pytest.raises(ModelError, match="cannot be read"):
        checkpoints.load(file.parent)
    file.write_bytes(pickle.dumps(Bad()))
    with pytest.raises(ModelError, match="cannot be read"):
        checkpoints.load(file.parent)
    assert not ran.exists()


def test_the_best_weights_stay_as_long_as_a_checkpoint_needs_them(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.keep_best(4, {"weight": torch.full((2,), 4.0)})
    assert torch.equal(checkpoints.best(4)["weight"], torch.full((2,), 4.0))
    checkpoints.save(checkpoint(8.0, best_step=4))
    checkpoints.keep_best(12, {"weight": torch.full((2,), 12.0)})
    better = {"best_step": 12, "steps_an_epoch": 4}
    rows = [{"epoch": n, "step": 4 * n} for n in (1, 2, 3)]
    checkpoints.save(checkpoint(12.0, rows=rows, losses=[], **better))
    assert [name for name in names(tmp_path) if "best" in name] == [
        "best-00000004.safetensors",
        "best-00000012.safetensors",
    ]
    rows.append({"epoch": 4, "step": 16})
    checkpoints.save(checkpoint(16.0, rows=rows, losses=[], **better))
    assert [name for name in names(tmp_path) if "best" in name] == ["best-00000012.safetensors"]
    again = Checkpoints(tmp_path)
    again.load(tmp_path / "step-00000016")
    assert again.best(12)["weight"].tolist() == [12.0, 12.0]


@pytest.mark.parametrize("damage", [cut, zero, Path.unlink])
def test_a_checkpoint_whose_best_weights_are_damaged_is_left_out(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.keep_best(4, {"weight": torch.ones(32)})
    checkpoints.save(checkpoint(8.0, best_step=4))
    best = tmp_path / "best-00000004.safetensors"
    damage(best)
    found, said = checkpoints.newest()
    assert found is None
    assert said[0].startswith("step-00000008 is damaged (../best-00000004.safetensors is not ")
    with pytest.raises(ModelError, match=r"The weights of the best epoch, .* is not .* or trains anew"):
        checkpoints.best(4)


@pytest.mark.load
def test_killed_at_any_moment_of_a_write_there_is_a_whole_checkpoint(tmp_path, monkeypatch):
    """SIGKILL before and after every call that touches the disk, each in a process of its own."""
    moment, outcomes = 0, set()
    while True:
        checkpoints = Checkpoints(tmp_path / str(moment))
        checkpoints.save(checkpoint(1.0))
        child = os.fork()
        if child == 0:
            _die_at(moment, monkeypatch)
            checkpoints.save(checkpoint(2.0))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        newest, _ = checkpoints.newest()
        value = checkpoints.load(newest).tensors["model"]["weight"][0].item()
        assert newest.name == f"step-{int(value):08d}"
        assert not list(checkpoints.folder.glob(".*"))
        if os.WIFEXITED(status):
            break
        outcomes.add(value)
        moment += 1
    assert moment > 20
    assert outcomes == {1.0, 2.0}


def _die_at(moment: int, monkeypatch) -> None:
    """Kill this process at the given one of the moments before and after the calls that touch the disk."""
    reached = 0

    def pass_a_moment() -> None:
        nonlocal reached
        if reached == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        reached += 1

    def watched(function):
        def call(*arguments, **options):
            pass_a_moment()
            value = function(*arguments, **options)
            pass_a_moment()
            return value

        return call

    for place, name in (
        (checkpoints_module, "save_file"),
        (torch, "save"),
        (os, "fsync"),
        (Path, "mkdir"),
        (Path, "write_text"),
        (Path, "rename"),
        (shutil, "rmtree"),
    ):
        monkeypatch.setattr(place, name, watched(getattr(place, name)))
