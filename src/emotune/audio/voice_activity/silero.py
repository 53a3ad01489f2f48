"""Silero's network, which gives for each frame how probably it is speech, in the languages of the world."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from emotune.audio.decoding import FloatArray
from emotune.audio.voice_activity.detector import FRAME
from emotune.errors import ConfigError

MODEL = Path(__file__).with_name("silero_16k.onnx")
"""``silero_vad_16k_sequence.onnx`` of the package silero-vad 6.2.3 under the MIT licence, whose text lies beside it."""

_CONTEXT = 64  # samples that the network hears again before each frame
_MEMORY = (1, 1, 128)


def is_installed() -> bool:
    """Tells whether the network can run here."""
    return importlib.util.find_spec("onnxruntime") is not None


class Silero:
    """Probabilities of speech by Silero's recurrent network; what it remembers goes on from block to block.

    Reference:
        Silero Team (2021), Silero VAD: pre-trained enterprise-grade voice activity detector.
    """

    def __init__(self) -> None:
        self._session = _session()
        self._hidden = self._cell = np.zeros(_MEMORY, dtype=np.float32)
        self._context = np.zeros(_CONTEXT, dtype=np.float32)

    def __call__(self, frames: FloatArray) -> FloatArray:
        """Probabilities of speech, shape (frames, FRAME) -> (frames,)."""
        heard = np.empty((len(frames), _CONTEXT + FRAME), dtype=np.float32)
        heard[:, _CONTEXT:] = frames
        heard[0, :_CONTEXT] = self._context
        heard[1:, :_CONTEXT] = frames[:-1, -_CONTEXT:]
        self._context = frames[-1, -_CONTEXT:].copy()
        probabilities, self._hidden, self._cell = self._session.run(
            ("speech_probs", "hn", "cn"), {"input": heard, "h": self._hidden, "c": self._cell}
        )
        return cast(FloatArray, probabilities)


@cache
def _session() -> Any:
    """Session for all channels: a single thread that sleeps when it has nothing to do."""
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ConfigError(
            "Voice activity by Silero's network needs 'onnxruntime': pip install onnxruntime, or take energy."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
