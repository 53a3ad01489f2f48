"""States of an encoder's layers, or a model's mix of them, frame by frame or as their mean."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import pad
from emotune.errors import ConfigError
from emotune.inference.embeddings.embedder import CLIP, MIX
from emotune.inference.engine import EngineError
from emotune.inference.torch_engine import TorchEngine, usable_device
from emotune.models.aggregations import VARAN
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone, HiddenStates
from emotune.models.backbones.checkpoint import load_pretrained, settings_of
from emotune.models.folder import CONFIG, ModelFolder, digest_of
from emotune.models.published import FORMATS
from emotune.models.store import is_ours
from emotune.models.weight_files import open_weights
from emotune.runtime.out_of_memory import is_out_of_memory, release_unused

_LONGEST_S = 120.0
"""Longest clip of an encoder that sets no limit itself: its cost grows with the square of the length."""


_CURE = "Download it again, or name a folder as its authors published it."


class LayerStates:
    """``Embedder`` over one state of an encoder, in evaluation mode and without gradients.

    Args:
        backbone: the encoder.
        preprocessing: of its clips.
        chosen: picks a tensor of shape (batch, frames, features) out of the states.
        about: whence the vectors come.
        mean: one row a clip, the mean over its frames; else all frames.
    """

    def __init__(
        self,
        backbone: Backbone,
        preprocessing: Preprocessing,
        chosen: Callable[[HiddenStates], Tensor],
        about: Mapping[str, Any],
        *,
        mean: bool,
    ) -> None:
        self.preprocessing = preprocessing
        self.about = about
        self.backbone, self._chosen, self._mean = backbone.eval(), chosen, mean

    def embed(self, waveforms: Sequence[FloatArray]) -> list[NDArray[np.float32]]:
        """States of prepared clips, each of shape (samples,): (frames, features) for each, or (1, features).

        Raises:
            EngineError: when memory does not suffice for the batch.
        """
        device = next(self.backbone.parameters()).device
        try:
            with torch.inference_mode():
                batch = pad(waveforms).to(device)
                states = self.backbone(batch.waveforms, batch.mask)
                rows = self._chosen(states).float()
                return [self._of_clip(own[mask]) for own, mask in zip(rows, states.mask, strict=True)]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        release_unused(device)
        raise EngineError("There is not enough memory to run the model on it.")

    def _of_clip(self, frames: Tensor) -> NDArray[np.float32]:
        kept = frames.mean(dim=0, keepdim=True) if self._mean else frames
        return kept.cpu().numpy().astype(np.float32)


def is_bare_encoder(folder: Path) -> bool:
    """Tells whether a folder holds a published encoder without a head for emotions."""
    if is_ours(folder) or not (folder / CONFIG).is_file():
        return False
    if settings_of(folder / CONFIG).get("model_type") not in BACKBONES:
        return False
    names = open_weights(folder, cure=_CURE).header.keys()
    return not any(FORMATS[name].fits(names) for name in FORMATS)


def encoder_states(
    found: ModelFolder, *, level: str, layer: int | str | None, device: str | None, bare: bool
) -> LayerStates:
    """Loads an encoder, of a model or bare, and chooses what of its states is wanted; see ``embedder_of``.

    Raises:
        ConfigError: for a layer that it has not, or a device that is not there.
        ModelError: for a folder that cannot be loaded.
    """
    if bare:
        folder = found.folder
        backbone = load_pretrained(str(settings_of(folder / CONFIG)["model_type"]), folder)
        backbone = backbone.to(usable_device(device))
        longest_s = _LONGEST_S if backbone.max_samples is None else backbone.max_samples / SAMPLING_RATE_HZ
        preprocessing = Preprocessing(backbone.normalize, max_duration_s=longest_s, min_samples=backbone.min_samples)
        fingerprint = digest_of(sorted(path for path in folder.glob("*") if path.is_file()))
        mix = None
    else:
        engine = TorchEngine.load(found.folder, device=device)
        backbone, preprocessing, fingerprint = engine.model.backbone, engine.preprocessing, str(engine.fingerprint)
        mix = None if engine.model.options["layer_mix"] == VARAN else engine.model.layer_mix.eval()
    if layer == MIX and mix is None:
        raise ConfigError(f"{found.name} has no mix of layers: choose a layer from 0 to {backbone.num_layers}.")
    wanted = (backbone.num_layers if mix is None else MIX) if layer is None else layer
    if isinstance(wanted, int) and not 0 <= wanted <= backbone.num_layers:
        raise ConfigError(
            f"layer {wanted} was asked of {found.name}, which has the states 0 (the input of the first layer) to"
            f" {backbone.num_layers}."
        )
    about: dict[str, Any] = {"level": level, "layer": wanted, "features": backbone.hidden_size}
    if level != CLIP:
        about["frame_rate_hz"] = backbone.frame_rate_hz
    about |= {"model": found.name, "model_fingerprint": fingerprint}
    chosen = _state(wanted) if isinstance(wanted, int) else mix
    assert chosen is not None
    return LayerStates(backbone, preprocessing, chosen, about, mean=level == CLIP)


def _state(number: int) -> Callable[[HiddenStates], Tensor]:
    return lambda states: states.states[number]
