"""Where the time of prediction and of a training step goes on a CPU, and how near each part comes to the peak product.

    python benchmarks/profile_parts.py [--work single mixed step] [--threads 1 2] [--precision fp32 int8] [--layers 24]

Prints one table for each: a part, its seconds and share of the whole, its GFLOP a second and the share of the best
product that was measured in the same run (2000 x 1024 x 4096; the better of MKL and oneDNN). Prediction is of WavLM
Large, one clip of 5 s or 40 s of clips of mixed lengths; the step is of Base+, 4 x 5 s, front end frozen. With fewer
layers it is over sooner, and the parts before the layers weigh more.
"""

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from speed import lengths_like_msp_podcast, machine, noise
from torch.nn import functional as F
from torch.profiler import record_function

import emotune
from emotune.batch import pad
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.convolutions import FeatureExtractor
from emotune.models.backbones.eight_bits import EightBitLinear, has_eight_bits, to_eight_bits
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.models.backbones.transformer import PositionalConvolution
from emotune.models.emotion_model import EmotionModel
from emotune.runtime.memory_allocator import keep_freed_memory

FRONT_END, POSITIONS = "front end", "positions"
PARTS = {
    "linears": ("_linear_pointwise", "qlinear_pointwise", "aten::addmm", "aten::mm", "_Product"),
    "attention": ("scaled_dot_product", "softmax", "aten::bmm"),
    "norms": ("layer_norm",),
    "GELU": ("gelu",),
    "dropout": ("bernoulli", "masked_fill", "aten::lt", "random"),
    "rounding to eight bits": ("aten::addcmul", "aten::amax", "aten::abs"),
    "copies": ("copy_", "aten::cat", "contiguous", "clone", "zero_", "fill_"),
    "optimiser": ("adam", "Optimizer", "foreach"),
}
"""Part -> pieces of the names of PyTorch's operations."""


def peaks(precision: str) -> float:
    """The best product that was measured, GFLOP a second."""
    rows, inputs, outputs = 2000, 1024, 4096
    hidden, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
    ways: list[Callable[[], object]] = [lambda: F.linear(hidden, weight)]
    if torch.backends.mkldnn.is_available():
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(hidden, weight, None, "none", [], ""))
    if precision == "bf16":
        halves = hidden.bfloat16(), weight.bfloat16()
        ways = [lambda: F.linear(*halves)]
    if precision == "int8":
        whole = hidden.to(torch.int8), weight.to(torch.int8).T
        ways = [lambda: torch._int_mm(*whole)]
        if has_eight_bits():
            ways.append(_unsigned_product(EightBitLinear(weight, None), hidden))
    return max(2e-9 * rows * inputs * outputs / _least(way) for way in ways)


def _unsigned_product(layer: EightBitLinear, hidden: torch.Tensor) -> Callable[[], object]:
    """The product alone, of inputs that are rounded already."""
    inputs = (hidden.to(torch.uint8), 1.0, 128, layer.weight, layer.scales, layer.zeros)
    return lambda: torch.ops.onednn.qlinear_pointwise(*inputs, None, 1.0, 0, torch.float32, "none", [], "")


def _least(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def gflop(name: str, shapes: list) -> float:
    """Of an operation, by the shapes of its inputs; 0 for what is no product."""
    matrices = [shape for shape in shapes if len(shape) >= 2]
    if any(piece in name for piece in ("_linear_pointwise", "qlinear_pointwise", "::mm", "::addmm")):
        rows, weight = matrices[0], matrices[1]
        outputs = math.prod(weight) / rows[-1]
        return 2e-9 * math.prod(rows) * outputs
    if "::bmm" in name or "baddbmm" in name:
        left, right = matrices[-2:]
        return 2e-9 * math.prod(left) * right[-1]
    if "flash_attention" in name or "attention_math" in name:
        batch, heads, frames, width = shapes[0]
        return 4e-9 * batch * heads * frames**2 * width
    if "mkldnn_convolution" in name:
        return 2e-9 * math.prod(shapes[1]) * shapes[0][-1]
    return 0.0


def tell_apart() -> None:
    """Names the front end and the positions in the profile."""
    for owner, method, name in (
        (FeatureExtractor, "of_each_clip", FRONT_END),
        (FeatureExtractor, "forward", FRONT_END),
        (PositionalConvolution, "forward", POSITIONS),
    ):
        original = getattr(owner, method)

        def named(*arguments, original=original, name=name, **options):
            with record_function(name):
                return original(*arguments, **options)

        setattr(owner, method, named)


def part_of(event) -> str:
    """The part of the model that an operation belongs to."""
    ancestor = event
    while ancestor is not None:
        if ancestor.name in (FRONT_END, POSITIONS):
            return ancestor.name
        ancestor = ancestor.cpu_parent
    for part, pieces in PARTS.items():
        if any(piece in event.name for piece in pieces):
            return part
    return "the rest"


def prediction(lengths: list[int], precision: str, layers: int | None) -> Callable[[], object]:
    torch.manual_seed(0)
    backbone = BACKBONES["wavlm"].from_config(LARGE_SHAPE, layers=layers).eval()
    if precision == "int8":
        to_eight_bits(backbone)
    batch = pad([noise(samples) for samples in lengths])

    @torch.inference_mode()
    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            backbone(batch.waveforms, batch.mask)

    return work


def step(layers: int | None) -> Callable[[], object]:
    torch.manual_seed(0)
    backbone = BACKBONES["wavlm"].from_config({}, layers=layers)
    model = EmotionModel(backbone, emotune.LabelSpace(("anger", "neutral")), layer_mix="last", pooling="mean")
    model.choose_trainable(layers="all", front_end=False)
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5, fused=True)
    batch = pad([noise(80000)] * 4)

    def work() -> None:
        F.cross_entropy(model(batch).heads["classes"], torch.zeros(4, dtype=torch.long)).backward()
        optimiser.step()
        optimiser.zero_grad()

    return work


def show(title: str, work: Callable[[], object], peak: float) -> None:
    work()
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profile:
        work()
    seconds, flops = defaultdict(float), defaultdict(float)
    for event in profile.events():
        part = part_of(event)
        seconds[part] += event.self_cpu_time_total / 1e6
        flops[part] += gflop(event.name, event.input_shapes or [])
    whole = sum(seconds.values())
    print(f"\n{title}: {took:.2f} s, {sum(flops.values()) / took:.0f} of {peak:.0f} GFLOP/s", flush=True)
    print("| part | share of time | GFLOP/s | of the peak |\n|---|---|---|---|")
    for part in sorted(seconds, key=seconds.__getitem__, reverse=True):
        rate = flops[part] / seconds[part] if seconds[part] else 0.0
        products = f"{rate:.0f} | {rate / peak:.0%}" if flops[part] else "- | -"
        print(f"| {part} | {seconds[part] / whole:.1%} | {products} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", nargs="+", choices=["single", "mixed", "step"], default=["single", "mixed", "step"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--precision", nargs="+", choices=["fp32", "int8", "bf16"], default=["fp32", "int8"])
    parser.add_argument("--layers", type=int)
    arguments = parser.parse_args()
    keep_freed_memory()
    tell_apart()
    print(machine())
    mixed = lengths_like_msp_podcast(40, 0)
    lengths = {"single": [80000], "mixed": mixed[: int(np.searchsorted(np.cumsum(mixed), 40 * 16000))]}
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for precision in arguments.precision:
            peak = peaks(precision)
            for name in arguments.work:
                if name != "step":
                    work = prediction(lengths[name], precision, arguments.layers)
                    show(f"{name}, {precision}, threads {threads}", work, peak)
                elif precision == "fp32":
                    show(f"step, fp32, threads {threads}", step(arguments.layers), peak)


if __name__ == "__main__":
    main()
