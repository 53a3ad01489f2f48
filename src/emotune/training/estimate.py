"""How much memory a training step will take, from a measured small one."""

from __future__ import annotations

import torch
from torch import Tensor

from emotune.batch import Batch
from emotune.models.emotion_model import EmotionModel

_CLIPS, _CLIP_S = 2, 2.0


def memory_estimate(model: EmotionModel, batch_seconds: float) -> dict[str, float]:
    """Bytes of a training step, in GB: weights, gradients and Adam states, and activations kept for the backward pass.

    The activations are counted, not guessed: a step over a few seconds of noise is run forward, the tensors that
    autograd keeps are added up, and the sum is scaled to ``batch_seconds``. Attention grows faster than linearly with
    long clips, and temporary buffers come on top: take the figure as a lower bound.
    """
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    parameters = sum(p.numel() for p in model.parameters())
    kept: dict[int, int] = {}

    def remember(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    waveforms = torch.randn(_CLIPS, int(_CLIP_S * 16000)) * 0.1
    was_training = model.training
    model.train()
    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        output = model(Batch(waveforms, torch.ones_like(waveforms, dtype=torch.bool)))
    model.train(was_training)
    del output
    activations = sum(size for pointer, size in kept.items() if pointer not in own)
    per_second = activations / (_CLIPS * _CLIP_S)
    gb = {
        "weights": parameters * 4 / 1e9,
        "gradients_and_adam": trainable * 12 / 1e9,
        "activations": per_second * batch_seconds / 1e9,
    }
    gb["total"] = sum(gb.values())
    return {name: round(value, 3) for name, value in gb.items()}
