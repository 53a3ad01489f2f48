"""Memory of one training step of wav2vec 2.0 Large with a decoder of six layers on top.

    python benchmarks/sequences_memory.py [--seconds 10] [--clips 2] [--trains all]

Weights are random, in the published shapes; nothing is downloaded. The step is that of hybrid CTC/attention over clips
of words: forward, backward and AdamW, whose moments are there from the start, as in every step after the first. The
peak of the process must stay below 12 GB.
"""

import argparse
import json
import resource
import time

import torch

from emotune.batch import Batch
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.models.sequences.base import build_base
from emotune.models.sequences.sequence_model import CTC, TASK, TOKENS, SequenceModel
from emotune.models.sequences.spoken_task import SpokenTask
from emotune.training.sequences.sequence_task import SequenceTask, Shares
from emotune.training.sequences.train_sequences import count_parameters

LIMIT_GB = 12
DECODER = {"d_model": 1024, "decoder_layers": 6, "decoder_attention_heads": 16, "decoder_ffn_dim": 4096}
WORDS = SpokenTask("words", "text", "text", size=64, ctc=True, most_tokens=200)
ANSWER = "the quick brown fox jumps over the lazy dog and sleeps in the warm afternoon sun"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--trains", choices=["all", "adapters"], default="all")
    options = parser.parse_args()
    torch.manual_seed(0)
    began = time.perf_counter()
    backbone = BACKBONES["wav2vec2"].from_config({**LARGE_SHAPE, "do_stable_layer_norm": True, "final_norm": True})
    model = SequenceModel(build_base(backbone, DECODER), trains=options.trains)
    model.add(WORDS)
    task, spelt = SequenceTask({"words": Shares(ctc=0.3)}), model.tasks["words"]
    waveforms = 0.1 * torch.randn(options.clips, round(16000 * options.seconds))
    targets = {
        TASK: torch.zeros(options.clips, 1),
        TOKENS: torch.tensor([spelt.tokens(ANSWER)] * options.clips, dtype=torch.float32),
        CTC: torch.tensor([spelt.ctc_targets(ANSWER)] * options.clips, dtype=torch.float32),
    }
    batch = Batch(waveforms, torch.ones_like(waveforms, dtype=torch.bool), targets)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    optimiser.zero_grad()
    model.train()
    built = time.perf_counter()
    losses = task.mean_losses(model(batch), batch, task.normalisers(batch))
    loss = torch.stack(list(losses.values())).sum()
    loss.backward()
    optimiser.step()
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    counts = count_parameters(model)
    found = {
        "trains": options.trains,
        "parameters": counts["parameters"],
        "trainable": counts["trainable"],
        "clips": options.clips,
        "seconds_each": options.seconds,
        "loss": round(loss.item(), 3),
        "build_s": round(built - began, 1),
        "step_s": round(time.perf_counter() - built, 1),
        "peak_gb": round(peak_gb, 2),
    }
    print(json.dumps(found))
    if peak_gb > LIMIT_GB:
        raise SystemExit(f"the peak lies above {LIMIT_GB} GB")


if __name__ == "__main__":
    main()
