"""Loading WavLM Large from disk: time and memory of each way, each in a process of its own, in turn.

    python benchmarks/loading.py [--repeats 5] [--layers 24]

Weights are drawn once, in the published shape, and lie in the page cache. Time is that of the call, without imports, on
the clock and of the processor, which other work on the machine disturbs less; memory is what the process holds more at
its peak than before. "Drawn, then copied" builds the model with random weights and copies a file that is held whole:
what emotune itself did before it read weights into their place. Every way must end with the same bits.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from emotune.audio.preprocessing import Preprocessing
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.checkpoint import load_pretrained, load_weights
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.models.emotion_model import EmotionModel
from emotune.models.store import fingerprint_of, load_model, save_model
from emotune.schema.labels import LabelSpace

CLASSES = ("anger", "happiness", "neutral", "sadness")


def drawn_checkpoint(folder: Path) -> nn.Module:
    config = json.loads((folder / "config.json").read_text())
    model = BACKBONES["wavlm"].from_config(config)
    load_weights(model, safetensors.torch.load_file(folder / "model.safetensors"), source="the file")
    return model


def drawn_model(folder: Path) -> nn.Module:
    model = EmotionModel.from_config(json.loads((folder / "config.json").read_text()))
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    model.load_state_dict(tensors)
    fingerprint_of(folder)
    return model.eval()


def transformers_checkpoint(folder: Path) -> nn.Module:
    from transformers import WavLMModel

    return WavLMModel.from_pretrained(folder)


WAYS: dict[str, tuple[str, Callable[[Path], nn.Module]]] = {
    "checkpoint: emotune": ("checkpoint", lambda folder: load_pretrained("wavlm", folder)),
    "checkpoint: drawn, then copied": ("checkpoint", drawn_checkpoint),
    "checkpoint: transformers": ("checkpoint", transformers_checkpoint),
    "model folder: emotune": ("model", lambda folder: load_model(folder).model),
    "model folder: drawn, then copied": ("model", drawn_model),
}


def peak_gb() -> float:
    """Of this program alone: what getrusage says would begin at what the parent held."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e9


def turn(way: str, folder: Path) -> None:
    """Load once and print seconds, gigabytes and a digest of the weights."""
    kind, load = WAYS[way]
    if "transformers" in way:
        import transformers.models.wavlm.modeling_wavlm  # noqa: F401
    before, began, worked = peak_gb(), time.perf_counter(), time.process_time()
    model = load(folder / kind)
    seconds, cpu, grown = time.perf_counter() - began, time.process_time() - worked, peak_gb() - before
    digest = hashlib.sha256()
    for _, tensor in sorted(model.state_dict().items()):
        digest.update(tensor.numpy().tobytes())
    print(json.dumps({"seconds": seconds, "cpu": cpu, "gb": grown, "digest": digest.hexdigest()[:12]}))


def write_weights(folder: Path, layers: int) -> None:
    torch.manual_seed(0)
    shape = {**LARGE_SHAPE, "num_hidden_layers": layers}
    backbone = BACKBONES["wavlm"].from_config({**shape, "final_norm": True})
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "config.json").write_text(json.dumps({"model_type": "wavlm", **shape}))
    published = {**backbone.state_dict(), "masked_spec_embed": torch.zeros(backbone.hidden_size)}
    safetensors.torch.save_file(published, folder / "checkpoint" / "model.safetensors", metadata={"format": "pt"})
    model = EmotionModel(load_pretrained("wavlm", folder / "checkpoint"), LabelSpace(CLASSES))
    save_model(folder / "model", model, Preprocessing("clip", min_samples=backbone.min_samples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--turn", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.turn:
        turn(asked.turn[0], Path(asked.turn[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        write_weights(Path(name), asked.layers)
        found: dict[str, list[dict]] = {way: [] for way in WAYS}
        for _ in range(asked.repeats):
            for way, turns in found.items():
                ended = subprocess.run(
                    [sys.executable, __file__, "--turn", way, name], stdout=subprocess.PIPE, text=True, check=True
                )
                turns.append(json.loads(ended.stdout.splitlines()[-1]))
    for way, turns in found.items():
        seconds = sorted(own["seconds"] for own in turns)
        print(
            f"{way:34}{statistics.median(seconds):6.2f} s [{seconds[0]:.2f}, {seconds[-1]:.2f}]"
            f"{statistics.median(own['cpu'] for own in turns):7.2f} s of CPU"
            f"{max(own['gb'] for own in turns):7.2f} GB  {', '.join({own['digest'] for own in turns})}"
        )


if __name__ == "__main__":
    main()
