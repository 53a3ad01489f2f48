"""Voice activity: how probably each moment of a recording is speech, and the stretches of speech in it."""

from __future__ import annotations

from typing import Literal

from emotune.audio.voice_activity.detector import FRAME, RATE_HZ, Frames, Speech, SpeechDetector, SpeechRule, Stretch
from emotune.audio.voice_activity.energy import Energy, Everything
from emotune.audio.voice_activity.silero import Silero, is_installed
from emotune.audio.voice_activity.turns import Turns

Method = Literal["silero", "energy", "none"]
METHODS: tuple[Method, ...] = ("silero", "energy", "none")
"""``none`` takes all of a recording for speech."""

__all__ = [
    "FRAME",
    "METHODS",
    "RATE_HZ",
    "Energy",
    "Everything",
    "Frames",
    "Method",
    "Silero",
    "Speech",
    "SpeechDetector",
    "SpeechRule",
    "Stretch",
    "Turns",
]


def best_method() -> Method:
    """Silero's network, or energy where onnxruntime is not installed."""
    return "silero" if is_installed() else "energy"


def speech_detector(method: Method | None = None, rule: SpeechRule | None = None, **options: int) -> SpeechDetector:
    """Detector for the samples of one channel at 16 kHz.

    Args:
        method: None = the best that is installed.
        rule: where speech begins and ends.
        options: of ``SpeechDetector``.

    Raises:
        ConfigError: for Silero's network without onnxruntime.
    """
    frames: dict[Method, type[Frames]] = {"silero": Silero, "energy": Energy, "none": Everything}
    return SpeechDetector(frames[method or best_method()](), rule, **options)
