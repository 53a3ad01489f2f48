"""emotion2vec written plainly from its description, under its published names: one clip at a time, no tricks."""

import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

SMALL = {"features": 32, "heads": 4, "prenet": 1, "depth": 2, "kernel": 5, "positions": 2, "extra": 3, "channels": 16}
"""Sizes of a small one."""
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
SETTINGS = """
model: Emotion2vec
model_conf:
    normalize: true
    layer_norm_first: false
    norm_eps: 1.0e-05
    norm_affine: true
    modalities:
        audio:
            use_alibi_encoder: true
            learned_alibi: false
            learned_alibi_scale_per_layer: false
            extractor_mode: layer_norm
            conv_pos_pre_ln: false
"""
TOKENS = ["angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "<unk>"]
GROUPS = 4


def weights_of(*, seed: int = 0, classes: int = 9, **sizes: int) -> dict[str, Tensor]:
    """Random weights under the published names."""
    size = SMALL | sizes
    torch.manual_seed(seed)
    features, channels, inner = size["features"], size["channels"], 2 * size["features"]
    audio = "modality_encoders.AUDIO."
    shapes: dict[str, tuple[int, ...]] = {}
    for place, kernel in enumerate(KERNELS):
        layer = f"{audio}local_encoder.conv_layers.{place}"
        shapes[f"{layer}.0.weight"] = (channels, channels if place else 1, kernel)
        shapes |= {f"{layer}.2.1.weight": (channels,), f"{layer}.2.1.bias": (channels,)}
    shapes |= {f"{audio}project_features.1.weight": (channels,), f"{audio}project_features.1.bias": (channels,)}
    shapes |= {
        f"{audio}project_features.2.weight": (features, channels),
        f"{audio}project_features.2.bias": (features,),
    }
    for place in range(1, size["positions"] + 1):
        layer = f"{audio}relative_positional_encoder.{place}.0"
        shapes[f"{layer}.weight"] = (features, features // GROUPS, size["kernel"])
        shapes[f"{layer}.bias"] = (features,)
    shapes |= {f"{audio}extra_tokens": (1, size["extra"], features), f"{audio}alibi_scale": (1, 1, size["heads"], 1, 1)}
    shapes |= {f"{audio}context_encoder.norm.weight": (features,), f"{audio}context_encoder.norm.bias": (features,)}
    blocks = [f"{audio}context_encoder.blocks.{n}" for n in range(size["prenet"])]
    for block in blocks + [f"blocks.{n}" for n in range(size["depth"])]:
        for part, (rows, columns) in {
            "attn.qkv": (3 * features, features),
            "attn.proj": (features, features),
            "mlp.fc1": (inner, features),
            "mlp.fc2": (features, inner),
        }.items():
            shapes |= {f"{block}.{part}.weight": (rows, columns), f"{block}.{part}.bias": (rows,)}
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}.{norm}.weight": (features,), f"{block}.{norm}.bias": (features,)}
    shapes |= {f"{audio}decoder.proj.weight": (features, 8), f"{audio}decoder.proj.bias": (features,)}
    shapes |= {"proj.weight": (classes, features), "proj.bias": (classes,)} if classes else {}
    drawn = {name: torch.randn(shape) / math.sqrt(math.prod(shape[1:]) or 1) for name, shape in shapes.items()}
    return {
        name: value + 1 if value.ndim == 1 and name.endswith("weight") else value for name, value in drawn.items()
    } | {
        f"{audio}alibi_scale": torch.rand(1, 1, size["heads"], 1, 1) - 0.2  # below zero counts as zero
    }


def states_of(weights: dict[str, Tensor], waveform: Tensor) -> list[Tensor]:
    """States of one clip, each (frames, features): the input of the first layer and each layer's output."""
    audio = "modality_encoders.AUDIO."
    own = {name.removeprefix(audio): value for name, value in weights.items()}

    def norm(name: str, hidden: Tensor) -> Tensor:
        return F.layer_norm(hidden, hidden.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"])

    hidden = waveform[None, None]
    for place, stride in enumerate(STRIDES):
        hidden = F.conv1d(hidden, own[f"local_encoder.conv_layers.{place}.0.weight"], stride=stride)
        hidden = F.gelu(norm(f"local_encoder.conv_layers.{place}.2.1", hidden.transpose(1, 2))).transpose(1, 2)
    hidden = norm("project_features.1", hidden[0].T)
    hidden = F.linear(hidden, own["project_features.2.weight"], own["project_features.2.bias"])
    position, place = hidden, 1
    while f"relative_positional_encoder.{place}.0.weight" in own:
        weight = own[f"relative_positional_encoder.{place}.0.weight"]
        bias = own[f"relative_positional_encoder.{place}.0.bias"]
        convolved = F.conv1d(position.T[None], weight, bias, padding=weight.shape[2] // 2, groups=GROUPS)[0].T
        position = F.gelu(F.layer_norm(convolved[: len(hidden)], hidden.shape[1:]))
        place += 1
    tokens = own["extra_tokens"][0]
    hidden = norm("context_encoder.norm", torch.cat([tokens, hidden + position]))
    scale, states = own["alibi_scale"].flatten(), [hidden[len(tokens) :]]
    blocks = sorted(
        {name.split(".attn.")[0] for name in own if ".attn." in name}, key=lambda name: (name[0] == "b", name)
    )
    for block in blocks:
        hidden = norm(f"{block}.norm1", hidden + attention(own, block, hidden, scale, extra=len(tokens)))
        inner = F.gelu(F.linear(hidden, own[f"{block}.mlp.fc1.weight"], own[f"{block}.mlp.fc1.bias"]))
        inner = F.linear(inner, own[f"{block}.mlp.fc2.weight"], own[f"{block}.mlp.fc2.bias"])
        hidden = norm(f"{block}.norm2", hidden + inner)
        states.append(hidden[len(tokens) :])
    return states


def attention(own: dict[str, Tensor], block: str, hidden: Tensor, scale: Tensor, *, extra: int) -> Tensor:
    """Softmax of products and distances, pair by pair."""
    count, features = hidden.shape
    heads, size = len(scale), features // len(scale)
    fused = F.linear(hidden, own[f"{block}.attn.qkv.weight"], own[f"{block}.attn.qkv.bias"])
    query, key, value = fused.reshape(count, 3, heads, size).permute(1, 2, 0, 3)
    scores = query @ key.transpose(1, 2) / math.sqrt(size)
    apart = torch.zeros(count, count, dtype=hidden.dtype)
    for one in range(extra, count):
        for other in range(extra, count):
            apart[one, other] = abs(one - other)
    steep = torch.tensor([2.0 ** (-8 * (head + 1) / heads) for head in range(heads)], dtype=hidden.dtype)
    scores = scores - (steep * scale.clamp(min=0))[:, None, None] * apart
    mixed = (scores.softmax(dim=2) @ value).transpose(0, 1).reshape(count, features)
    return F.linear(mixed, own[f"{block}.attn.proj.weight"], own[f"{block}.attn.proj.bias"])


def save_folder(
    folder: Path, weights: dict[str, Tensor], *, settings: str = SETTINGS, tokens: list[str] = TOKENS
) -> Path:
    """A folder as FunASR publishes it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": weights}, folder / "model.pt")
    (folder / "config.yaml").write_text(settings)
    (folder / "tokens.txt").write_text("\n".join(f"x/{token}" if token != "<unk>" else token for token in tokens))
    return folder
