import time

import numpy as np
import pytest

from builders.recordings import tone
from emotune.audio.acoustics import FUNCTIONAL_NAMES, functionals, pitch_and_energy


def speechlike(seed: int = 0) -> np.ndarray:
    """Two harmonic sounds with gliding pitch, a pause and noise."""
    generator = np.random.default_rng(seed)
    glide_hz = np.linspace(120, 180, 8000)
    phase = 2 * np.pi * np.cumsum(glide_hz) / 16000
    voiced = sum(0.2 / k * np.sin(k * phase) for k in range(1, 8))
    return np.concatenate([voiced, np.zeros(3200), 0.05 * generator.standard_normal(4000), 0.5 * voiced])


def named(values: np.ndarray) -> dict[str, float]:
    return dict(zip(FUNCTIONAL_NAMES, values.tolist(), strict=True))


@pytest.mark.parametrize("sampling_rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("harmonics", [1, 3, 10])
@pytest.mark.parametrize("pitch_hz", [62.0, 85.3, 120.0, 207.7, 331.0, 480.0])
def test_the_pitch_of_a_tone_is_right_within_one_percent(pitch_hz, harmonics, sampling_rate_hz):
    harmonics = min(harmonics, int(0.45 * sampling_rate_hz / pitch_hz))
    found, _ = pitch_and_energy(
        tone(pitch_hz, harmonics=harmonics, sampling_rate_hz=sampling_rate_hz), sampling_rate_hz
    )
    np.testing.assert_allclose(found, pitch_hz, rtol=0.01)


def test_a_missing_fundamental_is_still_heard():
    time_s = np.arange(16000) / 16000
    found, _ = pitch_and_energy(sum(0.1 * np.sin(2 * np.pi * 150 * k * time_s) for k in (3, 4, 5, 6)), 16000)
    np.testing.assert_allclose(found, 150, rtol=0.01)


def test_a_glide_is_followed_frame_by_frame():
    glide_hz = np.linspace(100, 200, 16000)
    found, _ = pitch_and_energy(0.5 * np.sin(2 * np.pi * np.cumsum(glide_hz) / 16000), 16000)
    centre_s = 0.025 + 0.01 * np.arange(found.size)
    np.testing.assert_allclose(found, 100 + 100 * centre_s, rtol=0.02)


def test_silence_has_neither_pitch_nor_energy():
    pitch_hz, energy_db = pitch_and_energy(np.zeros(16000), 16000)
    assert pitch_hz.shape == energy_db.shape == (96,)
    assert np.isnan(pitch_hz).all()
    assert np.isnan(energy_db).all()


def test_white_noise_is_unvoiced():
    pitch_hz, _ = pitch_and_energy(np.random.default_rng(0).standard_normal(32000) * 0.1, 16000)
    assert np.isfinite(pitch_hz).mean() < 0.05


def test_a_constant_offset_is_unvoiced():
    pitch_hz, energy_db = pitch_and_energy(np.full(16000, 0.1), 16000)
    assert np.isnan(pitch_hz).all()
    np.testing.assert_allclose(energy_db, -20)


@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.01])
def test_the_energy_of_a_sine_is_half_its_squared_amplitude(amplitude):
    samples = amplitude * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    np.testing.assert_allclose(pitch_and_energy(samples, 16000)[1], 20 * np.log10(amplitude) - 3.0103, atol=1e-3)


@pytest.mark.parametrize("gain_db", [-40.0, -6.0, 12.0])
def test_a_gain_shifts_the_energy_by_its_decibels_and_leaves_the_pitch(gain_db):
    pitch_hz, energy_db = pitch_and_energy(speechlike(), 16000)
    louder_pitch_hz, louder_db = pitch_and_energy(speechlike() * 10 ** (gain_db / 20), 16000)
    np.testing.assert_allclose(louder_db, energy_db + gain_db, atol=1e-9)
    np.testing.assert_allclose(louder_pitch_hz, pitch_hz, rtol=1e-9)


def test_a_gain_changes_no_functional_but_the_mean_energy():
    before, after = named(functionals(speechlike(), 16000)), named(functionals(speechlike() * 0.1, 16000))
    assert after.pop("energy_mean_db") == pytest.approx(before.pop("energy_mean_db") - 20)
    assert after == pytest.approx(before)


def test_the_sign_of_the_samples_does_not_matter():
    np.testing.assert_allclose(functionals(-speechlike(), 16000), functionals(speechlike(), 16000), rtol=1e-9)


def test_the_functionals_of_a_glide_are_known():
    octave_hz = 110 * 2 ** np.linspace(0, 1, 32000)
    values = named(functionals(0.5 * np.sin(2 * np.pi * np.cumsum(octave_hz) / 16000), 16000))
    assert values["pitch_mean_semitones"] == pytest.approx(30, abs=0.1)
    assert values["pitch_slope_semitones_per_s"] == pytest.approx(6, abs=0.1)
    assert values["pitch_std_semitones"] == pytest.approx(12 / np.sqrt(12), abs=0.2)
    assert values["pitch_range_semitones"] == pytest.approx(0.9 * 12, abs=0.3)
    assert values["voiced_share"] == 1
    assert values["energy_mean_db"] == pytest.approx(-9.03, abs=0.05)
    assert values["voiced_segments_per_s"] == pytest.approx(0.5)


def test_voiced_segments_are_counted_per_second():
    sound, pause = tone(150, seconds=0.2, harmonics=4), np.zeros(3200)
    values = named(functionals(np.concatenate([sound, pause] * 5), 16000))
    assert values["voiced_segments_per_s"] == pytest.approx(5 / 2)


def test_silence_gives_nan_for_all_but_the_shares_and_rates():
    values = named(functionals(np.zeros(16000), 16000))
    assert values.pop("voiced_share") == 0
    assert values.pop("voiced_segments_per_s") == 0
    assert all(np.isnan(value) for value in values.values())


def test_no_samples_give_no_frames_and_only_nan():
    pitch_hz, energy_db = pitch_and_energy(np.empty(0), 16000)
    assert pitch_hz.size == energy_db.size == 0
    assert np.isnan(functionals(np.empty(0), 16000)).all()


def test_fewer_samples_than_a_frame_give_one_frame():
    pitch_hz, energy_db = pitch_and_energy(np.full(10, 0.1, dtype=np.float32), 16000)
    assert pitch_hz.shape == energy_db.shape == (1,)


def test_long_audio_is_the_same_in_blocks_as_in_one_piece():
    piece = tone(140, seconds=25, harmonics=3)
    np.testing.assert_allclose(pitch_and_energy(piece, 16000)[0], 140, rtol=0.01)


def test_a_second_of_audio_takes_milliseconds():
    samples = tone(120, harmonics=5)
    pitch_and_energy(samples, 16000)
    durations_s = []
    for _ in range(5):
        start_s = time.perf_counter()
        pitch_and_energy(samples, 16000)
        durations_s.append(time.perf_counter() - start_s)
    assert min(durations_s) < 0.05  # about 4 ms on one core of 2024; the rest is room for a busy machine


@pytest.mark.parametrize(
    ("samples", "sampling_rate_hz", "message"),
    [
        (np.zeros((2, 100)), 16000, "one channel"),
        (np.array([0.0, np.nan]), 16000, "finite"),
        (np.zeros(100), 1000, "at least 2000"),
    ],
)
def test_unusable_input_is_refused(samples, sampling_rate_hz, message):
    with pytest.raises(ValueError, match=message):
        pitch_and_energy(samples, sampling_rate_hz)
