"""Checkpoints: whole or absent, the newest whole one is found, and nothing in them runs code."""

import os
import pickle
import shutil
import signal
from pathlib import Path

import pytest
import torch

import emotune.training.checkpoints as checkpoints_module
from emotune.errors import ModelError
from emotune.training.checkpoints import Checkpoint, Checkpoints, load


def checkpoint(value: float) -> Checkpoint:
    weights = {"weight": torch.full((3,), value)}
    parameter = torch.nn.Parameter(torch.full((3,), value))
    optimiser = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimiser.step()
    return Checkpoint({"model": weights}, optimiser.state_dict(), {"step": int(value), "rows": []})


def test_a_checkpoint_comes_back_as_it_was_and_replaces_the_one_before(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.newest() == (None, [])
    for value in (3.0, 12.0):
        checkpoints.save(int(value), checkpoint(value))
    assert [path.name for path in sorted(checkpoints.folder.iterdir())] == ["step-00000012"]
    newest, said = checkpoints.newest()
    assert said == []
    found, expected = load(newest), checkpoint(12.0)
    assert torch.equal(found.tensors["model"]["weight"], expected.tensors["model"]["weight"])
    assert torch.equal(found.optimiser["state"][0]["exp_avg"], expected.optimiser["state"][0]["exp_avg"])
    assert found.optimiser["param_groups"] == expected.optimiser["param_groups"]
    assert found.state["step"] == 12


@pytest.mark.parametrize("broken", ["cut", "missing", "no state", "unnamed state", "half written", "half removed"])
def test_an_incomplete_checkpoint_is_left_out_with_a_word(tmp_path, broken):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, checkpoint(1.0))
    (tmp_path / "step-00000001").rename(tmp_path / "kept")
    checkpoints.save(2, checkpoint(2.0))
    (tmp_path / "kept").rename(tmp_path / "step-00000001")
    newest = tmp_path / "step-00000002"
    if broken == "cut":
        content = (newest / "model.safetensors").read_bytes()
        (newest / "model.safetensors").write_bytes(content[:-4])
    elif broken == "missing":
        (newest / "optimiser.pt").unlink()
    elif broken == "no state":
        (newest / "state.json").unlink()
    elif broken == "unnamed state":
        (newest / "state.json").write_text("{}")
    else:
        newest.rename(tmp_path / {"half written": ".step-00000002.part"}.get(broken, ".step-00000002.removed.part"))
    found, said = checkpoints.newest()
    assert found == tmp_path / "step-00000001"
    assert len(said) == 1 and said[0].startswith("step-00000002") and said[0].endswith("is left out")
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_an_error_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, checkpoint(1.0))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ModelError, match=r"step-00000002 could not be written .*No space left.*continues"):
        checkpoints.save(2, checkpoint(2.0))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, checkpoint(1.0))
    ran = tmp_path / "ran"

    class Bad:
        def __reduce__(self):
            return (open, (str(ran), "w"))

    file = tmp_path / "step-00000001" / "optimiser.pt"
    torch.save({"state": Bad()}, file)
    with pytest.raises(ModelError, match="cannot be read"):
        load(file.parent)
    file.write_bytes(pickle.dumps(Bad()))
    with pytest.raises(ModelError, match="cannot be read"):
        load(file.parent)
    assert not ran.exists()


def test_the_best_weights_stay_until_others_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (4, 8):
        checkpoints.keep_best(step, {"weight": torch.full((2,), float(step))})
    assert torch.equal(checkpoints.best(4)["weight"], torch.full((2,), 4.0))
    checkpoints.save(8, checkpoint(8.0), best_step=8)
    assert checkpoints.newest() == (tmp_path / "step-00000008", [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best-00000008.safetensors", "step-00000008"]
    assert checkpoints.best(8)["weight"].tolist() == [8.0, 8.0]


def test_a_checkpoint_whose_best_weights_were_cut_or_lost_is_left_out(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.keep_best(4, {"weight": torch.ones(2)})
    checkpoints.save(8, checkpoint(8.0), best_step=4)
    best = tmp_path / "best-00000004.safetensors"
    content = best.read_bytes()
    best.write_bytes(content[:-1])
    assert checkpoints.newest() == (
        None,
        ["step-00000008 is incomplete (../best-00000004.safetensors has not its size) and is left out"],
    )
    best.write_bytes(bytes(len(content)))
    assert checkpoints.newest() == (tmp_path / "step-00000008", [])
    with pytest.raises(ModelError, match=r"weights of the best epoch, .* cannot be read .*Remove .* trains anew"):
        checkpoints.best(4)


def test_killed_at_any_moment_of_a_write_there_is_a_whole_checkpoint(tmp_path, monkeypatch):
    """SIGKILL before and after every call that touches the disk, each in a process of its own."""
    moment, outcomes = 0, set()
    while True:
        checkpoints = Checkpoints(tmp_path / str(moment))
        checkpoints.save(1, checkpoint(1.0))
        child = os.fork()
        if child == 0:
            _die_at(moment, monkeypatch)
            checkpoints.save(2, checkpoint(2.0))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        newest, _ = checkpoints.newest()
        value = load(newest).tensors["model"]["weight"][0].item()
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
