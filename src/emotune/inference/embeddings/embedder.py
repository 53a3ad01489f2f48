"""Contract of what embeds clips, and the one that every model has: its own pooled features."""

# pyright: strict
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError, ModelError
from emotune.inference.engine import Engine
from emotune.inference.engines import engine_of
from emotune.models.exported import is_exported
from emotune.models.folder import find_model_folder
from emotune.runtime.extras import needs

CLIP, FRAME = "clip", "frame"
LEVELS = (CLIP, FRAME)
POOLED, MIX = "pooled", "mix"
"""Layers that are no single one: the features that a model's heads take, and its learned mix of layers."""


class Embedder(Protocol):
    """Maps prepared clips to vectors.

    ``about`` says whence they come: ``level``, ``layer``, ``features``, ``frame_rate_hz`` of frames, and the model.
    """

    preprocessing: Preprocessing
    about: Mapping[str, Any]

    def embed(self, waveforms: Sequence[FloatArray]) -> list[NDArray[np.float32]]:
        """Vectors of prepared clips, each of shape (samples,): an array of shape (rows, features) for each."""
        ...


class PooledFeatures:
    """Pooled features of a model, as its heads take them; where each layer has its own head, of all layers in a row."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.preprocessing = engine.preprocessing
        self.about: Mapping[str, Any] = {
            "level": CLIP,
            "layer": POOLED,
            "model": name,
            "model_fingerprint": engine.fingerprint,
        }

    def embed(self, waveforms: Sequence[FloatArray]) -> list[NDArray[np.float32]]:
        """Pooled features of prepared clips, each of shape (1, features)."""
        # conditions join behind the pooling, so that unknown ones change nothing here
        conditions = [
            {
                name: np.full(about["width"], np.nan, dtype=np.float32)
                for name, about in self._engine.conditions.items()
                if "width" in about
            }
            for _ in waveforms
        ]
        given = conditions if self._engine.conditions else []
        found = self._engine.run(waveforms, given).embeddings
        return [row.reshape(1, -1).astype(np.float32) for row in found]


def embedder_of(
    model: str, *, level: str = CLIP, layer: int | str | None = None, device: str | None = None
) -> Embedder:
    """Loads what embeds clips: a model of emotune or a published one, exported or not, or a bare encoder.

    Args:
        model: as ``emotune.load`` has it, or a folder or ``hf:owner/name`` of a published encoder.
        level: ``clip`` = one vector a clip, ``frame`` = one a frame.
        layer: a state of the encoder by its number, 0 being the input of the first layer; ``mix`` = the model's own
            mix of layers; None = ``pooled`` for clips, and for frames the mix where there is one, else the last layer.
            A clip's vector of a layer or mix is the mean over its frames.
        device: as ``emotune.load`` has it.

    Raises:
        ConfigError: for an unknown level, or a layer that the model has not.
        ModelError: when there is no such model, or an exported one is asked for its layers.
    """
    if level not in LEVELS:
        raise ConfigError(f"level is '{level}', expected one of {', '.join(LEVELS)}.")
    if isinstance(layer, str) and layer not in (MIX, POOLED):
        raise ConfigError(f"layer is '{layer}', expected the number of a layer, {MIX} or {POOLED}.")
    if level == FRAME and layer == POOLED:
        raise ConfigError(f"'{POOLED}' is one vector a clip: choose a layer or {MIX} for frames, or the level {CLIP}.")
    found = find_model_folder(model)
    if is_exported(found.folder):
        if level == FRAME or layer not in (None, POOLED):
            raise ModelError(
                f"{found.name} is an exported model, whose graph gives its pooled features alone: leave out --layer and"
                " --level, or name the model that it was exported from."
            )
        return PooledFeatures(engine_of(found.folder, device=device), found.name)
    with needs("train", f"Loading {found.name}"):
        from emotune.inference.embeddings.layer_states import encoder_states, is_bare_encoder  # noqa: PLC0415 (torch)

    bare = is_bare_encoder(found.folder)
    if level == CLIP and layer in (None, POOLED):
        if not bare:
            return PooledFeatures(engine_of(found.folder, device=device), found.name)
        if layer == POOLED:
            raise ConfigError(f"{found.name} is an encoder without heads, and so pools nothing: choose a layer.")
    return encoder_states(found, level=level, layer=layer, device=device, bare=bare)
