"""One GPU, at most eight minutes: equal to the CPU? how fast against transformers? how near the peak?

    python benchmarks/gpu.py OUTPUT_FOLDER [--seconds 60] [--device cuda]

It needs the working tree, PyTorch with CUDA and transformers, and nothing from the network. It checks that WavLM Large
in float32 gives on the GPU what it gives on the CPU, alone and in a padded batch, and that attention by FlexAttention,
with the gated bias as a score modifier, equals attention with the bias as a mask. Then it measures prediction and
training of Large in bf16 at mixed lengths (2-12 s, mean 5.4 s): ours in batches of similar length, theirs in padded
batches of 8 and of 32 in random order. Audio-seconds do not count padding. `--device cpu --tiny` runs all of it with a
tiny model in float32, which tests do. Writes gpu.json.
"""

import argparse
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
import transformers
from speed import lengths_like_msp_podcast, noise
from torch import nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import flex_attention

import emotune
from emotune.batch import Batch, pad
from emotune.data.duration_batches import DurationBatches
from emotune.models.backbones import BACKBONES, family
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.models.backbones.layouts import Padded
from emotune.models.emotion_model import EmotionModel

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
RATE_HZ, CLIPS = 16000, 256
TRAINED_SECONDS = 160.0
EPOCH_HOURS = 135
MATRIX_PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
"""Dense bf16 as published, for the share of the peak."""
GFLOP_PER_AUDIO_SECOND = 37.2
TOLERANCE = 1e-3
"""Of the largest value: float32 on a GPU adds in another order."""


def attention_by_flex(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, gate: torch.Tensor, layout: Padded, *, heads: int
) -> torch.Tensor:
    """Attention with the gated bias as a score modifier: the bias of (batch, heads, frames, frames) is never made."""
    parts = [part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (query, key, value)]
    table, mask = layout.position_bias, layout.mask

    def score(scores, batch, head, row, column):
        biased = scores + gate[batch, row, head] * table[head, row, column]
        return torch.where(mask[batch, column], biased, -float("inf"))

    attend = compiled_flex() if query.device.type == "cuda" else flex_attention
    return attend(*parts, score_mod=score).transpose(1, 2).flatten(2)


@functools.cache
def compiled_flex() -> Callable[..., torch.Tensor]:
    """FlexAttention as one kernel; without a compiler it makes all scores."""
    return torch.compile(flex_attention, dynamic=True)


class FlexPadded(Padded):
    """Padded layout whose gated attention goes through FlexAttention, which knows no dropout."""

    def attend(self, query, key, value, gate, *, heads: int, dropout: float) -> torch.Tensor:
        if gate is None or dropout:
            return super().attend(query, key, value, gate, heads=heads, dropout=dropout)
        return attention_by_flex(query, key, value, gate, self, heads=heads)


@contextmanager
def flex_in_place() -> Iterator[None]:
    """The encoder's padded attention goes through FlexAttention in the block."""
    family.Padded = FlexPadded
    try:
        yield
    finally:
        family.Padded = Padded


class Runs:
    """What is measured on a device.

    Args:
        device: cpu or cuda.
        config: of WavLM.
        precision: of autocast; None = float32.
        seconds: how long each contender works.
    """

    def __init__(self, device: str, config: dict, precision: torch.dtype | None, seconds: float) -> None:
        self.device, self.config, self.precision, self.seconds = device, config, precision, seconds

    def autocast(self):
        return nullcontext() if self.precision is None else torch.autocast(self.device, self.precision)

    def ours(self) -> EmotionModel:
        torch.manual_seed(0)
        backbone = BACKBONES["wavlm"].from_config(self.config)
        space = emotune.LabelSpace(tuple(f"class {number}" for number in range(8)))
        model = EmotionModel(backbone, space, layer_mix="last", pooling="mean")
        model.choose_trainable(layers="all", front_end=False)
        return model.to(self.device)

    def theirs(self) -> nn.Module:
        torch.manual_seed(0)
        config = transformers.WavLMConfig(**self.config, apply_spec_augment=False, layerdrop=0.0)
        model = transformers.WavLMModel(config)
        model.freeze_feature_encoder()
        return model.to(self.device)

    def equality(self) -> dict[str, float]:
        """Largest differences between devices, between alone and together, and between two ways of attention."""
        with torch.inference_mode():
            backbone = self.ours().eval().backbone
            batch = pad([noise(samples, samples) for samples in (RATE_HZ, 2 * RATE_HZ + 77, 3 * RATE_HZ)])
            here = backbone(*_on(batch, self.device))
            alone = backbone(*_on(pad([noise(RATE_HZ, RATE_HZ)]), self.device)).states[-1][0]
            at_cpu = backbone.cpu()(batch.waveforms, batch.mask)
            scale = at_cpu.states[-1][at_cpu.mask].abs().max().item()
            difference = (here.states[-1].cpu() - at_cpu.states[-1])[at_cpu.mask].abs().max().item() / scale
            together = here.states[-1][0, : len(alone)]
            mates = (together - alone).abs().max().item() / scale
        found = {"cpu": difference, "batch": mates, "flex": self.flex_difference()}
        wrong = {name: value for name, value in found.items() if not value < TOLERANCE}
        if wrong:
            sys.exit(f"not equal: {wrong}")
        return found

    @torch.inference_mode()
    def flex_difference(self) -> float:
        """Between FlexAttention and the bias as a mask."""
        torch.manual_seed(0)
        heads = self.config["num_attention_heads"]
        frames, width = 96, self.config["hidden_size"]
        parts = [torch.randn(2, frames, width, device=self.device) for _ in range(3)]
        gate = torch.rand(2, frames, heads, device=self.device)
        mask = torch.ones(2, frames, dtype=torch.bool, device=self.device)
        mask[0, 60:] = False
        layout = Padded(mask, torch.randn(heads, frames, frames, device=self.device), is_padded=True)
        plain = layout.attend(*parts, gate, heads=heads, dropout=0.0)
        return (attention_by_flex(*parts, gate, layout, heads=heads) - plain)[mask].abs().max().item()

    def rate(self, work: Callable[[Batch], object], batches: Iterator[list[int]]) -> dict[str, float]:
        """Audio-seconds a second of going through batches, after a warm-up, and the peak of memory."""
        for _ in range(2):
            self._run(work, next(batches))
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        done, began = 0.0, time.perf_counter()
        while time.perf_counter() - began < self.seconds:
            done += self._run(work, next(batches))
        took = time.perf_counter() - began
        memory = torch.cuda.max_memory_allocated() / 2**30 if self.device == "cuda" else 0.0
        return {"audio_seconds_per_second": done / took, "memory_gb": memory}

    def _run(self, work: Callable[[Batch], object], lengths: list[int]) -> float:
        work(pad([noise(samples) for samples in lengths]))
        if self.device == "cuda":
            torch.cuda.synchronize()
        return sum(lengths) / RATE_HZ

    def prediction(self, model: nn.Module, forward: Callable[[Batch], object]) -> Callable[[Batch], object]:
        model.eval()

        @torch.inference_mode()
        def work(batch: Batch) -> None:
            with self.autocast():
                forward(batch)

        return work

    def training(self, model: nn.Module, features: Callable[[Batch], torch.Tensor]) -> Callable[[Batch], object]:
        """A step on each batch: forward, backward, AdamW; mean over time, a linear head, cross-entropy."""
        model.train()
        head = nn.Linear(self.config["hidden_size"], 8, device=self.device)
        parameters = [p for p in [*model.parameters(), *head.parameters()] if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=1e-5, fused=True)

        def work(batch: Batch) -> None:
            with self.autocast():
                logits = head(features(batch))
                F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=self.device)).backward()
            optimiser.step()
            optimiser.zero_grad()

        return work

    def contenders(self) -> Iterator[tuple[str, str, Callable[[Batch], object], Iterator[list[int]]]]:
        """Task, contender, work and its batches; each model is gone before the next is made."""
        for task in ("prediction", "training"):
            ours = self.ours()
            if task == "prediction":
                work = self.prediction(ours, lambda batch, model=ours: model(batch.to(self.device)))
            else:
                work = self.training(ours, lambda batch, m=ours: m.pooled(*_on(batch, self.device)))
            yield task, "ours", work, similar_batches()
            if task == "prediction":
                with flex_in_place():
                    yield task, "ours, FlexAttention", work, similar_batches()
            del ours, work
            for size in (8, 32):
                theirs = self.theirs()

                def mean(batch: Batch, model: nn.Module = theirs) -> torch.Tensor:
                    waveforms, mask = _on(batch, self.device)
                    hidden = model(waveforms, attention_mask=mask.long()).last_hidden_state
                    real = model._get_feature_vector_attention_mask(hidden.shape[1], mask.long())[:, :, None]
                    return (hidden * real).sum(dim=1) / real.sum(dim=1)

                work = (self.prediction if task == "prediction" else self.training)(theirs, mean)
                yield task, f"transformers, padded batches of {size}", work, random_batches(size)
                del theirs, work, mean


def _on(batch: Batch, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    here = batch.to(device)
    return here.waveforms, here.mask


def random_batches(size: int) -> Iterator[list[int]]:
    lengths = lengths_like_msp_podcast(CLIPS, 0)
    while True:
        yield from (lengths[start : start + size] for start in range(0, CLIPS, size))


def similar_batches() -> Iterator[list[int]]:
    lengths = lengths_like_msp_podcast(CLIPS, 0)
    sampler = DurationBatches([samples / RATE_HZ for samples in lengths], batch_seconds=TRAINED_SECONDS, seed=0)
    while True:
        yield from ([lengths[index] for _, index in batch] for batch in sampler)


def matrix_share(name: str, rate: float, *, trains: bool) -> float | None:
    """Share of the published matrix peak; a training step costs three forwards of all but the front end."""
    peak = next((peak for card, peak in MATRIX_PEAK_TFLOPS.items() if card in name), None)
    gflop = GFLOP_PER_AUDIO_SECOND * 3 - 2 * 4.9 if trains else GFLOP_PER_AUDIO_SECOND
    return None if peak is None else rate * gflop / 1000 / peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    began = time.perf_counter()
    config = TINY if arguments.tiny else LARGE_SHAPE
    runs = Runs(arguments.device, config, None if arguments.tiny else torch.bfloat16, arguments.seconds)
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else arguments.device
    result = {"device": name, "torch": torch.__version__, "transformers": transformers.__version__}
    result["differences"] = runs.equality()
    print(result, flush=True)
    result["rates"] = rates = {"prediction": {}, "training": {}}
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for task, contender, work, batches in runs.contenders():
        try:
            row = runs.rate(work, batches)
        except Exception as error:
            if "Flex" not in contender:
                raise
            print(f"{contender} failed: {error}", flush=True)  # a compiler may be missing; the plain way is measured
            continue
        row["share_of_matrix_peak"] = matrix_share(name, row["audio_seconds_per_second"], trains=task == "training")
        rates[task][contender] = row
        print(task, contender, row, flush=True)
        (arguments.folder / "gpu.json").write_text(json.dumps(result, indent=2))  # a run that is cut short leaves rows
    for rows in rates.values():
        ours = rows["ours"]["audio_seconds_per_second"]
        for row in rows.values():
            row["ours_times"] = ours / row["audio_seconds_per_second"]
    result["minutes_an_epoch_of_135_hours"] = EPOCH_HOURS * 60 / rates["training"]["ours"]["audio_seconds_per_second"]
    result["seconds"] = time.perf_counter() - began
    (arguments.folder / "gpu.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
