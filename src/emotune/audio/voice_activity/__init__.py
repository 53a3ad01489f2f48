"""Voice activity: how probably each moment of a recording is speech, and the stretches of speech in it."""

from __future__ import annotations

from collections.abc import Mapping

from emotune.audio.voice_activity.detector import FRAME, RATE_HZ, Frames, Speech, SpeechDetector, SpeechRule, Stretch
from emotune.audio.voice_activity.energy import Energy, Everything
from emotune.audio.voice_activity.silero import Silero, is_installed
from emotune.audio.voice_activity.turns import Turns
from emotune.choices import VadMethod
from emotune.errors import ConfigError
from emotune.registry import unknown_name_message

METHODS: Mapping[VadMethod, type[Frames]] = {"silero": Silero, "energy": Energy, "none": Everything}

__all__ = [
    "FRAME",
    "METHODS",
    "RATE_HZ",
    "Energy",
    "Everything",
    "Frames",
    "Silero",
    "Speech",
    "SpeechDetector",
    "SpeechRule",
    "Stretch",
    "Turns",
]


def best_method() -> VadMethod:
    """Silero's network, or energy where onnxruntime is not installed."""
    return "silero" if is_installed() else "energy"


def speech_detector(method: VadMethod | None = None, rule: SpeechRule | None = None, **options: int) -> SpeechDetector:
    """Detector for the samples of one channel at 16 kHz.

    Args:
        method: None = the best that is installed.
        rule: where speech begins and ends.
        options: of ``SpeechDetector``.

    Raises:
        ConfigError: for an unknown method, and for Silero's network without onnxruntime.
    """
    method = method or best_method()
    if method not in METHODS:
        raise ConfigError(unknown_name_message("way to find speech", method, METHODS))
    return SpeechDetector(METHODS[method](), rule, **options)
