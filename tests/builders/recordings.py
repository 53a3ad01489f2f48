"""Recordings for miniature corpora."""

from pathlib import Path

import numpy as np
import soundfile


def write_recording(path: Path, *, seconds: float = 0.5, sampling_rate_hz: int = 16000, channels: int = 1) -> Path:
    """A short noise, another one for every path; the suffix chooses the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(str(path).encode())).standard_normal(
        (round(seconds * sampling_rate_hz), channels)
    )
    soundfile.write(path, 0.1 * noise, sampling_rate_hz)
    return path


def write_recordings(root: Path, *files: str) -> Path:
    """One recording for each path below a folder, which is given back."""
    for file in files:
        write_recording(root / file)
    return root
