"""A folder of recordings, such as noises or room impulse responses, to draw from."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from emotune import audio
from emotune.errors import ConfigError
from emotune.io.folders import files_below

_KEPT = 64  # recordings in memory, a process


class SoundFolder:
    """The recordings below a folder, mono at 16 kHz.

    Args:
        folder: searched with its folders.
        what: the recipe's key, for messages.

    Raises:
        ConfigError: when there is no folder, or no recording in it.
    """

    def __init__(self, folder: Path, *, what: str) -> None:
        if not Path(folder).is_dir():
            raise ConfigError(f"{what}: {folder} does not exist or is not a folder.")
        self.files = [path for path in files_below(Path(folder)) if path.suffix.lower() in audio.SUFFIXES]
        if not self.files:
            raise ConfigError(
                f"{what}: {folder} holds no recording ({', '.join(audio.SUFFIXES)}). Name the folder that does."
            )

    def draw(self, generator: np.random.Generator) -> audio.FloatArray:
        """A random one, shape (samples,).

        Raises:
            AudioError: when it cannot be decoded.
        """
        return _decoded(self.files[int(generator.integers(len(self.files)))])


@functools.lru_cache(maxsize=_KEPT)
def _decoded(path: Path) -> audio.FloatArray:
    return audio.clip(path).samples
