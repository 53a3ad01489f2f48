"""Descriptors of synthetic voices whose pitch, jitter, balance and resonances are known."""

import numpy as np
import pytest

from emotune.descriptors.descriptor_set import NAMES, descriptors

RATE = 16000


def named(samples: np.ndarray, rate: int = RATE) -> dict[str, float]:
    return dict(zip(NAMES, descriptors(samples, rate), strict=True))


def pulses(pitch_hz: float, *, jitter: float = 0.0, shimmer_db: float = 0.0, seconds: float = 1.0) -> np.ndarray:
    """A train of smooth pulses, every other period longer by a share and every other pulse louder."""
    samples = np.zeros(int(seconds * RATE))
    time, place = np.arange(len(samples)) / RATE, 0.01
    for number in range(int(seconds * pitch_hz)):
        sign = 1 if number % 2 else -1
        samples += 10 ** (sign * shimmer_db / 40) * np.exp(-0.5 * ((time - place) / 0.0006) ** 2)
        place += (1 + sign * jitter / 2) / pitch_hz
    return 0.3 * samples / samples.max()


@pytest.fixture(scope="module")
def even() -> dict[str, float]:
    return named(pulses(150))


def test_there_are_88_names_each_once():
    assert len(NAMES) == len(set(NAMES)) == 88


def test_the_pitch_of_a_pulse_train_is_its_rate_and_its_cycles_are_even(even):
    assert even["pitch_semitones_mean"] == pytest.approx(12 * np.log2(150 / 27.5), abs=0.1)
    assert even["pitch_semitones_std"] < 0.2
    assert even["jitter_mean"] < 0.002
    assert even["shimmer_db_mean"] < 0.1
    assert even["harmonics_to_noise_db_mean"] > 20


def test_cycles_that_differ_are_measured_as_they_were_made():
    """Periods of alternately T (1 + j / 2) and T (1 - j / 2) differ by j T."""
    uneven = named(pulses(150, jitter=0.02, shimmer_db=1.0))
    assert uneven["jitter_mean"] == pytest.approx(0.02, rel=0.15)
    assert uneven["shimmer_db_mean"] == pytest.approx(1.0, rel=0.15)


def test_noise_lowers_the_ratio_of_harmonics_to_noise(even):
    noise = np.random.default_rng(0).standard_normal(RATE) * 0.03
    assert named(pulses(150) + noise)["harmonics_to_noise_db_mean"] < even["harmonics_to_noise_db_mean"] - 6


def test_resonances_are_found_where_they_were_put():
    """Pulses through three two-pole filters, as the source-filter model of a vowel has it."""
    sound = np.zeros(RATE)
    sound[:: RATE // 120] = 1.0
    for hertz, width in ((700, 80), (1200, 90), (2600, 120)):
        radius, angle = np.exp(-np.pi * width / RATE), 2 * np.pi * hertz / RATE
        filtered = np.zeros(RATE)
        for n in range(RATE):
            filtered[n] = sound[n] + 2 * radius * np.cos(angle) * filtered[n - 1] - radius**2 * filtered[n - 2]
        sound = filtered
    found = named(0.3 * sound / np.abs(sound).max())
    for name, hertz in (("f1_hz_mean", 700), ("f2_hz_mean", 1200), ("f3_hz_mean", 2600)):
        assert found[name] == pytest.approx(hertz, rel=0.08)


def test_a_gain_shifts_the_level_and_scales_loudness_and_flux_and_nothing_else():
    sound = pulses(180, jitter=0.01) + np.random.default_rng(1).standard_normal(RATE) * 0.003
    one, louder = named(sound), named(2 * sound)
    assert louder["level_db"] - one["level_db"] == pytest.approx(20 * np.log10(2), abs=1e-6)
    assert louder["flux_mean"] / one["flux_mean"] == pytest.approx(2, rel=1e-6)
    assert louder["loudness_mean"] / one["loudness_mean"] == pytest.approx(4**0.33, rel=1e-6)
    for name in NAMES:
        if not name.startswith(("level", "loudness", "flux")) or "per_s" in name:
            assert louder[name] == pytest.approx(one[name], rel=1e-5, abs=1e-6, nan_ok=True), name


def test_more_treble_raises_the_alpha_ratio_and_lowers_hammarbergs_index():
    sound = pulses(150) + np.random.default_rng(2).standard_normal(RATE) * 0.002
    dull, bright = named(sound), named(np.diff(sound, prepend=0))
    assert bright["alpha_ratio_db_voiced_mean"] > dull["alpha_ratio_db_voiced_mean"] + 5
    assert bright["hammarberg_index_db_voiced_mean"] < dull["hammarberg_index_db_voiced_mean"] - 5


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.zeros(0), np.full(10, 0.1), np.ones(300) * 1e-9])
def test_what_is_undefined_is_nan_and_nothing_fails(samples):
    found = named(samples)
    assert np.isnan(found["pitch_semitones_mean"])
    assert np.isnan(found["jitter_mean"])


def test_a_rate_that_is_too_low_is_refused():
    with pytest.raises(ValueError, match="resample first"):
        descriptors(np.zeros(8000), 8000)
