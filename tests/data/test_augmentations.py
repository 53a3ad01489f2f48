"""What each augmentation does to a clip, measured; and that nothing but seed, epoch and utterance decides about it."""

import numpy as np
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emotune.data.augmentations.channel import CODECS, Telephone, coded
from emotune.data.augmentations.crop import Crop, filled_to, piece_of
from emotune.data.augmentations.gain import Gain
from emotune.data.augmentations.masks import BandMasks, TimeMasks
from emotune.data.augmentations.noise import COLOURS, Noise, add_at_snr, coloured_noise
from emotune.data.augmentations.pipeline import Augmentation, Mix, generator_of, mixed
from emotune.data.augmentations.reverberation import Reverberation, in_room, simulated_response
from emotune.data.augmentations.speed import Speed, change_speed
from emotune.errors import ConfigError

CLIP = (0.1 * np.sin(np.arange(32000) * 0.05)).astype(np.float32)
EVERYTHING = Augmentation(
    [
        (Speed(0.1), 1.0),
        (Crop(1.0), None),
        (Noise((10, 30)), 1.0),
        (Gain(6.0), 1.0),
        (BandMasks(2, 200.0), 1.0),
        (TimeMasks(2, 0.1), 1.0),
    ]
)


def power(samples: np.ndarray) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2))


@given(
    snr_db=st.floats(-20, 40),
    colour=st.sampled_from(sorted(COLOURS)),
    level=st.floats(1e-3, 0.5),
    samples=st.integers(100, 20000),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_noise_reaches_its_signal_to_noise_ratio(snr_db, colour, level, samples, seed):
    generator = np.random.default_rng(seed)
    clip = (level * generator.standard_normal(samples)).astype(np.float32)
    noise = coloured_noise(samples, COLOURS[colour], generator)
    added = add_at_snr(clip, noise, snr_db).astype(np.float64) - clip
    assert 10 * np.log10(power(clip) / power(added)) == pytest.approx(snr_db, abs=0.05)


@pytest.mark.parametrize(("colour", "slope_db"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_a_colour_falls_by_so_many_decibel_an_octave(colour, slope_db):
    noise = coloured_noise(1 << 18, COLOURS[colour], np.random.default_rng(0))
    frequency, density = scipy.signal.welch(noise, fs=16000, nperseg=4096)
    octaves = [10 * np.log10(density[(frequency >= low) & (frequency < 2 * low)].mean()) for low in (125, 500, 2000)]
    assert np.diff(octaves) / 2 == pytest.approx(slope_db, abs=0.3)


def test_noise_from_a_folder_is_drawn_cut_and_repeated(tmp_path):
    ramp = np.linspace(-0.5, 0.5, 8000, dtype=np.float32)
    (tmp_path / "deeper").mkdir()
    soundfile.write(tmp_path / "deeper" / "ramp.wav", ramp, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "ones.wav", np.full(8000, 0.5, dtype=np.float32), 16000, subtype="FLOAT")
    step = Noise((0.0, 0.0), folder=tmp_path)
    kinds = set()
    for seed in range(20):
        added = step(CLIP[:4000], np.random.default_rng(seed)) - CLIP[:4000]
        assert power(added) == pytest.approx(power(CLIP[:4000]), rel=1e-3)
        kinds.add(bool(np.ptp(added) > 1e-3))
    assert kinds == {True, False}
    repeated = filled_to(ramp, 20000, np.random.default_rng(0))
    assert len(repeated) == 20000
    np.testing.assert_array_equal(repeated[:12000], repeated[8000:])


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"augmentation\.noise\.folder: .* holds no recording"):
        Noise((0.0, 10.0), folder=tmp_path)
    with pytest.raises(ConfigError, match=r"augmentation\.reverberation\.folder: .*nowhere does not exist"):
        Reverberation(folder=tmp_path / "nowhere")


@given(rt60_s=st.floats(0.15, 1.5), direct_db=st.floats(-5, 15), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_a_simulated_room_has_its_reverberation_time_and_direct_sound(rt60_s, direct_db, seed):
    response = simulated_response(rt60_s, direct_db, np.random.default_rng(seed)).astype(np.float64)
    assert response[0] == np.abs(response).max() or direct_db < 0
    assert -10 * np.log10(np.sum(response[1:] ** 2)) == pytest.approx(direct_db, abs=0.01)
    decay = 10 * np.log10(np.cumsum(response[:0:-1] ** 2)[::-1])  # Schroeder's backward integration
    between = (decay < decay[0] - 5) & (decay > decay[0] - 25)
    slope = np.polyfit(np.flatnonzero(between) / 16000, decay[between], 1)[0]
    assert -60 / slope == pytest.approx(rt60_s, rel=0.15)


def test_a_room_keeps_place_length_and_loudness_and_adds_a_tail():
    click = np.zeros(8000, dtype=np.float32)
    click[1000] = 1.0
    heard = in_room(click, np.concatenate([np.zeros(50), simulated_response(0.4, 5.0, np.random.default_rng(0))]))
    assert len(heard) == 8000
    assert np.argmax(np.abs(heard)) == 1000
    assert np.abs(heard[:1000]).max() < 1e-6 < np.abs(heard[3000:4000]).max()
    assert power(heard) == pytest.approx(power(click), rel=1e-4)


def test_a_recorded_room_is_taken_from_its_folder(tmp_path):
    response = np.zeros(400, dtype=np.float32)
    response[[10, 200]] = 1.0, 0.5
    soundfile.write(tmp_path / "room.wav", response, 16000, subtype="FLOAT")
    heard = Reverberation(folder=tmp_path)(CLIP, np.random.default_rng(0)).astype(np.float64)
    expected = CLIP + 0.5 * np.concatenate([np.zeros(190), CLIP[:-190]])
    np.testing.assert_allclose(heard, expected * np.sqrt(power(CLIP) / power(expected)), atol=1e-5)


def test_a_telephone_leaves_its_band_alone():
    noise = np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    frequency, before = scipy.signal.welch(noise, fs=16000, nperseg=2048)
    _, after = scipy.signal.welch(Telephone()(noise, np.random.default_rng(0)), fs=16000, nperseg=2048)
    gain_db = 10 * np.log10(after / before)
    assert np.abs(gain_db[(frequency > 500) & (frequency < 2500)]).max() < 1.0
    assert gain_db[((frequency > 20) & (frequency < 100)) | (frequency > 6000)].max() < -40


@pytest.mark.parametrize("name", sorted(CODECS))
def test_a_codec_changes_a_clip_and_does_not_move_it(name):
    generator = np.random.default_rng(0)
    chirp = 0.3 * scipy.signal.chirp(np.arange(16000) / 16000, 200, 1, 3000) * np.hanning(16000)
    clip = (chirp + 0.01 * generator.standard_normal(16000)).astype(np.float32)
    codec = CODECS[name]
    for level in codec.compression or (None,):
        heard = coded(clip, codec, level)
        assert len(heard) == len(clip)
        places = np.correlate(heard, clip[1000:-1000], "valid")
        assert abs(int(np.argmax(places)) - 1000) <= 1
        error_db = 10 * np.log10(power(heard - clip) / power(clip))
        assert -60 < error_db < -2


def test_a_harder_codec_loses_more():
    clip = CLIP + 0.02 * np.random.default_rng(0).standard_normal(len(CLIP)).astype(np.float32)
    for name in ("mp3", "opus"):
        lost = [power(coded(clip, CODECS[name], level) - clip) for level in CODECS[name].compression]
        assert lost[0] < lost[1]


@given(share=st.floats(0.5, 1.0), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_two_clips_are_mixed_as_equally_loud(share, seed):
    generator = np.random.default_rng(seed)
    first, other = (level * generator.standard_normal(4000).astype(np.float32) for level in (0.1, 0.001))
    found = mixed(first, other, share)
    scale = np.sqrt(power(first) / power(other))
    np.testing.assert_allclose(found, share * first + (1 - share) * scale * other, atol=1e-5)


def test_the_share_of_a_mixed_clip_is_at_least_half_and_some_are_left_alone():
    drawn = [Mix(alpha=0.4, probability=0.6).draw(np.random.default_rng(seed)) for seed in range(500)]
    shares = [share for share in drawn if share is not None]
    assert len(shares) / 500 == pytest.approx(0.6, abs=0.06)
    assert 0.5 <= min(shares) < 0.6 and 0.99 < max(shares) <= 1


def test_a_crop_is_a_piece_of_the_clip_and_any_piece_comes_up():
    starts = set()
    for seed in range(200):
        piece = piece_of(np.arange(10.0, dtype=np.float32), 8, np.random.default_rng(seed))
        np.testing.assert_array_equal(piece, np.arange(piece[0], piece[0] + 8))
        starts.add(int(piece[0]))
    assert starts == {0, 1, 2}


def test_a_short_clip_is_not_cropped():
    np.testing.assert_array_equal(Crop(2.0)(CLIP, np.random.default_rng(0)), CLIP)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_speed_divides_the_length_and_multiplies_the_pitch(factor):
    faster = change_speed(CLIP, factor)
    assert len(faster) == pytest.approx(len(CLIP) / factor, abs=2)

    def pitch(samples: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n=1 << 18))
        return np.argmax(spectrum) / (1 << 18)

    assert pitch(faster) == pytest.approx(pitch(CLIP) * factor, rel=0.01)


def test_a_random_speed_stays_within_its_bounds_and_varies():
    lengths = [len(Speed(0.2)(CLIP, np.random.default_rng(seed))) for seed in range(40)]
    assert min(lengths) >= len(CLIP) * np.exp(-0.2) - 2
    assert max(lengths) <= len(CLIP) * np.exp(0.2) + 2
    assert len(set(lengths)) > 30
    assert min(lengths) < len(CLIP) < max(lengths)


def test_a_step_is_left_out_as_often_as_its_probability_says():
    augmentation = Augmentation([(Crop(1.0), None), (Gain(6.0), 0.3)])
    changed = [augmentation(CLIP, np.random.default_rng(seed)) for seed in range(300)]
    assert {len(samples) for samples in changed} == {16000}
    untouched = [np.abs(samples).max() == np.abs(CLIP).max() for samples in changed]
    assert np.mean(untouched) == pytest.approx(0.7, abs=0.08)


def test_the_gain_is_one_factor_within_its_bounds():
    factors = set()
    for seed in range(50):
        louder = Gain(6.0)(CLIP, np.random.default_rng(seed))
        (factor,) = set(np.round(louder[CLIP != 0] / CLIP[CLIP != 0], 4).tolist()) or {0.0}
        assert 10 ** (-6 / 20) - 1e-3 <= factor <= 10 ** (6 / 20) + 1e-3
        factors.add(factor)
    assert len(factors) > 40


def test_masked_bands_take_energy_away_and_add_none():
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    masked = BandMasks(2, 500.0)(noise, np.random.default_rng(1))
    before, after = np.abs(np.fft.rfft(noise)), np.abs(np.fft.rfft(masked))
    gone = after < 1e-2 * before
    assert gone.any()
    np.testing.assert_allclose(after[~gone], before[~gone], rtol=1e-2, atol=1e-2)
    edges = np.flatnonzero(np.diff(gone.astype(int)))
    assert len(edges) <= 4  # at most two bands


def test_masked_spans_are_zeros_and_the_rest_is_untouched():
    ones = np.ones(16000, np.float32)
    for seed in range(20):
        masked = TimeMasks(2, 0.2)(ones, np.random.default_rng(seed))
        assert set(np.unique(masked)) <= {0.0, 1.0}
        assert (masked == 0).sum() <= 2 * 0.2 * 16000
    assert TimeMasks(2, 0.2)(ones[:100], np.random.default_rng(0)).sum() >= 50
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
