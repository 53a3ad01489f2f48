"""What can be wrong with long runs: caches, noises, budgets, checkpoints, parts. One clear error each, nothing lost."""

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from builders.recipes import write_recipe
from emotune.config.reading import load_recipe
from emotune.data.dataset import EmotionDataset
from emotune.training import fine_tune
from emotune.training.loop.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def recipe(tones, tmp_path_factory) -> Path:
    path, train = tmp_path_factory.mktemp("recipe") / "recipe.yaml", {"epochs": 2, "batch_seconds": 3.0}
    return write_recipe(path, tones.root / "manifest.csv", name="tones", train=train)


@pytest.fixture
def train(recipe, tmp_path, emotune_command):
    """Runs ``emotune train`` on the tones with overrides, into ``run``."""
    return lambda *overrides: emotune_command("train", recipe, *overrides, "-o", tmp_path / "run")


def file_at(path: Path) -> Path:
    path.write_bytes(b"not a folder")
    return path


OVERRIDES = {
    "unknown colour": ("augmentation.noise={colour: pinkish}", "Unknown colour 'pinkish', did you mean 'pink'?"),
    "unknown codec": ("augmentation.compression={codecs: [mp4]}", "Unknown codec 'mp4', did you mean 'mp3'?"),
    "no codecs": ("augmentation.compression={codecs: []}", "augmentation.compression.codecs"),
    "noise without its key": ("augmentation.noise={snr: [5, 10]}", "did you mean 'snr_db'?"),
    "a room of no time": ("augmentation.reverberation={rt60_s: [0, 1]}", "augmentation.reverberation.rt60_s"),
    "a probability of 2": ("augmentation.telephone={probability: 2}", "augmentation.telephone.probability"),
    "mixing with alpha 0": ("augmentation.mix={alpha: 0}", "augmentation.mix.alpha"),
    "a room of an hour": ("augmentation.reverberation={rt60_s: [1, 3600]}", "augmentation.reverberation.rt60_s"),
    "a room twice": (
        "augmentation.reverberation={rt60_s: [0.1, 1], folder: rooms}",
        "rt60_s and direct_db are of simulated rooms",
    ),
    "rooms that are not there": ("augmentation.reverberation={folder: nowhere}", "nowhere does not exist"),
    "a colour of recordings": ("augmentation.noise={colour: pink, folder: x}", "colour is of our own noise"),
    "a gain of 1000 dB": ("augmentation.gain_db=1000", "augmentation.gain_db"),
    "a crop too short to hear": ("augmentation.crop_s=0.001", "but this encoder needs clips of"),
    "no memory": ("train.memory_gb=0", "train.memory_gb"),
    "a negative time": ("train.checkpoint_minutes=-1", "train.checkpoint_minutes"),
    "a cache of no size": ("data.cache_gb=0", "data.cache_gb"),
    "an average of shards": ("train={fsdp: true, average: 0.9}", "train.fsdp has no whole weights to average"),
    "shards in one process": ("train.fsdp=true", "train.fsdp needs several processes"),
    "too little memory": ("train.memory_gb=0.01", "train.memory_gb is 0.01, but a step with one clip of"),
    "more batches a step than clips": ("train.accumulate=17", "16 training utterances cannot fill the 17 batches"),
}


@pytest.mark.parametrize("case", OVERRIDES)
def test_an_override_that_cannot_be_is_an_error_before_training(train, case, tmp_path):
    override, message = OVERRIDES[case]
    ended = train(override)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "run" / "model").exists()


def test_a_noise_folder_without_sound_is_refused(train, tmp_path):
    (tmp_path / "noises").mkdir()
    ended = train(f"augmentation.noise={{folder: {tmp_path / 'noises'}}}")
    assert ended.code == 2
    assert "holds no recording" in ended.err


@pytest.mark.parametrize("workers", [0, 1])
def test_a_recording_that_broke_before_its_turn_is_named_in_a_line(train, tones, tmp_path, monkeypatch, workers):
    path = tones.path_of(tones.split("train").utterances[3])
    content, build = path.read_bytes(), fine_tune.build_experiment

    def breaking(*arguments):
        experiment = build(*arguments)
        path.write_bytes(b"text")
        return experiment

    with monkeypatch.context() as patched:
        patched.setattr(fine_tune, "build_experiment", breaking)
        try:
            ended = train(f"train.workers={workers}")
        finally:
            path.write_bytes(content)
    assert ended.code == 2
    assert "cannot be decoded" in ended.err and "Leave it out of the manifest to train." in ended.err
    assert "Traceback" not in ended.err and "direct cause" not in ended.err


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_noise_recording_is_named(train, tmp_path, workers):
    (tmp_path / "noises").mkdir()
    (tmp_path / "noises" / "bad.wav").write_bytes(b"text")
    ended = train(f"augmentation.noise={{folder: {tmp_path / 'noises'}}}", f"train.workers={workers}")
    assert ended.code == 2
    assert "bad.wav cannot be decoded" in ended.err
    assert "Traceback" not in ended.err


def test_a_process_that_prepares_clips_and_dies_is_an_error_with_its_cure(train, monkeypatch):
    def killed(dataset, key):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(EmotionDataset, "__getitem__", killed)
    ended = train("train.workers=1")
    assert ended.code == 2
    assert "A process that prepares clips has ended" in ended.err and "fewer train.workers" in ended.err


def test_a_cache_that_is_a_file_is_named(train, tmp_path):
    ended = train(f"data.cache={file_at(tmp_path / 'cache')}")
    assert ended.code == 2
    assert str(tmp_path / "cache") in ended.err


def test_a_recording_that_vanishes_during_training_is_named(train, tones, tmp_path, monkeypatch):
    """After the corpus was read and before its turn comes."""
    build = fine_tune.build_experiment
    path = tones.path_of(tones.split("train").utterances[3])
    content = path.read_bytes()

    def vanishing(*arguments):
        experiment = build(*arguments)
        path.unlink()
        return experiment

    monkeypatch.setattr(fine_tune, "build_experiment", vanishing)
    try:
        ended = train()
    finally:
        path.write_bytes(content)
    assert ended.code == 2
    assert f"{path} does not exist" in ended.err
    monkeypatch.undo()


@pytest.fixture(scope="module")
def stopped(recipe, tmp_path_factory) -> Path:
    """A run that was interrupted while its second epoch was scored."""
    folder, calls = tmp_path_factory.mktemp("stopped") / "run", []
    scores = fine_tune.development_scores

    def once(*arguments):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return scores(*arguments)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(fine_tune, "development_scores", once)
        fine_tune.train_run(load_recipe(recipe), folder)
    return folder


@pytest.fixture
def interrupted(stopped, tmp_path) -> tuple[Path, Path]:
    """Checkpoints of that run, which lies where ``train`` goes on with it."""
    shutil.copytree(stopped, tmp_path / "run")
    before, newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))
    assert newest.name.endswith("-unscored")
    return before, newest


def final(folder: Path) -> dict[str, bytes]:
    weights = load_file(folder / "run" / "model" / "model.safetensors")
    return {name: tensor.tobytes() for name, tensor in weights.items()}


@pytest.fixture(scope="module")
def undamaged(recipe, tmp_path_factory) -> dict[str, bytes]:
    """The weights of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undamaged")
    fine_tune.train_run(load_recipe(recipe), folder / "run")
    return final(folder)


@pytest.mark.parametrize("broken", ["model.safetensors", "optimiser.pt", "state.json", "SHA256SUMS"])
def test_a_damaged_checkpoint_is_left_out_and_the_one_before_leads_to_the_same_weights(
    train, undamaged, interrupted, tmp_path, broken
):
    before, newest = interrupted
    content = bytearray((newest / broken).read_bytes())
    content[len(content) // 2 :][:64] = bytes(min(64, len(content) // 2))
    content[len(content) // 2] ^= 1
    (newest / broken).write_bytes(content)
    ended = train()
    assert ended.code == 0
    assert f"{newest.name} is damaged" in ended.err and f"continuing from {before.name}" in ended.err
    assert final(tmp_path) == undamaged


@pytest.mark.usefixtures("interrupted")
def test_damaged_weights_of_the_best_epoch_are_not_trained_on_with(train, undamaged, tmp_path):
    (best,) = (tmp_path / "run" / "checkpoints").glob("best-*")
    content = best.read_bytes()
    best.write_bytes(content[:-64] + bytes(64))
    ended = train()
    assert ended.code == 0
    assert ended.err.count(f"(../{best.name} is not what was written: its SHA-256 is another one)") == 2
    assert "no whole checkpoint is left: training begins anew" in ended.err
    assert final(tmp_path) == undamaged


def test_best_weights_that_break_while_training_goes_on_are_an_error(train, monkeypatch, tmp_path):
    keep = Checkpoints.keep_best

    def breaking(self, step, weights):
        keep(self, step, weights)
        (path,) = self.folder.glob(f"best-*{step}.safetensors")
        path.write_bytes(path.read_bytes()[:-64] + bytes(64))

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "keep_best", breaking)
        ended = train()
    assert ended.code == 2
    assert "The weights of the best epoch" in ended.err and "trains anew" in ended.err
    assert train().code == 0


@pytest.mark.usefixtures("interrupted")
def test_a_run_that_goes_on_under_other_versions_says_so_and_keeps_both(train, tmp_path):
    path = tmp_path / "run" / "provenance.json"
    provenance = json.loads(path.read_text())
    now = provenance["packages"]["torch"]
    provenance["packages"]["torch"] = "1.0.0"
    path.write_text(json.dumps(provenance))
    ended = train()
    assert ended.code == 0
    assert f"continued under other versions (torch 1.0.0 before, {now} now)" in ended.err
    finished = json.loads(path.read_text())
    assert finished["packages"]["torch"] == now
    assert [one["packages"]["torch"] for one in finished["earlier_versions"]] == ["1.0.0"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("provenance.json", b"{", "cannot be read as JSON"),
        ("provenance.json", b'{"kind": "fine-tuned", "began": 3}', "provenance.json is damaged"),
        ("recipe.yaml", b"\xff\xfe", "recipe.yaml cannot be read"),
        ("recipe.yaml", b"name: 3", "recipe.yaml cannot be read"),
    ],
)
@pytest.mark.usefixtures("interrupted")
def test_a_damaged_file_of_an_unfinished_run_is_an_error_that_names_it(train, tmp_path, name, content, message):
    (tmp_path / "run" / name).write_bytes(content)
    ended = train()
    assert ended.code == 2
    assert message in ended.err and "Traceback" not in ended.err


def test_a_history_that_was_damaged_after_the_last_epoch_is_written_again(train, monkeypatch, tmp_path):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fine_tune, "finish_run", killed)
        assert train().code == 130
    (tmp_path / "run" / "metrics.jsonl").write_text("{")
    assert train().code == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]


def test_a_checkpoint_of_another_number_of_processes_is_not_continued(train, interrupted):
    for checkpoint in interrupted:
        content = (checkpoint / "state.json").read_bytes()
        state = json.loads(content) | {"processes": 4, "most_samples": [None] * 4}
        (checkpoint / "state.json").write_text(json.dumps(state))
        sums, digests = checkpoint / "SHA256SUMS", [hashlib.sha256(content).hexdigest()]
        digests.append(hashlib.sha256((checkpoint / "state.json").read_bytes()).hexdigest())
        sums.write_text(sums.read_text().replace(*digests))
    ended = train()
    assert ended.code == 2
    assert "interrupted with 4 processes and cannot go on with 1" in ended.err


@pytest.fixture
def clips(tmp_path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", np.full(4000, 0.1), 16000)
    return folder


PARTS = {
    "no folder named": (lambda folder: ("--part-rows", 2), "--part-rows needs a folder"),
    "ray without parts": (lambda folder: ("--engine", "ray", "-o", folder / "t.csv"), "--engine ray writes a folder"),
    "ray on a GPU": (
        lambda folder: ("--engine", "ray", "--device", "cuda", "--part-rows", 2, "-o", folder / "p"),
        "--engine ray runs on CPUs so far",
    ),
    "a file in its place": (lambda folder: ("--part-rows", 2, "-o", file_at(folder / "p")), "is not a folder"),
    "a folder of other things": (
        lambda folder: ("--part-rows", 2, "-o", file_at(folder / "clips" / "notes.txt").parent),
        "holds other files",
    ),
    "a table's name": (lambda folder: ("--part-rows", 2, "-o", folder / "p.csv"), "name it without .csv"),
    "a format without parts": (lambda folder: ("--part-format", "csv"), "go with --part-rows"),
    "rows below one": (lambda folder: ("--part-rows", 0, "-o", folder / "p"), "--part-rows"),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_that_cannot_be_written_are_refused_before_any_work(case, clips, tiny_model, tmp_path, emotune_command):
    options, message = PARTS[case]
    ended = emotune_command("predict", tiny_model, clips, *options(tmp_path))
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err


INDEXES = {
    "not JSON": ("{", "cannot be read as JSON"),
    "a list": ("[]", "must hold a JSON object"),
    "another schema": ('{"schema": "emotune-prediction-parts/9"}', "belongs to another job: schema"),
}


def test_a_folder_that_is_not_there_is_an_error_and_no_row(tiny_model, tmp_path, emotune_command):
    ended = emotune_command("predict", tiny_model, tmp_path / "nope", "--part-rows", 2, "-o", tmp_path / "p")
    assert ended.code == 2
    assert "nope does not exist: expected a recording, a folder" in ended.err
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("case", INDEXES)
def test_a_broken_index_is_an_error_that_names_it(case, clips, tiny_model, tmp_path, emotune_command):
    content, message = INDEXES[case]
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "index.json").write_text(content)
    ended = emotune_command("predict", tiny_model, clips, "--part-rows", 2, "-o", tmp_path / "p")
    assert ended.code == 2
    assert message in ended.err and "index.json" in ended.err


def test_an_index_without_its_parts_is_an_error(clips, tiny_model, tmp_path, emotune_command):
    emotune_command("predict", tiny_model, clips, "--part-rows", 2, "-o", tmp_path / "p")
    index = json.loads((tmp_path / "p" / "index.json").read_text())
    (tmp_path / "p" / "index.json").write_text(json.dumps(index | {"parts": {"0": {"file": 3}}}))
    ended = emotune_command("predict", tiny_model, clips, "--part-rows", 2, "-o", tmp_path / "p")
    assert ended.code == 2
    assert "is not whole" in ended.err


def test_a_disk_that_fills_up_ends_the_job_and_keeps_what_is_done(
    clips, tiny_model, tmp_path, emotune_command, monkeypatch
):
    replace, calls = Path.replace, []

    def full(path, target):
        calls.append(target)
        if len(calls) > 4:  # a part, its metadata, the index, and once more
            raise OSError(28, "No space left on device")
        return replace(path, target)

    options = ("--part-rows", 1, "--part-format", "csv", "-o", tmp_path / "p")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        ended = emotune_command("predict", tiny_model, clips, *options)
    assert ended.code == 2
    assert "No space left on device" in ended.err
    again = emotune_command("predict", tiny_model, clips, *options)
    assert again.code == 0
    assert "continuing: 1 of 3 rows are there" in again.err
    assert "3 rows in 3 parts, 0 with an error" in again.out


def test_a_recording_that_vanishes_is_an_error_row(clips, tiny_model, tmp_path, emotune_command, monkeypatch):
    """Between the listing and its turn."""
    from emotune.inference.jobs.parts import PredictionParts

    check = PredictionParts.check

    def vanishing(parts, items):
        total = check(parts, items)
        (clips / "1.wav").rename(tmp_path / "gone.wav")
        (clips / "1.wav").symlink_to(tmp_path / "nowhere.wav")
        return total

    monkeypatch.setattr(PredictionParts, "check", vanishing)
    ended = emotune_command("predict", tiny_model, clips, "--part-rows", 2, "-o", tmp_path / "p")
    assert ended.code == 1
    assert "3 rows in 2 parts, 1 with an error" in ended.out
    assert "1.wav is a broken link" in ended.err
