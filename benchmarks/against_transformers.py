"""How far our WavLM, HuBERT and wav2vec 2.0 lie from transformers' own, at their published sizes, state by state.

    python benchmarks/against_transformers.py [--layers K]

Random weights of the published shapes, every one moved away from its initial value; three clips of 1, 3 and 5 s, each
alone in transformers. Ours runs them alone, packed (without a graph) and padded (with one). Prints, for each model, the
largest absolute difference over all hidden states, the state where it lies, and the largest value in the states.
"""

import argparse

import numpy as np
import torch
import transformers

from emotune.batch import pad
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_weights
from emotune.models.backbones.family import LARGE_SHAPE

BASE: dict = {"hidden_dropout": 0.0}
MODELS = {
    "WavLM Base": ("wavlm", "WavLM", BASE),
    "WavLM Base+": ("wavlm", "WavLM", BASE),
    "WavLM Large": ("wavlm", "WavLM", LARGE_SHAPE),
    "HuBERT Base": ("hubert", "Hubert", BASE),
    "HuBERT Large": ("hubert", "Hubert", {**LARGE_SHAPE, "conv_bias": True}),
    "wav2vec 2.0 Base": ("wav2vec2", "Wav2Vec2", BASE),
    "wav2vec 2.0 Large": ("wav2vec2", "Wav2Vec2", {**LARGE_SHAPE, "conv_bias": True}),
}
SECONDS = (1.0, 3.0, 5.0)


def moved(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.5 if "rel_attn_embed" in name else 0.2 * float(parameter.abs().mean()) + 0.001
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def raw_states(model: torch.nn.Module, waveform: torch.Tensor) -> list[torch.Tensor]:
    """Input of the first layer and each layer's raw output: what `hidden_states` holds differs between versions."""
    states: list[torch.Tensor] = []
    layers = list(model.encoder.layers)
    hooks = [layers[0].register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))]
    hooks += [
        layer.register_forward_hook(lambda _, __, out: states.append(out[0] if isinstance(out, tuple) else out))
        for layer in layers
    ]
    model(waveform)
    for hook in hooks:
        hook.remove()
    return states


def compare(name: str, ours: Backbone, theirs: torch.nn.Module) -> None:
    generator = np.random.default_rng(0)
    clips = [generator.standard_normal(round(16000 * seconds)).astype(np.float32) * 0.3 for seconds in SECONDS]
    with torch.no_grad():
        expected = [raw_states(theirs, torch.from_numpy(clip)[None]) for clip in clips]
        alone = [ours(*_inputs([clip])).states for clip in clips]
        packed = ours(*_inputs(clips)).states
    padded = ours(*_inputs(clips)).states
    largest = max(float(state.abs().max()) for states in expected for state in states)
    found = []
    for states_of in (
        lambda row: [s[0] for s in alone[row]],
        lambda row: [s[row] for s in packed],
        lambda row: [s[row].detach() for s in padded],
    ):
        differences = [
            max(float((states_of(row)[k][: len(e[k][0])] - e[k][0]).abs().max()) for row, e in enumerate(expected))
            for k in range(len(expected[0]))
        ]
        found.append(f"{max(differences):.1e} (state {int(np.argmax(differences))})")
    print(
        f"{name:20} alone {found[0]:20} packed {found[1]:20} padded {found[2]:20} largest value {largest:.1f}",
        flush=True,
    )


def _inputs(clips: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = pad(clips)
    return batch.waveforms, batch.mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, help="only so many layers, to be quick")
    arguments = parser.parse_args()
    for seed, (name, (kind, prefix, config)) in enumerate(MODELS.items()):
        settings = {**config} | ({"num_hidden_layers": arguments.layers} if arguments.layers else {})
        torch.manual_seed(seed)
        config_class = getattr(transformers, f"{prefix}Config")
        theirs = moved(getattr(transformers, f"{prefix}Model")(config_class(**settings)), seed)
        ours = BACKBONES[kind].from_config(settings).eval()
        load_weights(ours, theirs.state_dict(), source="transformers")
        compare(name, ours, theirs)


if __name__ == "__main__":
    main()
