"""Recordings that the tests of several trainings share."""

import shutil
from pathlib import Path

import pytest

from builders.recordings import write_recording


@pytest.fixture
def pool(tones, tmp_path) -> Path:
    """Two new recordings, one of a test folder, and copies of a training and of a development clip."""
    folder = tmp_path / "pool"
    for name in ("new.wav", "anger/other.wav", "test/held.wav"):
        write_recording(folder / name, seconds=0.6)
    for number in (0, 23):
        shutil.copy(tones.path_of(tones.utterances[number]), folder / f"known{number}.wav")
    return folder
