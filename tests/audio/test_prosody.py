"""Levelled speech keeps its words' envelope and loses its melody; filtered speech the other way round."""

import numpy as np
import pytest

from emotune.audio.acoustics import FUNCTIONAL_NAMES, functionals
from emotune.audio.prosody import flattened, without_words

RATE = 16000
TIME_S = np.arange(2 * RATE) / RATE


def voice(pitch_hz: np.ndarray, loudness: np.ndarray | float = 1.0) -> np.ndarray:
    """Harmonics of a moving pitch under a fixed envelope with two peaks, at 700 and 1800 Hz."""
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
    sound = np.zeros(len(pitch_hz))
    for number in range(1, 30):
        hertz = number * pitch_hz
        height = 1 / (1 + ((hertz - 700) / 150) ** 2) + 0.5 / (1 + ((hertz - 1800) / 200) ** 2) + 0.02
        sound += np.where(hertz < 7000, height, 0) * np.cos(number * phase)
    return (0.25 * loudness * sound / np.abs(sound).max()).astype(np.float32)


def measured(samples: np.ndarray) -> dict[str, float]:
    return dict(zip(FUNCTIONAL_NAMES, functionals(samples, RATE), strict=True))


def envelope_db(samples: np.ndarray) -> np.ndarray:
    """Power in bands of 300 Hz up to 3 kHz, without its mean level."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    bands = [10 * np.log10(power[(hertz >= low) & (hertz < low + 300)].sum()) for low in range(300, 3000, 300)]
    return np.array(bands) - np.mean(bands)


@pytest.mark.parametrize("middle_hz", [110, 200])
def test_levelling_takes_the_melody_and_the_loudness_and_keeps_the_envelope(middle_hz):
    pitch = middle_hz * 2 ** (4 / 12 * np.sin(2 * np.pi * 0.8 * TIME_S))
    sound = voice(pitch, 0.2 + 0.8 * np.abs(np.sin(2 * np.pi * 0.9 * TIME_S)))
    before, after = measured(sound), measured(flattened(sound, RATE))
    assert before["pitch_std_semitones"] > 2.5 and after["pitch_range_semitones"] < 0.3
    assert abs(after["pitch_mean_semitones"] - before["pitch_mean_semitones"]) < 1
    assert after["energy_std_db"] < 0.25 * before["energy_std_db"]
    assert np.abs(envelope_db(flattened(sound, RATE)) - envelope_db(sound)).max() < 4


def test_a_level_voice_stays_about_what_it_was():
    sound = voice(np.full(len(TIME_S), 150.0))
    level = flattened(sound, RATE)
    assert len(level) == len(sound)
    assert abs(measured(level)["pitch_mean_semitones"] - measured(sound)["pitch_mean_semitones"]) < 0.1
    assert np.abs(envelope_db(level) - envelope_db(sound)).max() < 2


def test_filtering_keeps_pitch_and_power_and_takes_what_tells_words_apart():
    pitch = 160 * 2 ** (3 / 12 * np.sin(2 * np.pi * 0.8 * TIME_S))
    sound = voice(pitch)
    kept = without_words(sound, RATE)
    assert abs(measured(kept)["pitch_std_semitones"] - measured(sound)["pitch_std_semitones"]) < 0.2
    spectrum = np.abs(np.fft.rfft(kept)) ** 2
    assert spectrum[np.fft.rfftfreq(len(kept), 1 / RATE) > 450].sum() < 1e-6 * spectrum.sum()
    peak_kept = np.abs(kept).max() < 1
    assert not peak_kept or np.isclose(np.mean(kept**2), np.mean(sound**2), rtol=0.01)


@pytest.mark.parametrize("sound", [np.zeros(RATE, np.float32), np.zeros(0, np.float32), np.ones(300, np.float32) * 0.1])
def test_what_has_no_pitch_or_is_short_comes_back_whole_and_finite(sound):
    for change in (flattened, without_words):
        changed = change(sound, RATE)
        assert changed.shape == sound.shape and np.isfinite(changed).all() and changed.dtype == np.float32
