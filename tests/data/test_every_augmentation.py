"""What every augmentation of the table keeps to; a new entry is tested at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotune.data.augmentations import AUGMENTATIONS
from emotune.data.augmentations.step import Step

OPTIONS = {
    "band_masks": {"count": 2, "widest_mel": 300.0},
    "compression": {"codecs": ["alaw", "gsm", "mp3", "mulaw", "opus"]},
    "crop": {"longest_s": 0.5},
    "gain": {"largest_db": 6.0},
    "noise": {"snr_db": (5.0, 20.0), "colour": "pink"},
    "reverberation": {"rt60_s": (0.1, 0.5)},
    "speed": {"largest": 0.2},
    "telephone": {},
    "time_masks": {"count": 2, "longest_s": 0.2},
}
CHANGE_THE_LENGTH = ("crop", "speed")


def step_of(name: str) -> Step:
    return AUGMENTATIONS[name](**OPTIONS[name])


def speech_like(samples: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    voice = np.sin(2 * np.pi * 150 * np.arange(samples) / 16000) + 0.3 * generator.standard_normal(samples)
    return (0.1 * voice).astype(np.float32)


def test_every_augmentation_has_options_to_be_tested_with():
    assert set(OPTIONS) == set(AUGMENTATIONS)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
@given(samples=st.integers(1, 20000), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_clip_of_any_length_becomes_a_finite_clip_by_the_generator_alone(name, samples, seed):
    clip = speech_like(samples, seed)
    before = clip.copy()
    changed = step_of(name)(clip, np.random.default_rng(seed))
    assert changed.dtype == np.float32
    assert changed.ndim == 1
    assert np.isfinite(changed).all()
    assert name in CHANGE_THE_LENGTH or len(changed) == samples
    np.testing.assert_array_equal(clip, before)
    np.testing.assert_array_equal(step_of(name)(clip, np.random.default_rng(seed)), changed)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_another_seed_is_another_clip(name):
    clip = speech_like(16000)
    drawn = {step_of(name)(clip, np.random.default_rng(seed)).tobytes() for seed in range(8)}
    least = {"telephone": 1, "compression": 3}.get(name, 8)  # a telephone draws nothing, some codecs have one quality
    assert least <= len(drawn) <= (1 if name == "telephone" else 8)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_silence_stays_silence(name):
    """Codecs may add a step of their quantiser."""
    changed = step_of(name)(np.zeros(8000, dtype=np.float32), np.random.default_rng(0))
    assert np.abs(changed).max() <= (1e-3 if name == "compression" else 0)
