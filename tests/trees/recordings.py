"""Recordings for trees of corpora: short noise, different for every path."""

from pathlib import Path

import numpy as np
import soundfile


def record(path: Path, *, seconds: float = 0.2, rate: int = 16000) -> Path:
    """Write noise where the path says, in the format of its suffix; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(list(path.as_posix().encode()))
    soundfile.write(path, 0.1 * generator.standard_normal(round(seconds * rate)), rate)
    return path


def record_all(root: Path, *files: str) -> Path:
    for file in files:
        record(root / file)
    return root
