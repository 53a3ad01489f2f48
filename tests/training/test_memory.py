"""Memory: what is counted, what is kept less, what is split, and what fits into a budget."""

import contextlib
import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
import yaml

from builders.recipes import sections_over
from emotune.batch import one_hot_shares, pad
from emotune.config.recipe import Recipe
from emotune.data.duration_batches import DurationBatches
from emotune.errors import ConfigError, ModelError
from emotune.losses.combined import CombinedLoss
from emotune.models.backbones import BACKBONES
from emotune.models.emotion_model import EmotionModel
from emotune.runtime.listener import Listener
from emotune.schema.labels import LabelSpace, Scale
from emotune.training.build import build_experiment
from emotune.training.fine_tune import describe, train_run
from emotune.training.label_task import LabelTask
from emotune.training.loop import estimate
from emotune.training.loop.estimate import Clips, PeakCounter, fixed_bytes
from emotune.training.loop.step import StepGradients
from emotune.training.manifest import build_manifest

SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
TASK = LabelTask(CombinedLoss({}))


def bytes_per_second(model: EmotionModel, clip_s: float) -> float:
    return estimate.bytes_per_second(model, TASK, clip_s)


def clips_of(recipe: Recipe, durations_s: list[float]) -> Clips:
    augmentation = recipe.augmentation
    slowest, most_s = math.exp(augmentation.speed or 0.0), augmentation.crop_s or math.inf
    return Clips(durations_s, [min(duration_s * slowest, most_s) for duration_s in durations_s], seed=recipe.seed)


def memory_estimate(recipe: Recipe, model: EmotionModel, durations_s: list[float]) -> dict[str, float]:
    return estimate.memory_estimate(recipe.train, model, TASK, clips_of(recipe, durations_s))


def within_memory(recipe: Recipe, model: EmotionModel, durations_s: list[float]) -> Recipe:
    train = estimate.within_memory(recipe.train, model, TASK, clips_of(recipe, durations_s))
    return recipe.model_copy(update={"train": train})


def backbone_config(name: str, tiny_wavlm: dict) -> dict:
    if name == "whisper":
        return {"d_model": 64, "encoder_layers": 4, "encoder_attention_heads": 2, "encoder_ffn_dim": 256}
    return tiny_wavlm | {"num_hidden_layers": 4}


def model_of(name: str, tiny_wavlm: dict, *, recompute: bool) -> EmotionModel:
    torch.manual_seed(0)
    backbone = BACKBONES[name].from_config(backbone_config(name, tiny_wavlm))
    backbone.recompute_layers = recompute
    return EmotionModel(backbone, SPACE).train()


def test_the_counter_knows_what_is_alive_and_what_was():
    given = torch.zeros(5000)
    with PeakCounter([given]) as counter:
        given[:10] += 1
        first = torch.zeros(1000)
        second = first + 1
        view = second[:10]
        del first
        third = torch.zeros(500)
    assert counter.peak == 8000
    assert counter.alive == 6000
    del second, view, third


@pytest.mark.parametrize("name", ["wavlm", "hubert", "wav2vec2", "whisper"])
def test_recomputed_layers_give_the_same_gradients_for_less_memory(name, tiny_wavlm):
    clips = [np.random.default_rng(n).standard_normal(n).astype(np.float32) for n in (24000, 16000, 31000)]
    targets = {"classes": one_hot_shares(torch.tensor([0, 1, 0]), 2), "dimensions": torch.rand(3, 1)}
    grads, peaks = [], []
    for recompute in (False, True):
        model = model_of(name, tiny_wavlm, recompute=recompute)
        torch.manual_seed(3)
        with PeakCounter() as counter:
            output = model(pad(clips, targets))
            (output.heads["classes"].square().sum() + output.heads["dimensions"].sum()).backward()
        grads.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
        peaks.append(counter.peak)
    assert grads[0].keys() == grads[1].keys()
    for key, gradient in grads[0].items():
        torch.testing.assert_close(gradient, grads[1][key], rtol=1e-4, atol=1e-6, msg=lambda m, k=key: f"{k}: {m}")
    assert peaks[1] < 0.8 * peaks[0]


def test_with_dropout_the_second_computation_draws_as_the_first_did(tiny_wavlm):
    noisy = tiny_wavlm | {"hidden_dropout": 0.3, "attention_dropout": 0.3, "layerdrop": 0.3}
    grads = []
    for recompute in (False, True):
        model = model_of("wavlm", noisy, recompute=recompute)
        torch.manual_seed(5)
        model(pad([np.ones(20000, dtype=np.float32)])).heads["classes"].sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-6)


def test_an_estimate_grows_with_the_batch_and_shrinks_with_what_is_frozen(recipe, tiny_wavlm):
    model = model_of("wavlm", tiny_wavlm, recompute=False)
    clips = [2.0] * 1000
    small, large = (memory_estimate(recipe(batch_seconds=seconds), model, clips) for seconds in (100.0, 1000.0))
    assert large["activations"] == pytest.approx(10 * small["activations"], rel=0.05)
    all_bytes = bytes_per_second(model, 2.0)
    model.choose_trainable(layers="none", front_end=False)
    assert bytes_per_second(model, 2.0) < 0.6 * all_bytes
    assert all(parameter.grad is None for parameter in model.parameters())


def test_an_estimate_knows_the_process_copies_of_the_weights_and_the_longest_clip(recipe, tiny_wavlm):
    model = model_of("wavlm", tiny_wavlm, recompute=False)
    plain = memory_estimate(recipe(batch_seconds=8.0), model, [4.0] * 40)
    assert plain["process"] == 1.0
    assert plain["total"] == pytest.approx(sum(plain.values()) - plain["total"], abs=0.003)
    averaged = memory_estimate(recipe(batch_seconds=8.0, average=0.9), model, [4.0] * 40)
    assert averaged["weights"] == pytest.approx(2 * plain["weights"], abs=0.001)
    long = memory_estimate(recipe(batch_seconds=8.0), model, [*[1.0] * 40, 24.0])
    counted = 24.0 * bytes_per_second(model, 24.0) / 1e9
    assert long["activations"] == pytest.approx(counted, rel=0.25)
    assert long["activations"] > 0.9 * counted


_PEAK = """
import re
from pathlib import Path
from emotune.cli import main
try:
    main()
finally:  # not by getrusage: what it says begins with the peak of the process that started this one
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e9)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize("name", ["wavlm", pytest.param("whisper", marks=pytest.mark.load)])
def test_a_run_takes_no_more_than_its_dry_run_says_and_a_tenth(tones, tiny_wavlm, tmp_path, name):
    """Nor less than a third: then most of it is the process itself."""
    sections = {
        "name": "tones",
        "data": {"manifest": str(tones.root / "manifest.csv")},
        "model": {"backbone": {"name": name, "config": backbone_config(name, tiny_wavlm)}},
        "train": {"epochs": 1, "batch_seconds": 6.0},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(sections))
    told = describe(Recipe.model_validate(sections))["memory_gb"]["total"]
    arguments = ["train", str(tmp_path / "recipe.yaml"), "-o", str(tmp_path / "run")]
    ended = subprocess.run([sys.executable, "-c", _PEAK, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    taken = float(ended.stdout.splitlines()[-1])
    assert told / 3 < taken < 1.1 * told


@pytest.fixture
def recipe(tones):
    def build(**train) -> Recipe:
        options = {"epochs": 2, "batch_seconds": 3.0, "encoder_lr": 1e-3, "head_lr": 1e-2, "clip_norm": 0}
        return Recipe.model_validate(
            sections_over(tones.root / "manifest.csv", model={"dropout": 0.0}, train=options | train)
        )

    return build


def gb_for(size: float) -> float:
    """A budget that has room for so many bytes beside the process itself."""
    return (size + estimate._OVERHEAD_BYTES["cpu"]) / estimate._USABLE / 1e9


class Recorder(Listener):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


class Impatient(Recorder):
    def step(self, done: int, total: int, figures) -> None:
        if done == 3:
            raise KeyboardInterrupt


def test_a_budget_cuts_batches_and_keeps_the_seconds_of_a_step(recipe, tiny_wavlm, tmp_path):
    model = model_of("wavlm", tiny_wavlm, recompute=False)
    chosen = recipe(memory_gb=3.0, batch_seconds=40.0, accumulate=2)
    clips = [0.8] * 400
    assert within_memory(chosen, model, clips).train == chosen.train  # all of it fits
    per_second = bytes_per_second(model, 0.8)
    less = recipe(memory_gb=gb_for(30 * per_second + sum(fixed_bytes(model))), batch_seconds=40.0, accumulate=2)
    found = within_memory(less, model, clips).train
    assert found.batch_seconds * found.accumulate == pytest.approx(80.0)
    assert found.accumulate in (3, 4)
    with pytest.raises(
        ConfigError,
        match=r"a step with one clip of 0\.8 s takes about .* GB, 1 of them for .*\. Set train\.gradient",
    ):
        within_memory(recipe(memory_gb=1e-6), model, clips)


def test_the_largest_batch_is_what_must_fit(recipe, tiny_wavlm):
    """Clips of very different length: the batches of a mean size that fits hold some that would not."""
    model = model_of("wavlm", tiny_wavlm, recompute=False)
    clips = [*np.random.default_rng(0).uniform(0.2, 0.5, 60), 3.0, 3.0, 3.0]
    room = 4.0 * bytes_per_second(model, 3.0)
    chosen = recipe(memory_gb=gb_for(room + sum(fixed_bytes(model))), batch_seconds=6.0)
    found = within_memory(chosen, model, clips).train
    assert found.batch_seconds * found.accumulate == pytest.approx(6.0)
    batches = DurationBatches(clips, batch_seconds=found.batch_seconds, together=found.accumulate, seed=0)
    for epoch in range(3):
        batches.set_epoch(epoch)
        assert max(len(batch) * max(clips[index] for _, index in batch) for batch in batches) <= 4.0


def test_an_average_and_slower_clips_take_room_too(recipe, tiny_wavlm):
    model = model_of("wavlm", tiny_wavlm, recompute=False)
    budget = gb_for(12 * bytes_per_second(model, 0.8) + sum(fixed_bytes(model)))
    plain = recipe(memory_gb=budget, batch_seconds=10.0)
    assert within_memory(plain, model, [0.8] * 100).train.accumulate == 1
    slower = plain.model_copy(update={"augmentation": plain.augmentation.model_copy(update={"speed": 0.5})})
    assert within_memory(slower, model, [0.8] * 100).train.accumulate > 1
    weights, _ = fixed_bytes(model)
    tight = recipe(memory_gb=budget + (weights - 1e5) / estimate._USABLE / 1e9, batch_seconds=12.0, average=0.9)
    assert within_memory(tight, model, [0.8] * 100).train.accumulate > 1


def test_a_budget_that_has_room_for_a_clip_finds_batches(recipe, tiny_wavlm):
    """Cropped clips are not counted longer than the crop; single clips are found where only they fit."""
    model = model_of("wavlm", tiny_wavlm, recompute=False)
    fixed, per_second = sum(fixed_bytes(model)), bytes_per_second(model, 2.0)
    tight = recipe(memory_gb=gb_for(3.0 * per_second + fixed), batch_seconds=12.0, accumulate=10)
    changes = {"crop_s": 2.0, "speed": 0.69}
    cropped = tight.model_copy(update={"augmentation": tight.augmentation.model_copy(update=changes)})
    for chosen in (tight, cropped):
        found = within_memory(chosen, model, [2.0] * 1000).train
        assert found.batch_seconds * found.accumulate == pytest.approx(120.0)
        assert found.batch_seconds < 2.1
    with pytest.raises(ConfigError, match="cannot be cut as small as that asks for: give it"):
        within_memory(tight, model, [2.0] * 1009)  # a prime number of clips makes no whole steps of single clips


@pytest.mark.parametrize("name", ["wavlm", "whisper"])
def test_layers_that_may_be_dropped_are_counted(name, tiny_wavlm):
    config = backbone_config(name, tiny_wavlm)
    key = "encoder_layerdrop" if name == "whisper" else "layerdrop"
    counted = []
    for share in (0.0, 0.9):
        model = EmotionModel(BACKBONES[name].from_config(config | {key: share}), SPACE)
        counted.append(bytes_per_second(model, 1.0))
        assert share in [module.layerdrop for module in model.modules() if hasattr(module, "layerdrop")]
    assert counted[0] == pytest.approx(counted[1])


def test_a_run_within_a_budget_says_its_batches_and_can_be_continued(recipe, tmp_path):
    model = build_experiment(recipe(), build_manifest(recipe())).model
    chosen = recipe(
        memory_gb=gb_for(3 * bytes_per_second(model, 0.8) + sum(fixed_bytes(model))),
        batch_seconds=8.0,
        checkpoint_minutes=0,
    )
    said = []
    for listener in (Impatient(), Recorder()):
        with contextlib.suppress(KeyboardInterrupt):
            train_run(chosen, tmp_path / "run", listener=listener)
        said += [message for message in listener.said if message.startswith("batches of")]
    assert said[0] == said[1] != "batches of 8.0 s, 1 a step in each process"
    assert "continuing from step-00000003" in listener.said
    assert describe(chosen)["batches"]["an_epoch"] > 2


class SmallMemory:
    """A forward that runs out of memory for batches of more padded samples than ``most``."""

    def __init__(self, monkeypatch, most: int) -> None:
        self.sizes: list[int] = []
        forward = StepGradients._forward

        def limited(gradients, piece):
            self.sizes.append(piece.samples)
            if piece.samples > most:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return forward(gradients, piece)

        monkeypatch.setattr(StepGradients, "_forward", limited)


def weights(folder) -> torch.Tensor:
    from emotune.models.store import load_model

    return torch.cat([t.flatten() for t in load_model(folder / "model").model.state_dict().values()])


@pytest.mark.parametrize("dimensions", [False, True])
def test_a_batch_that_does_not_fit_is_split_and_trains_the_same(recipe, tones, tmp_path, monkeypatch, dimensions):
    monkeypatch.setattr(torch.optim, "AdamW", torch.optim.SGD)
    chosen = recipe(accumulate=2, encoder_lr=0.02)
    if dimensions:
        import dataclasses

        rows = [dataclasses.replace(u, dimensions={"arousal": 1 + 6 * (n % 7) / 6}) for n, u in enumerate(tones)]
        space = LabelSpace(tones.label_space.classes, {"arousal": Scale(1, 7)})
        dataclasses.replace(tones, utterances=tuple(rows), label_space=space).write(tmp_path / "m.csv")
        data = chosen.data.model_copy(update={"manifest": tmp_path / "m.csv", "dimensions": ["arousal"]})
        chosen = chosen.model_copy(update={"data": data})
    train_run(chosen, tmp_path / "whole")
    memory, recorder = SmallMemory(monkeypatch, most=25000), Recorder()
    train_run(chosen, tmp_path / "split", listener=recorder)
    torch.testing.assert_close(weights(tmp_path / "split"), weights(tmp_path / "whole"), rtol=0, atol=1e-5)
    said = [message for message in recorder.said if message.startswith("out of memory: a batch of")]
    assert said
    too_large = [size for size in memory.sizes if size > 25000]
    assert len(too_large) == len(said), "what did not fit once is not tried again"


def test_a_clip_that_does_not_fit_alone_is_an_error_with_its_cure(recipe, tmp_path, monkeypatch):
    SmallMemory(monkeypatch, most=5000)
    with pytest.raises(ModelError, match=r"A single clip of .* s does not fit into memory\. Set data\.max_duration_s"):
        train_run(recipe(), tmp_path / "run")


def test_what_a_cpu_says_when_it_has_no_memory_left_is_understood():
    """A real allocation that fails, in a process that may not have more."""
    program = textwrap.dedent("""
        import resource, torch
        from emotune.runtime.out_of_memory import is_out_of_memory
        torch.zeros(10)
        resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
        try:
            torch.zeros(2**31)
        except RuntimeError as error:
            print(is_out_of_memory(error))
    """)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stdout == "True\n", ended.stderr


def test_other_errors_are_not_taken_for_memory(recipe, tmp_path, monkeypatch):
    def broken(gradients, piece):
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(StepGradients, "_forward", broken)
    with pytest.raises(RuntimeError, match="size mismatch"):
        train_run(recipe(), tmp_path / "run")
