"""Predicting many recordings into parts: nothing lost, nothing doubled, whatever is killed; here and through Ray."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from builders.recordings import write_recording
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError, ModelError
from emotune.inference import load
from emotune.inference.engine import EngineError, EngineOutput
from emotune.inference.inputs import items_of
from emotune.inference.items import Item
from emotune.inference.jobs.parts import PredictionParts, inputs_sha256, parts_in, predict_in_parts
from emotune.inference.predictor import Predictor
from emotune.io.tables import read_rows
from emotune.models.backbones.eight_bits import has_eight_bits
from emotune.models.store import load_model
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Predictions


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """53 clips in two folders; one is broken."""
    folder, generator = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    for number in range(53):
        path = folder / ("first" if number < 20 else "second") / f"{number:03d}.wav"
        write_recording(path, seconds=generator.uniform(0.2, 0.55))
    (folder / "second" / "030.wav").write_bytes(b"text, not sound")
    return folder


def rows_of(folder: Path) -> list[dict]:
    index = json.loads((folder / "index.json").read_text())
    return [row for part in index["parts"].values() for row in read_rows(folder / part["file"])]


def comparable(rows: list[dict]) -> list[tuple]:
    return [
        (row["utterance_id"], row["error"], *(row[c] and round(row[c], 4) for c in row if c[:2] == "p."))
        for row in rows
    ]


@pytest.fixture(scope="module")
def expected(recordings, tiny_model) -> list[tuple]:
    predictions = load(tiny_model).predict_items(list(items_of([recordings])))
    return comparable(predictions.to_rows())


def test_parts_hold_what_one_table_would(recordings, tiny_model, tmp_path, emotune_command, expected):
    ended = emotune_command("predict", tiny_model, recordings, "-o", tmp_path / "parts", "--part-rows", 10)
    assert ended.code == 1
    assert "parts: 53 rows in 6 parts, 1 with an error" in ended.out
    assert "030.wav cannot be decoded" in ended.err
    assert comparable(rows_of(tmp_path / "parts")) == expected
    index = json.loads((tmp_path / "parts" / "index.json").read_text())
    assert index["complete"] and index["rows"] == 53 and index["failed"] == 1
    assert [part["rows"] for part in index["parts"].values()] == [10, 10, 10, 10, 10, 3]
    assert len(Predictions.read(tmp_path / "parts" / "part-00003.parquet").failed) == 1
    again = emotune_command("predict", tiny_model, recordings, "-o", tmp_path / "parts", "--part-rows", 10)
    assert again.code == 1 and "continuing: 53 of 53 rows are there" in again.err


def test_the_parts_are_one_data_set_for_other_tools(recordings, tiny_model, tmp_path, emotune_command):
    """A part whose rows all failed has the same columns of the same types."""
    import pyarrow.dataset

    emotune_command("predict", tiny_model, recordings / "second", "-o", tmp_path / "parts", "--part-rows", 1)
    files = sorted((tmp_path / "parts").glob("*.parquet"))
    assert len({str(pyarrow.dataset.dataset(file).schema) for file in files}) == 1
    assert pyarrow.dataset.dataset(files).to_table().num_rows == 33


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_parts_in_other_formats(recordings, tiny_model, tmp_path, emotune_command, suffix, expected):
    options = ("--part-rows", 20, "--part-format", suffix)
    emotune_command("predict", tiny_model, recordings, "-o", tmp_path / "parts", *options)
    assert [row["utterance_id"] for row in rows_of(tmp_path / "parts")] == [row[0] for row in expected]


@pytest.mark.load
def test_killed_again_and_again_no_row_is_lost_or_doubled(recordings, tiny_model, tmp_path, expected):
    command = [sys.executable, "-m", "emotune", "predict", str(tiny_model), str(recordings)]
    command += ["-o", str(tmp_path / "parts"), "--part-rows", "4", "--workers", "1"]
    for entered in (2, 5, 9):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None and entered_parts(tmp_path / "parts") < entered:
            time.sleep(0.001)
        assert process.poll() is None, "it was to be killed while it worked"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts").glob("part-*.parquet")}
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "continuing" in ended.stderr
    assert comparable(rows_of(tmp_path / "parts")) == expected
    assert max(Counter(row["utterance_id"] for row in rows_of(tmp_path / "parts")).values()) == 1
    untouched = [name for name, at in before.items() if (tmp_path / "parts" / name).stat().st_mtime_ns == at]
    assert len(untouched) >= 9, "what was done is not done again"
    assert not list((tmp_path / "parts").glob("*.part")) and not list((tmp_path / "parts").glob(".part-*"))


def entered_parts(folder: Path) -> int:
    try:
        return len(json.loads((folder / "index.json").read_text())["parts"])
    except FileNotFoundError:
        return 0


class Lengths:
    """An engine whose answer is the length; it fails on batches as ``fails`` says."""

    label_space = LabelSpace(("anger", "neutral"))
    preprocessing = Preprocessing()
    fingerprint = "f" * 64
    concurrency = 1
    conditions: ClassVar[dict] = {}

    def __init__(self, fails=lambda batch: False) -> None:
        self.fails = fails
        self.batches: list[int] = []

    def run(self, waveforms, conditions=()) -> EngineOutput:
        self.batches.append(len(waveforms))
        if self.fails(waveforms):
            raise EngineError("There is not enough memory to run the model on it.")
        anger = np.array([len(waveform) / 20000 for waveform in waveforms], dtype=np.float32)
        return EngineOutput(np.stack([anger, 1 - anger], axis=1), np.zeros((len(waveforms), 0), dtype=np.float32))


def items(count: int) -> list[Item]:
    lengths = np.random.default_rng(1).permutation(count) * 100 + 1000
    return [Item(f"u{n}", (np.full(length, 0.1), 16000)) for n, length in enumerate(lengths)]


def test_a_batch_too_large_for_memory_is_halved_until_it_fits():
    engine = Lengths(lambda batch: len(batch) > 3)
    rows = Predictor(engine).predict_items(items(20)).rows
    assert not any(row.error for row in rows)
    assert [row.probabilities["anger"] for row in rows] == pytest.approx(
        [len(item.source[0]) / 20000 for item in items(20)]
    )


def test_the_one_clip_that_the_engine_fails_on_is_an_error_row():
    bad = max(len(item.source[0]) for item in items(20))
    engine = Lengths(lambda batch: any(len(waveform) == bad for waveform in batch))
    rows = Predictor(engine).predict_items(items(20)).rows
    (failed,) = [row for row in rows if row.error]
    assert failed.error == f"{failed.utterance_id}: There is not enough memory to run the model on it."


def test_an_engine_that_fails_on_everything_ends_the_work():
    with pytest.raises(EngineError):
        Predictor(Lengths(lambda batch: True)).predict_items(items(20))


def test_many_clips_that_the_engine_fails_on_are_error_rows_as_long_as_it_answers_to_others():
    rows = Predictor(Lengths(lambda batch: any(len(waveform) > 1400 for waveform in batch))).predict_items(items(20))
    assert len(rows.failed) == 15


@pytest.mark.load
def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(tiny_model):
    asked = items(40)
    alone = load(tiny_model).predict_items(asked)
    predictor = load(tiny_model, workers=2, batch_seconds=1.0)
    rows = {}
    for count, (position, row) in enumerate(predictor.stream(asked)):
        rows[position] = row
        if count in (3, 12):
            next(iter(predictor.engine._workers)).process.kill()
    predictor.engine.close()
    assert sorted(rows) == list(range(40))
    for position, expected in enumerate(alone):
        assert rows[position].error is None
        assert dict(rows[position].probabilities) == pytest.approx(dict(expected.probabilities), abs=1e-5)


def job(folder: Path, **options) -> AbstractContextManager[PredictionParts]:
    settings = {"part_rows": 4, "suffix": ".csv", "model_fingerprint": Lengths.fingerprint} | options
    return parts_in(folder, **settings)


def predicted(folder: Path, engine: Lengths | None = None) -> None:
    with job(folder) as parts:
        predict_in_parts(Predictor(engine or Lengths()), items(10), parts, total=10)


def test_another_model_size_or_way_of_writing_is_another_job(tmp_path):
    predicted(tmp_path / "parts")
    for options in ({"model_fingerprint": "0"}, {"part_rows": 5}, {"suffix": ".jsonl"}, {"spreadsheet_safe": True}):
        with pytest.raises(ConfigError, match="belongs to another job"), job(tmp_path / "parts", **options):
            pass


def test_other_inputs_are_refused_before_any_work(tmp_path):
    predicted(tmp_path / "parts")
    changed = [Item(f"v{n}", item.source) for n, item in enumerate(items(10))]
    with job(tmp_path / "parts") as parts:
        assert parts.check(items(10)) == 10
        with pytest.raises(ConfigError, match=r"part-00000\.csv was made of other inputs"):
            parts.check(changed)
        with pytest.raises(ConfigError, match="more parts than there are inputs now"):
            parts.check(items(10)[:4])


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"), job(tmp_path):
        pass


def test_two_jobs_do_not_write_into_one_folder(tmp_path):
    with job(tmp_path / "parts"), pytest.raises(ConfigError, match="Another process is writing"):
        predicted(tmp_path / "parts")
    assert not (tmp_path / "parts").exists(), "nothing written, nothing left"
    predicted(tmp_path / "parts")


def test_killed_before_its_first_part_is_entered_a_job_can_be_continued(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(PredictionParts, "enter", killed)
        predicted(tmp_path / "parts")
    assert list((tmp_path / "parts").glob("part-*.csv"))
    predicted(tmp_path / "parts")
    assert len(rows_of(tmp_path / "parts")) == 10


def test_parts_with_errors_are_made_again_on_request(recordings, tiny_model, tmp_path, emotune_command):
    names = [f"{number:03d}.wav" for number in range(6)]
    (tmp_path / "list.txt").write_text("\ufeff" + "\n".join([*names, "late.wav"]), encoding="utf-8")
    for name in names:
        (tmp_path / name).write_bytes((recordings / "first" / name).read_bytes())
    command = ("predict", tiny_model, tmp_path / "list.txt", "-o", tmp_path / "parts", "--part-rows", 2)
    assert emotune_command(*command).code == 1
    (tmp_path / "late.wav").write_bytes((recordings / "first" / names[1]).read_bytes())
    assert "continuing: 7 of 7 rows" in emotune_command(*command).err
    ended = emotune_command(*command, "--retry-errors")
    assert ended.code == 0
    assert "continuing: 6 of 7 rows" in ended.err, "only the part with the error is made again"
    assert [row["utterance_id"] for row in rows_of(tmp_path / "parts")] == [*names, "late.wav"]
    assert not any(row["error"] for row in rows_of(tmp_path / "parts"))


def test_of_a_manifest_one_split_is_predicted(tones, tiny_model, tmp_path, emotune_command):
    rows = [dataclasses.replace(u, split="test3" if n < 3 else "train") for n, u in enumerate(tones)]
    tones.replace_utterances(rows).write(tmp_path / "m.csv")
    command = ("predict", tiny_model, tmp_path / "m.csv", "--split")
    for where in (tmp_path / "p.csv",), (tmp_path / "parts", "--part-rows", 2, "--part-format", "csv"):
        ended = emotune_command(*command, "test3", "-o", *where)
        assert ended.code == 0, ended.err
    found = [row["utterance_id"] for row in read_rows(tmp_path / "p.csv")]
    assert found == [u.utterance_id for u in rows[:3]]
    parts = [read_rows(tmp_path / "parts" / f"part-0000{n}.csv") for n in (0, 1)]
    assert [row["utterance_id"] for part in parts for row in part] == found
    ended = emotune_command(*command, "test4", "-o", tmp_path / "none.csv")
    assert (ended.code, "m.csv of split test4" in ended.err) == (2, True)


def test_rows_of_several_folders_say_which_one_they_are_of(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.wav").touch()
    found = list(items_of([tmp_path / "a", tmp_path / "b"]))
    assert [item.utterance_id for item in found] == [str(tmp_path / "a" / "x.wav"), str(tmp_path / "b" / "x.wav")]
    assert [item.extra["file"] for item in found] == [item.utterance_id for item in found]
    (alone,) = items_of([tmp_path / "a"])
    assert (alone.utterance_id, alone.extra["file"]) == ("x.wav", "x.wav")


def test_a_folder_is_searched_for_every_suffix_and_what_is_passed_over_is_counted(tmp_path):
    names = [
        f"a{suffix}" for suffix in (".wav", ".3gp", ".aifc", ".voc", ".oga", ".ac3", ".rf64", ".mp2", ".snd", ".wv")
    ]
    for name in [*names, "notes.txt", "more.TXT", "sub/table.csv", "Makefile", ".hidden"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    passed_over = Counter(gone=1)
    assert sorted(item.utterance_id for item in items_of([tmp_path], passed_over=passed_over)) == sorted(names)
    assert passed_over == {".txt": 2, ".csv": 1, "": 1}


def test_predict_says_what_a_folder_holds_that_is_no_recording(recordings, tmp_path, tiny_model, emotune_command):
    (tmp_path / "all").mkdir()
    shutil.copy(recordings / "first" / "000.wav", tmp_path / "all")
    (tmp_path / "all" / "notes.txt").touch()
    ended = emotune_command("predict", tiny_model, tmp_path / "all", "-o", tmp_path / "out.csv", "--device", "cpu")
    words = "passed over in folders: 1 file whose name is not that of a recording (1 .txt)"
    assert (ended.code, words in ended.err) == (0, True)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").touch()
    ended = emotune_command("predict", tiny_model, tmp_path / "none", "--device", "cpu")
    assert (ended.code, words in ended.err.replace("\n", " ")) == (2, True)


def test_a_part_that_vanished_is_made_again(tmp_path):
    predicted(tmp_path / "parts")
    (tmp_path / "parts" / "part-00001.csv").unlink()
    engine = Lengths()
    predicted(tmp_path / "parts", engine)
    assert sum(engine.batches) == 4
    assert len(rows_of(tmp_path / "parts")) == 10


def test_inputs_have_the_same_fingerprint_wherever_they_are_named_from(recordings, monkeypatch):
    absolute = list(items_of([recordings]))
    monkeypatch.chdir(recordings.parent)
    relative = list(items_of([Path(recordings.name)]))
    assert inputs_sha256(relative) == inputs_sha256(absolute)


def test_memory_does_not_grow_with_the_number_of_inputs(tmp_path):
    """Items come one after the other: the ten thousandth is not made before the work begins."""
    made = []

    def endless():
        for number in range(10_000):
            made.append(number)
            yield Item(f"u{number}", (np.full(1000, 0.1), 16000))

    most_ahead = 0
    with job(tmp_path / "parts", part_rows=100) as parts:
        for number, _ in parts.missing(endless()):
            most_ahead = max(most_ahead, len(made) - 100 * number)
    assert most_ahead <= 100


@pytest.fixture(scope="module")
def cluster():
    """A Ray of this machine, with two cores, for the tests of this module."""
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


@pytest.mark.load
@pytest.mark.usefixtures("cluster")
def test_ray_gives_the_same_table(recordings, tiny_model, tmp_path, emotune_command, expected):
    options = ("--part-rows", 10, "--engine", "ray", "--workers", 2)
    ended = emotune_command("predict", tiny_model, recordings, "-o", tmp_path / "parts", *options)
    assert ended.code == 1, ended.err
    assert "parts: 53 rows in 6 parts, 1 with an error" in ended.out
    assert comparable(rows_of(tmp_path / "parts")) == expected
    again = emotune_command("predict", tiny_model, recordings, "-o", tmp_path / "parts", *options)
    assert "continuing: 53 of 53 rows are there" in again.err


@pytest.mark.load
@pytest.mark.skipif(not has_eight_bits(), reason="the processor has no VNNI instructions")
@pytest.mark.usefixtures("cluster")
def test_ray_says_how_far_fewer_bits_lie_from_exact_numbers(recordings, tiny_model, tmp_path, emotune_command):
    options = ("--part-rows", 60, "--engine", "ray", "--workers", 1, "--precision", "int8")
    ended = emotune_command("predict", tiny_model, recordings, "-o", tmp_path / "parts", *options)
    assert ended.code == 1 and "int8: over the first 8 clips probabilities differ from exact ones" in ended.err


@pytest.mark.load
@pytest.mark.usefixtures("cluster")
def test_ray_replaces_a_worker_that_is_killed(recordings, tiny_model, tmp_path, expected):
    """The first worker that begins a part is killed with SIGKILL in the middle of it."""
    from emotune.inference.jobs import ray_job

    class Mortal(ray_job.PartWorker):
        def __call__(self, row):
            marker = tmp_path / "killed"
            if row["number"] == 2 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(row)

    through_ray(tiny_model, recordings, tmp_path, worker=Mortal)
    assert (tmp_path / "killed").exists()
    assert comparable(rows_of(tmp_path / "parts")) == expected


@pytest.mark.load
@pytest.mark.usefixtures("cluster")
def test_ray_gives_up_a_part_that_kills_every_worker_and_keeps_the_others(
    recordings, tiny_model, tmp_path, expected, emotune_command
):
    from emotune.inference.jobs import ray_job

    class Deadly(ray_job.PartWorker):
        def _count_attempt(self, number):
            super()._count_attempt(number)
            if number == 9:
                os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(
        ModelError, match=r"Ray gave up: 4 workers ended one after the other in part 9; .* the same command"
    ):
        through_ray(tiny_model, recordings, tmp_path, workers=1, worker=Deadly)
    assert not (tmp_path / "parts" / ".inputs").exists()
    assert 0 < entered_parts(tmp_path / "parts") < 11
    emotune_command("predict", tiny_model, recordings, "-o", tmp_path / "parts", "--part-rows", 5)
    assert comparable(rows_of(tmp_path / "parts")) == expected


@pytest.mark.load
@pytest.mark.usefixtures("cluster")
def test_a_worker_that_does_not_see_the_folder_is_found_out(recordings, tiny_model, tmp_path):
    from emotune.inference.jobs import ray_job

    class Elsewhere(ray_job.PartWorker):
        def __call__(self, row):
            self.parts.folder = tmp_path / "not mounted"
            return super().__call__(row)

    with pytest.raises(ModelError, match=r"does not see .*not mounted\. The folder must be the same on all machines"):
        through_ray(tiny_model, recordings, tmp_path, workers=1, worker=Elsewhere)


@pytest.mark.load
@pytest.mark.usefixtures("cluster")
def test_ray_says_what_a_worker_says(recordings, tiny_model, tmp_path):
    with pytest.raises(ModelError, match="is not the model of this job"):
        through_ray(tiny_model, recordings, tmp_path, fingerprint="0" * 64, workers=1)


@pytest.mark.load
@pytest.mark.usefixtures("cluster")
def test_ray_finds_a_folder_that_is_named_from_here(recordings, tiny_model, tmp_path, monkeypatch):
    shutil.copytree(tiny_model, tmp_path / "only-here")
    monkeypatch.chdir(tmp_path)  # the actors' working folder is another one
    through_ray(Path("only-here"), recordings, tmp_path, workers=1)


def through_ray(
    model: Path, recordings: Path, folder: Path, *, fingerprint: str | None = None, workers: int = 2, **options: Any
) -> None:
    from emotune.inference.jobs.ray_job import predict_on_ray

    found = fingerprint or load_model(model).fingerprint
    with parts_in(folder / "parts", part_rows=5, suffix=".parquet", model_fingerprint=found) as parts:
        total = parts.check(items_of([recordings]))
        options |= {"fingerprint": found, "total": total, "workers": workers}
        predict_on_ray(str(model), items_of([recordings]), parts, **options)
