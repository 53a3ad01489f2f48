"""Tones, noise, and recordings of them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from emotune import audio
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

TONES_HZ = {"anger": 440, "neutral": 150}
TONE_SPLITS = ("train", "train", "train", "train", "development", "development")


def tone(
    pitch_hz: float = 300, *, sampling_rate_hz: int = 16000, seconds: float = 1.0, peak: float = 0.3, harmonics: int = 1
) -> np.ndarray:
    """Harmonics that grow weaker upwards."""
    time_s = np.arange(round(seconds * sampling_rate_hz)) / sampling_rate_hz
    return sum(peak / k * np.sin(2 * np.pi * k * pitch_hz * time_s + k) for k in range(1, harmonics + 1))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """White noise of a standard deviation of 0.1."""
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


NOISE = noise(16000)


def encoded(
    samples: np.ndarray = NOISE, sampling_rate_hz: int = 16000, *, container: str = "WAV", **options: Any
) -> bytes:
    """Bytes of a file that soundfile writes."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, sampling_rate_hz, format=container, **options)
    return stream.getvalue()


def write_recording(
    path: Path, *, seconds: float = 0.5, sampling_rate_hz: int = 16000, channels: int = 1, seed: int | None = None
) -> Path:
    """A short noise, another one for every path unless a seed is given; the suffix chooses the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(list(str(path).encode()) if seed is None else seed)
    samples = 0.1 * generator.standard_normal((round(seconds * sampling_rate_hz), channels))
    soundfile.write(path, samples, sampling_rate_hz)
    return path


def write_recordings(root: Path, *files: str) -> Path:
    """One recording for each path below a folder, which is given back."""
    for file in files:
        write_recording(root / file)
    return root


def recorded(root: Path, file: str, name: str | None = None, **columns: Any) -> Utterance:
    """Utterance of a recording that is there, with the duration and the hash of its content."""
    recording = audio.decode(root / file)
    content = recording.content_sha256()
    return Utterance(name or Path(file).stem, file, duration_s=recording.duration_s, content_sha256=content, **columns)


def write_tones(root: Path) -> Manifest:
    """24 short clips by six speakers, a high tone for anger and a low one for neutral, and their ``manifest.csv``."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(24):
        speaker, emotion = number // 4, list(TONES_HZ)[number % 2]
        samples = int(generator.integers(6000, 14000))
        phase = 2 * np.pi * TONES_HZ[emotion] * (1 + 0.05 * speaker) * np.arange(samples) / 16000
        file = f"s{speaker}/{number:02d}.wav"
        (root / file).parent.mkdir(exist_ok=True)
        clip = 0.3 * np.sin(phase) + 0.1 * generator.standard_normal(samples)
        soundfile.write(root / file, clip, 16000, subtype="PCM_16")
        known = {"speaker": f"s{speaker}", "gender": ("female", "male")[speaker % 2], "split": TONE_SPLITS[speaker]}
        rows.append(recorded(root, file, f"u{number:02d}", emotion=emotion, **known))
    manifest = Manifest(tuple(rows), LabelSpace(tuple(TONES_HZ)), root, {"corpus": "tones"})
    manifest.write(root / "manifest.csv")
    return manifest
