"""emotune against transformers' own WavLM, in one run: prediction and training on this machine's cores.

    python benchmarks/speed.py OUTPUT_FOLDER [--repeats 5] [--only prediction single step mixed]

Each contender is a process of its own, as its user would run it: transformers as it comes, ours with the allocator
that the command line sets. Contenders of a group go in turn, so that a busy moment of the machine meets them all, and
each turn is a fresh process, so that no one's memory stands in the way of the others; it warms up on a little work of
the same kind. Weights are random, of the published shapes; lengths are drawn like MSP-Podcast's (2-12 s, mean 5.4).
Writes speed.json and speed.png.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import transformers
from torch import nn
from torch.nn import functional as F

import emotune
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import pad
from emotune.data.duration_batches import DurationBatches
from emotune.inference.items import Item
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.eight_bits import to_eight_bits
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.models.backbones.transformer import fix_positions
from emotune.models.emotion_model import EmotionModel
from emotune.models.precisions import Precision
from emotune.models.store import save_model
from emotune.runtime.memory_allocator import keep_freed_memory
from emotune.runtime.threads import usable_cores

BASE_PLUS: dict = {}
SAMPLING_RATE_HZ = 16000
PREDICTED, STEP_S, MICRO_CLIPS = 16, 160.0, 8
Lengths = list[list[int]]
"""Samples of each clip, in batches."""
Work = Callable[[Lengths], object]
"""Goes through clips of these lengths once."""


GROUPS: dict[str, dict[str, str]] = {
    "prediction": {
        "ours": "emotune: packed, one single-thread worker a core",
        "ours_int8": "emotune: the same in int8",
        "theirs_padded": "transformers: padded batches of 8",
        "theirs_loop": "transformers: one clip at a time",
    },
    "single": {"ours": "emotune", "ours_int8": "emotune, int8", "theirs": "transformers"},
    "step": {
        "ours": "emotune: front end frozen",
        "theirs": "transformers: full fine-tuning",
        "theirs_frozen": "transformers: front end frozen",
    },
    "mixed": {
        "ours": "emotune: front end frozen, batches of similar length",
        "theirs": "transformers: full fine-tuning, random padded batches of 8",
    },
}
TITLES = {
    "prediction": "Large, mixed lengths, prediction in float32 unless said",
    "single": "Large, one clip of 5 s",
    "step": "Base+, training step, 4 clips of 5 s",
    "mixed": "Base+, training step over about 160 s of mixed lengths",
}


def lengths_like_msp_podcast(count: int, seed: int) -> list[int]:
    """Samples of clips of 2 to 12 s with a mean of 5.4 s: 2 + 10 x Beta(1.6, 3.1)."""
    generator = np.random.default_rng(seed)
    return [round(SAMPLING_RATE_HZ * (2 + 10 * draw)) for draw in generator.beta(1.6, 3.1, count)]


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1


# --- transformers


def their_model(config: dict, *, train: bool) -> nn.Module:
    torch.manual_seed(0)
    model = transformers.WavLMModel(transformers.WavLMConfig(**config, apply_spec_augment=False, layerdrop=0.0))
    return model.train() if train else model.eval()


def their_padded(clips: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = pad(clips)
    return batch.waveforms, batch.mask.to(torch.long)


def theirs_padded() -> Work:
    model = their_model(LARGE_SHAPE, train=False)

    @torch.inference_mode()
    def work(batches: Lengths) -> None:
        for batch in batches:
            waveforms, mask = their_padded(clips_of(batch))
            model(waveforms, attention_mask=mask)

    return work


def theirs_loop() -> Work:
    model = their_model(LARGE_SHAPE, train=False)

    @torch.inference_mode()
    def work(batches: Lengths) -> None:
        for clip in (clip for batch in batches for clip in clips_of(batch)):
            model(torch.from_numpy(clip)[None])

    return work


def theirs_training(*, front_end: bool = True) -> Work:
    """A step: every micro-batch forward and backward, then AdamW; mean over time, a linear head, cross-entropy."""

    model = their_model(BASE_PLUS, train=True)
    if not front_end:
        model.freeze_feature_encoder()
    head = nn.Linear(768, 8)
    optimiser = torch.optim.AdamW([p for p in [*model.parameters(), *head.parameters()] if p.requires_grad], lr=1e-5)

    def work(batches: Lengths) -> None:
        clips = sum(map(len, batches))
        for samples in batches:
            waveforms, mask = their_padded(clips_of(samples))
            hidden = model(waveforms, attention_mask=mask).last_hidden_state
            frames = model._get_feature_vector_attention_mask(hidden.shape[1], mask)[:, :, None]
            pooled = (hidden * frames).sum(dim=1) / frames.sum(dim=1)
            targets = torch.zeros(len(samples), dtype=torch.long)
            (F.cross_entropy(head(pooled), targets, reduction="sum") / clips).backward()
        optimiser.step()
        optimiser.zero_grad()

    return work


# --- emotune


def ours_prediction(precision: Precision = "fp32") -> Work:
    """The way of a user: a saved model, ``emotune.load(..., workers=cores)``, recordings as arrays."""

    torch.manual_seed(0)
    model = EmotionModel(BACKBONES["wavlm"].from_config(LARGE_SHAPE), emotune.LabelSpace(("anger", "neutral")))
    folder = tempfile.TemporaryDirectory()
    save_model(Path(folder.name), model, Preprocessing(model.backbone.normalize, min_samples=400))
    del model
    predictor = emotune.load(folder.name, workers=usable_cores(), batch_seconds=10.0, precision=precision)

    def work(batches: Lengths) -> None:
        clips = [clip for batch in batches for clip in clips_of(batch)]
        items = [Item(f"clip {number}", (clip, SAMPLING_RATE_HZ)) for number, clip in enumerate(clips)]
        assert folder and not predictor.predict_items(items).failed

    return work


def ours_single(precision: Precision = "fp32") -> Work:
    keep_freed_memory()
    torch.manual_seed(0)
    backbone = BACKBONES["wavlm"].from_config(LARGE_SHAPE).eval()
    if precision == "int8":
        to_eight_bits(backbone)
    fix_positions(backbone)  # as for every prediction

    @torch.inference_mode()
    def work(batches: Lengths) -> None:
        for batch in batches:
            padded = pad(clips_of(batch))
            backbone(padded.waveforms, padded.mask)

    return work


def ours_training() -> Work:
    """The same step with an ``EmotionModel``, as ``emotune train`` runs it."""

    keep_freed_memory()
    torch.manual_seed(0)
    classes = tuple(f"class {number}" for number in range(8))
    backbone = BACKBONES["wavlm"].from_config(BASE_PLUS)
    model = EmotionModel(backbone, emotune.LabelSpace(classes), layer_mix="last", pooling="mean")
    model.choose_trainable(layers="all", front_end=False)
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5, fused=True)

    def work(batches: Lengths) -> None:
        clips = sum(map(len, batches))
        for samples in batches:
            logits = model(pad(clips_of(samples))).heads["classes"]
            targets = torch.zeros(len(samples), dtype=torch.long)
            (F.cross_entropy(logits, targets, reduction="sum") / clips).backward()
        optimiser.step()
        optimiser.zero_grad()

    return work


# --- what they go through: for each turn a little to warm up on, then the work that is timed


def mixed_prediction(turn: int) -> Iterator[Lengths]:
    lengths = lengths_like_msp_podcast(PREDICTED, turn)
    yield [lengths[:4]]
    yield [lengths[start : start + MICRO_CLIPS] for start in range(0, PREDICTED, MICRO_CLIPS)]


def clips_of_five_seconds(count: int) -> Callable[[int], Iterator[Lengths]]:
    return lambda turn: iter([[[5 * SAMPLING_RATE_HZ] * count]] * 2)


def random_micro_batches(turn: int) -> Iterator[Lengths]:
    """Clips in random order, eight a micro-batch, until the step holds 160 s."""
    lengths = lengths_like_msp_podcast(256, turn)
    batches = [lengths[start : start + MICRO_CLIPS] for start in range(0, len(lengths), MICRO_CLIPS)]
    yield batches[-1:]
    yield first_of(batches, STEP_S)


def similar_micro_batches(turn: int) -> Iterator[Lengths]:
    """emotune's batches of similar duration, as many audio-seconds a micro-batch as eight clips have on average."""
    lengths = lengths_like_msp_podcast(256, turn)
    seconds = [samples / SAMPLING_RATE_HZ for samples in lengths]
    sampler = DurationBatches(seconds, batch_seconds=MICRO_CLIPS * float(np.mean(seconds)), seed=turn)
    batches = [[lengths[index] for _, index in batch] for batch in sampler]
    yield batches[-1:]
    yield first_of(batches, STEP_S)


def first_of(batches: Lengths, seconds: float) -> Lengths:
    """As many of the batches as it takes to hold so many seconds."""
    held = np.cumsum([sum(batch) for batch in batches]) / SAMPLING_RATE_HZ
    return batches[: int(np.searchsorted(held, seconds)) + 1]


def clips_of(lengths: list[int]) -> list[np.ndarray]:
    return [noise(samples) for samples in lengths]


Contender = tuple[Callable[[], Work], Callable[[int], Iterator[Lengths]]]
CONTENDERS: dict[tuple[str, str], Contender] = {
    ("prediction", "ours"): (ours_prediction, mixed_prediction),
    ("prediction", "ours_int8"): (lambda: ours_prediction("int8"), mixed_prediction),
    ("prediction", "theirs_padded"): (theirs_padded, mixed_prediction),
    ("prediction", "theirs_loop"): (theirs_loop, mixed_prediction),
    ("single", "ours"): (ours_single, clips_of_five_seconds(1)),
    ("single", "ours_int8"): (lambda: ours_single("int8"), clips_of_five_seconds(1)),
    ("single", "theirs"): (theirs_loop, clips_of_five_seconds(1)),
    ("step", "ours"): (ours_training, clips_of_five_seconds(4)),
    ("step", "theirs"): (theirs_training, clips_of_five_seconds(4)),
    ("step", "theirs_frozen"): (lambda: theirs_training(front_end=False), clips_of_five_seconds(4)),
    ("mixed", "ours"): (ours_training, similar_micro_batches),
    ("mixed", "theirs"): (theirs_training, random_micro_batches),
}


def child(group: str, name: str, turn: int) -> None:
    """Warm up, then do the work: seconds, audio-seconds (padding not counted) and peak memory as one line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    build, batches_of = CONTENDERS[group, name]
    work, batches = build(), batches_of(turn)
    work(next(batches))
    timed = next(batches)
    began = time.perf_counter()
    work(timed)
    took = time.perf_counter() - began
    audio_seconds = sum(map(sum, timed)) / SAMPLING_RATE_HZ
    answers.write(json.dumps({"seconds": took, "audio_seconds": audio_seconds, "peak_gb": peak_gb()}) + "\n")
    answers.flush()


def peak_gb() -> float:
    """Peak resident memory of this process and of its workers, added up."""
    processes = ["self", *Path("/proc/self/task").joinpath(str(os.getpid()), "children").read_text().split()]
    status = "\n".join(Path(f"/proc/{process}/status").read_text() for process in processes)
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 2**20


def run_group(group: str, repeats: int) -> dict[str, dict]:
    turns: dict[str, list[dict]] = {name: [] for name in GROUPS[group]}
    for turn in range(repeats):
        for name, rows in turns.items():
            command = [sys.executable, __file__, "--child", group, name, str(turn)]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            rows.append(json.loads(answer))
            print(group, name, rows[-1], file=sys.stderr, flush=True)
    return {name: summary(rows) | {"what": GROUPS[group][name]} for name, rows in turns.items()}


def summary(rows: list[dict]) -> dict:
    rates = [row["audio_seconds"] / row["seconds"] for row in rows]
    return {
        "audio_seconds_per_second": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "peak_gb": max(row["peak_gb"] for row in rows),
        "seconds": [round(row["seconds"], 3) for row in rows],
    }


def machine() -> dict:
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def ratios(groups: dict[str, dict[str, dict]]) -> dict[str, float]:
    """How many times faster ours is, by medians, and int8 than ours in float32; and ours of their memory."""
    found = {}
    for group, rows in groups.items():
        exact = rows["ours"]["audio_seconds_per_second"]
        for name, row in rows.items():
            if name == "ours_int8":
                found[f"{group}, int8 against ours"] = row["audio_seconds_per_second"] / exact
            elif name != "ours":
                against = name.removeprefix("theirs").strip("_")
                key = f"{group}, {against}" if against else group
                found[key] = exact / row["audio_seconds_per_second"]
        if group == "mixed":
            found["mixed, peak memory"] = rows["ours"]["peak_gb"] / rows["theirs"]["peak_gb"]
    return found


def draw(groups: dict[str, dict[str, dict]], path: Path) -> None:
    figure, axes = plt.subplots(len(groups), 1, figsize=(9, 1.6 * len(groups)), layout="constrained", squeeze=False)
    for axis, (group, rows) in zip(axes[:, 0], groups.items(), strict=True):
        names = list(rows)[::-1]
        values = [rows[name]["audio_seconds_per_second"] for name in names]
        spread = np.abs([[rows[n][edge] for n in names] for edge in ("lowest", "highest")] - np.array(values))
        colours = ["tab:blue" if name.startswith("ours") else "lightgrey" for name in names]
        axis.barh([rows[name]["what"] for name in names], values, xerr=spread, color=colours)
        axis.set_title(TITLES[group], fontsize=10, loc="left")
        axis.bar_label(axis.containers[-1], [f"{value:.2f}" for value in values], padding=8, fontsize=8)
        axis.margins(x=0.12)
        axis.tick_params(labelsize=8)
    axes[-1, 0].set_xlabel("audio-seconds a second, median of the turns; lines from lowest to highest", fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--child", nargs=3)
    arguments = parser.parse_args()
    if arguments.child:
        group, name, turn = arguments.child
        child(group, name, int(turn))
        return
    if arguments.folder is None:
        parser.error("name a folder for speed.json and speed.png")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    groups = {group: run_group(group, arguments.repeats) for group in arguments.only}
    result = {"machine": machine(), "repeats": arguments.repeats, "groups": groups, "ratios": ratios(groups)}
    (arguments.folder / "speed.json").write_text(json.dumps(result, indent=2) + "\n")
    draw(groups, arguments.folder / "speed.png")
    for name, ratio in result["ratios"].items():
        print(f"{name:28} {ratio:.2f}")


if __name__ == "__main__":
    main()
