"""LoRA on the attention of WavLM Base+: what it changes in our WavLM, and in transformers' own.

    python benchmarks/lora_acts.py

Random weights of the published shape, the same in both; LoRA of rank 16 on q, k, v and out of all layers with a random
change, one clip of 2 s. Prints how far the last hidden state moves, the norm of the gradient that reaches the matrices,
and how far the merged model lies from the adapted one. transformers' WavLM hands its attention weights, not its linear
layers, to PyTorch, so that nothing that replaces a linear layer is ever called.
"""

import torch
import transformers
from torch import Tensor, nn

from emotune.models.adapters import ADAPTERS
from emotune.models.adapters.lora import LoRALinear, merge_lora
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.checkpoint import load_weights

TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj"]


def norm(parameters: list[nn.Parameter]) -> float:
    """Of all gradients together; where there is none it counts as zero."""
    return float(torch.stack([torch.zeros(()) if p.grad is None else p.grad.norm() for p in parameters]).norm())


def largest(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max())


def main() -> None:
    torch.manual_seed(0)
    config = transformers.WavLMConfig()
    theirs = transformers.WavLMModel(config).eval()
    ours = BACKBONES["wavlm"].from_config({}).eval()
    load_weights(ours, theirs.state_dict(), source="transformers")
    waveforms = torch.randn(1, 32000)
    mask = torch.ones_like(waveforms, dtype=torch.bool)
    before = {"emotune": ours(waveforms, mask).states[-1], "transformers": theirs(waveforms).last_hidden_state}
    ADAPTERS["lora"](ours, ours.layer_modules(), rank=16, targets=TARGETS)
    in_theirs = []
    for layer in theirs.encoder.layers:
        for name in TARGETS:
            adapted = LoRALinear(getattr(layer.attention, name), rank=16, alpha=16.0, dropout=0.0)
            setattr(layer.attention, name, adapted)
            in_theirs.append(adapted)
    adapted_parts = {"emotune": [m for m in ours.modules() if isinstance(m, LoRALinear)], "transformers": in_theirs}
    for parts in adapted_parts.values():
        for part in parts:
            nn.init.normal_(part.lora_b, std=0.1)
    after = {"emotune": ours(waveforms, mask).states[-1], "transformers": theirs(waveforms).last_hidden_state}
    for name, parts in adapted_parts.items():
        after[name].square().mean().backward()
        parameters = [parameter for part in parts for parameter in (part.lora_a, part.lora_b)]
        moved, gradient = largest(before[name], after[name]), norm(parameters)
        print(f"{name:13} moved by {moved:.3g}, gradient norm {gradient:.3g}, {len(parts)} linear layers")
    merge_lora(ours)
    print(f"merged against adapted: {largest(after['emotune'], ours(waveforms, mask).states[-1]):.2g}")


if __name__ == "__main__":
    main()
