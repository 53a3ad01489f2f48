"""Augmentation: what it does to a clip, and that nothing but seed, epoch and utterance decides about it."""

import numpy as np
import pytest

from emotune.data.augment import Augmentation, add_noise, change_speed, crop, generator_of, mask_bands, mask_spans

CLIP = (0.1 * np.sin(np.arange(32000) * 0.05)).astype(np.float32)
EVERYTHING = Augmentation(
    speed=0.1, crop_s=1.0, noise_snr_db=(10, 30), gain_db=6, band_masks=(2, 200.0), time_masks=(2, 0.1)
)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 30.0])
def test_noise_reaches_its_signal_to_noise_ratio(snr_db):
    noise = add_noise(CLIP, snr_db, np.random.default_rng(0)).astype(np.float64) - CLIP
    reached = 10 * np.log10(np.mean(CLIP.astype(np.float64) ** 2) / np.mean(noise**2))
    assert reached == pytest.approx(snr_db, abs=0.01)


def test_noise_leaves_a_clip_of_zeros_alone():
    assert not add_noise(np.zeros(100, np.float32), 10, np.random.default_rng(0)).any()


def test_a_crop_is_a_piece_of_the_clip_and_any_piece_comes_up():
    starts = set()
    for seed in range(200):
        piece = crop(np.arange(10.0, dtype=np.float32), 8, np.random.default_rng(seed))
        np.testing.assert_array_equal(piece, np.arange(piece[0], piece[0] + 8))
        starts.add(int(piece[0]))
    assert starts == {0, 1, 2}


def test_a_short_clip_is_not_cropped():
    np.testing.assert_array_equal(crop(CLIP[:100], 100, np.random.default_rng(0)), CLIP[:100])


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_speed_divides_the_length_and_multiplies_the_pitch(factor):
    faster = change_speed(CLIP, factor)
    assert len(faster) == pytest.approx(len(CLIP) / factor, abs=2)

    def pitch(samples: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n=1 << 18))
        return np.argmax(spectrum) / (1 << 18)

    assert pitch(faster) == pytest.approx(pitch(CLIP) * factor, rel=0.01)


def test_a_random_speed_stays_within_its_bounds_and_varies():
    lengths = [len(Augmentation(speed=0.2)(CLIP, np.random.default_rng(seed))) for seed in range(40)]
    assert min(lengths) >= len(CLIP) * np.exp(-0.2) - 2
    assert max(lengths) <= len(CLIP) * np.exp(0.2) + 2
    assert len(set(lengths)) > 30
    assert min(lengths) < len(CLIP) < max(lengths)


def test_each_step_but_the_crop_is_left_out_as_often_as_the_probability_says():
    augmentation = Augmentation(probability=0.3, crop_s=1.0, gain_db=6.0)
    changed = [augmentation(CLIP, np.random.default_rng(seed)) for seed in range(300)]
    assert {len(samples) for samples in changed} == {16000}
    untouched = [np.abs(samples).max() == np.abs(CLIP).max() for samples in changed]
    assert np.mean(untouched) == pytest.approx(0.7, abs=0.08)


def test_the_gain_is_one_factor_within_its_bounds():
    factors = set()
    for seed in range(50):
        louder = Augmentation(gain_db=6.0)(CLIP, np.random.default_rng(seed))
        (factor,) = set(np.round(louder[CLIP != 0] / CLIP[CLIP != 0], 4).tolist()) or {0.0}
        assert 10 ** (-6 / 20) - 1e-3 <= factor <= 10 ** (6 / 20) + 1e-3
        factors.add(factor)
    assert len(factors) > 40


def test_masked_bands_take_energy_away_and_add_none():
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    before, after = np.abs(np.fft.rfft(noise)), np.abs(np.fft.rfft(mask_bands(noise, 2, 500, np.random.default_rng(1))))
    gone = after < 1e-2 * before
    assert gone.any()
    np.testing.assert_allclose(after[~gone], before[~gone], rtol=1e-2, atol=1e-2)
    edges = np.flatnonzero(np.diff(gone.astype(int)))
    assert len(edges) <= 4  # at most two bands


def test_masked_spans_are_zeros_and_the_rest_is_untouched():
    ones = np.ones(16000, np.float32)
    for seed in range(20):
        masked = mask_spans(ones, 2, 0.2, np.random.default_rng(seed))
        assert set(np.unique(masked)) <= {0.0, 1.0}
        assert (masked == 0).sum() <= 2 * 0.2 * 16000
    assert mask_spans(ones[:100], 2, 0.2, np.random.default_rng(0)).sum() >= 50
    assert ones.all()


def test_without_any_step_a_clip_stays_as_it_is():
    np.testing.assert_array_equal(Augmentation()(CLIP, np.random.default_rng(0)), CLIP)


def test_all_steps_together_keep_the_length_and_the_type():
    changed = EVERYTHING(CLIP, np.random.default_rng(0))
    assert changed.dtype == np.float32
    assert len(changed) == 16000
    assert len(EVERYTHING(CLIP[:4000], np.random.default_rng(0))) < 16000


def test_seed_epoch_and_utterance_decide_and_the_order_does_not():
    names = ["a", "b", "c"]

    def draw(name: str, *, seed: int = 0, epoch: int = 0) -> bytes:
        return EVERYTHING(CLIP, generator_of(seed, epoch, name)).tobytes()

    forwards = {name: draw(name) for name in names}
    np.random.default_rng(9).random(100)
    assert {name: draw(name) for name in reversed(names)} == forwards
    assert len(set(forwards.values())) == 3
    assert draw("a", epoch=1) != forwards["a"] != draw("a", seed=1)


def test_numbers_that_run_together_do_not_share_a_generator():
    assert generator_of(1, 12, "a").random() != generator_of(11, 2, "a").random()
