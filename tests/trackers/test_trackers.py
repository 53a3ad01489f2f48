"""What every tracker keeps of a run, read back from its own local store."""

import json
import math
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest

from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.runtime.listener import Listener, Listeners
from emotune.trackers import TRACKERS
from emotune.trackers.tracker import TrackedRun, Tracker
from emotune.training.fine_tune import describe, train_run
from emotune.training.pretraining.run import describe_pretraining, pretrain_run
from emotune.training.recipe_changes import changes_of_work

Figures = dict[str, dict[int, float]]
"""Name of a figure -> step -> value."""


class Kept(Tracker):
    """Tracker of a test: what it was told, by the run's key."""

    store: ClassVar[dict[str, Figures]] = {}
    ended: ClassVar[list[bool]] = []

    def __init__(self, run: TrackedRun) -> None:
        self.name = run.key or f"{run.name}-1"
        self.settings = run.settings
        self.store.setdefault(self.name, {})

    @property
    def key(self) -> str:
        return self.name

    def log(self, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            self.store[self.name].setdefault(name, {})[step] = value

    def close(self, *, finished: bool) -> None:
        self.ended.append(finished)


class Interrupted(Listener):
    def step(self, done, total, figures) -> None:
        if done == 3:
            raise KeyboardInterrupt


@pytest.fixture
def recipe(tones):
    def build(*trackers: str, **train) -> Recipe:
        train = {"epochs": 2, "batch_seconds": 3.0, "checkpoint_minutes": 0, "trackers": list(trackers), **train}
        return Recipe.model_validate(sections_over(tones.root / "manifest.csv", train=train))

    return build


def pretraining_of(recipe: Recipe) -> Recipe:
    """The same recipe with a task of pre-training, of an encoder twice as deep."""
    content = recipe.model_dump(mode="json") | {"task": {"name": "vesper", "layers": 2}}
    content["model"]["backbone"]["config"]["num_hidden_layers"] *= 2
    return Recipe.model_validate(content)


@pytest.mark.load
def test_an_interrupted_run_goes_on_under_its_name_and_keeps_every_step_once(recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(TRACKERS._own, "kept", Kept)
    Kept.store, Kept.ended = {}, []
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe("kept"), tmp_path / "run", listener=Interrupted())
    train_run(recipe("kept"), tmp_path / "run")
    assert list(Kept.store) == ["run-1"] and Kept.ended == [False, True]
    figures = Kept.store["run-1"]
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = rows[-1]["step"]
    for name in ("loss", "grad_norm", "learning_rate"):
        assert sorted(figures[name]) == list(range(1, steps + 1))
    for row in rows:
        assert figures["development/uar"][row["step"]] == row["development_uar"]
        assert figures["epoch"][row["step"]] == row["epoch"]
    first = rows[0]["step"]
    assert math.fsum(figures["loss"][step] for step in range(1, first + 1)) / first == pytest.approx(
        rows[0]["train_loss"]
    )


@pytest.mark.load
def test_pre_training_is_tracked_as_fine_tuning_is(recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(TRACKERS._own, "kept", Kept)
    Kept.store, Kept.ended = {}, []
    with pytest.raises(KeyboardInterrupt):
        pretrain_run(pretraining_of(recipe("kept")), tmp_path / "run", listener=Interrupted())
    pretrain_run(pretraining_of(recipe("kept")), tmp_path / "run")
    assert list(Kept.store) == ["run-1"] and Kept.ended == [False, True]
    figures = Kept.store["run-1"]
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert sorted(figures["loss"]) == list(range(1, rows[-1]["step"] + 1))
    assert [figures["development/explained"][row["step"]] for row in rows] == [
        row["development_explained"] for row in rows
    ]


def test_trackers_are_no_part_of_the_work_and_unknown_or_absent_ones_are_told_at_once(recipe, tmp_path, monkeypatch):
    assert not changes_of_work(recipe("mlflow"), recipe())
    with pytest.raises(ValueError, match=r"Unknown tracker 'mlfow', did you mean 'mlflow'\?"):
        recipe("mlfow")
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "emotune.trackers.wandb", raising=False)
    pretraining = pretraining_of(recipe("wandb"))
    for work in (
        lambda: train_run(recipe("wandb"), tmp_path / "run"),
        lambda: describe(recipe("wandb")),
        lambda: pretrain_run(pretraining, tmp_path / "encoder"),
        lambda: describe_pretraining(pretraining),
    ):
        with pytest.raises(ConfigError, match=r"The tracker 'wandb' needs 'wandb', .* pip install 'emotune\[wandb\]'"):
            work()


# --- the real ones


def of_mlflow(folder: Path) -> Figures:
    with sqlite3.connect(folder / "mlflow.db") as database:
        rows = database.execute("select key, step, value from metrics").fetchall()
        assert dict(database.execute("select key, value from params").fetchall())["train.epochs"] == "2"
        assert database.execute("select name, status from runs").fetchall() == [("run", "FINISHED")]
    return collected(rows)


def of_trackio(folder: Path) -> Figures:
    (path,) = (folder / "trackio").glob("*.db")
    with sqlite3.connect(path) as database:
        rows = database.execute("select step, metrics from metrics").fetchall()
        (config,) = database.execute("select config from configs").fetchall()
    assert json.loads(config[0])["train.epochs"] == 2
    return collected([(name, step, value) for step, cells in rows for name, value in json.loads(cells).items()])


def of_wandb(folder: Path) -> Figures:
    from wandb.proto import wandb_internal_pb2

    rows, ids = [], set()
    for path in sorted((folder / "run" / "wandb").glob("offline-run-*/run-*.wandb")):
        ids.add(path.stem)
        for content in log_records(path.read_bytes()[7:]):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            if record.WhichOneof("record_type") == "history":
                cells = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                rows += [(name, record.history.step.num, value) for name, value in cells.items() if name[0] != "_"]
    assert len(ids) == 1
    return collected(rows)


def log_records(content: bytes) -> list[bytes]:
    """Records of a file in LevelDB's format of logs: blocks of 32 KiB, parts with checksum, length and kind."""
    records, parts, place = [], b"", 0
    while place + 7 <= len(content):
        left = 32768 - (place + 7) % 32768  # the file begins with seven bytes of its own
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(parts)
            parts = b""
    return records


def collected(rows: Sequence[tuple[str, int, float]]) -> Figures:
    found: Figures = {}
    for name, step, value in rows:
        found.setdefault(name, {})[step] = value
    return found


READ = {"mlflow": of_mlflow, "trackio": of_trackio, "wandb": of_wandb}


def test_every_tracker_is_read_back_here():
    assert set(READ) == set(TRACKERS.own)


@pytest.fixture
def kept_here(tmp_path, monkeypatch) -> Path:
    """A folder for all stores; trackio looks for its own when it is first imported, so it is imported anew."""
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for module in [
        name for name in sys.modules if name.split(".")[0] == "trackio" or name == "emotune.trackers.trackio"
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("WANDB_MODE", "online")  # a run stays here whatever is set
    return tmp_path


def installed(name: str) -> None:
    packages = {"mlflow": ("mlflow", "sqlalchemy", "alembic")}.get(name, (name,))
    if not all(map(find_spec, packages)):
        pytest.skip(f"the extra {name} is not installed")


PARTS = """
import sys
from pathlib import Path
from emotune.trackers import TRACKERS
from emotune.trackers.tracker import TrackedRun
key = None
for steps in (range(1, 7), range(5, 9)):
    tracker = TRACKERS[sys.argv[1]](TrackedRun("run", Path("run"), {"train.epochs": 2, "data.root": None}, key))
    key = tracker.key
    for step in steps:
        tracker.step(step, 8, {"loss": 1 / step})
        if step % 4 == 0:
            tracker.epoch([{"epoch": step // 4, "step": step, "development_uar": step / 10, "train_loss": 1.0}])
    tracker.close(finished=8 in steps)
"""


@pytest.mark.load
@pytest.mark.parametrize("name", READ)
def test_a_process_that_tracks_says_nothing_to_its_end_and_all_is_kept(kept_here, name):
    installed(name)
    (kept_here / "run").mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", PARTS, name], cwd=kept_here, capture_output=True, text=True, check=False, timeout=300
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    figures = READ[name](kept_here)
    assert figures["loss"] == pytest.approx({step: 1 / step for step in range(1, 9)})
    assert figures["development/uar"] == pytest.approx({4: 0.4, 8: 0.8}) and figures["epoch"] == {4: 1, 8: 2}


@pytest.mark.load
@pytest.mark.parametrize("name", READ)
def test_the_store_of_each_holds_an_interrupted_run_as_it_was(recipe, kept_here, tmp_path, name, capfd):
    installed(name)
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe(name), tmp_path / "run", listener=Interrupted())
    told: dict[int, Mapping[str, float]] = {}

    class Told(Listener):
        def step(self, done, total, figures) -> None:
            told[done] = figures

    train_run(recipe(name), tmp_path / "run", listener=Listeners(Told()))
    figures = READ[name](tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert sorted(figures["loss"]) == list(range(1, rows[-1]["step"] + 1))
    for step, known in told.items():
        assert {key: figures[key][step] for key in known} == pytest.approx(dict(known))
    for row in rows:
        assert figures["development/uar"][row["step"]] == pytest.approx(row["development_uar"])
    assert capfd.readouterr().out == ""
