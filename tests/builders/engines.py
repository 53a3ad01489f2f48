"""Engines that cannot answer everything."""

import numpy as np

from builders.recordings import noise
from emotune.inference.engine import EngineError


class SometimesDeaf:
    """An engine that cannot run clips with a loud sample in them."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def run(self, waveforms, conditions=()):
        if any(np.abs(waveform).max() > 50 * waveform.std() for waveform in waveforms):
            raise EngineError("out of memory")
        return self._engine.run(waveforms, conditions)


def spiked(*seconds: float, of: int = 6) -> np.ndarray:
    """Noise at 16 kHz of so many seconds, with samples at some moments that such an engine does not hear."""
    samples = noise(of * 16000, seed=3) / 100
    for at in seconds:
        samples[round(at * 16000)] = 0.9
    return samples
