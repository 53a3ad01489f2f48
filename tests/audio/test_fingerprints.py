"""Fingerprints know a copy from another take."""

from itertools import pairwise

import numpy as np
import pytest

from emotune import audio
from emotune.audio.fingerprint import BITS, HOP, RATE_HZ, fingerprint
from emotune.audio.near_copies import (
    NearCopy,
    bit_error_rate,
    copies_by_position,
    first_of_copies,
    is_distinctive,
    near_copies,
)


@pytest.fixture(scope="module")
def speech(demo_corpus) -> list[np.ndarray]:
    """Four sentences of one synthetic voice at 8 kHz."""
    files = [demo_corpus / "audio" / f"v01-s{number}-neutral.ogg" for number in (1, 2, 3, 4)]
    return [audio.decode(file).mono(RATE_HZ) for file in files]


def pairs_of(*clips: np.ndarray) -> list[tuple[int, int]]:
    found = near_copies([fingerprint(clip) for clip in clips], [str(number) for number in range(len(clips))])
    return [(pair.first, pair.second) for pair in found]


def test_the_bits_are_those_of_the_formula(speech):
    clip = speech[0]
    edges_hz = np.geomspace(300, 3400, 34)
    frequencies = np.arange(513) * 8000 / 1024

    def log_energy(frame: int) -> np.ndarray:
        piece = clip[frame * 96 : frame * 96 + 1024] * np.hanning(1024)
        power = np.abs(np.fft.rfft(piece)) ** 2
        inside = [(frequencies >= low) & (frequencies < high) for low, high in pairwise(edges_hz)]
        return np.log([power[band].sum() for band in inside])

    found = fingerprint(clip)
    differences = []
    for frame in (30, 60, 90):
        later, earlier = log_energy(frame + 4), log_energy(frame)
        bits = (later[:-1] - later[1:]) - (earlier[:-1] - earlier[1:]) > 0
        expected = sum(1 << (31 - band) for band, bit in enumerate(bits.tolist()) if bit)
        differences.append((expected ^ int(found.values[frame])).bit_count())
    assert sum(differences) <= 1  # a value next to zero may round either way


def test_a_gain_leaves_the_fingerprint_as_it_is(speech):
    assert (fingerprint(speech[0]).values == fingerprint(speech[0] / 4).values).all()


def test_a_cut_shifts_the_fingerprint(speech):
    whole, cut = fingerprint(speech[0]), fingerprint(speech[0][10 * HOP :])
    assert bit_error_rate(whole, cut, -10) < 0.02
    assert bit_error_rate(cut, whole, 10) == bit_error_rate(whole, cut, -10)
    assert bit_error_rate(whole, cut, 0) > 0.3


@pytest.mark.parametrize("cut", [777, 1600, 2455])
def test_a_copy_cut_between_two_frames_is_found_and_other_sentences_are_not(speech, cut):
    assert pairs_of(*speech, speech[2][cut:]) == [(2, 4)]


def test_noise_30_db_under_a_copy_does_not_hide_it(speech):
    noise = np.random.default_rng(0).standard_normal(len(speech[1])) * np.sqrt(np.mean(speech[1] ** 2))
    assert pairs_of(*speech, speech[1] + 0.03 * noise.astype(np.float32)) == [(1, 4)]


def test_clips_that_share_less_than_most_of_the_shorter_one_are_no_copies(speech):
    half = len(speech[0]) // 2
    mixed = np.concatenate([speech[0][:half], speech[1][len(speech[1]) // 3 :]])
    assert pairs_of(speech[0], mixed) == []
    assert pairs_of(speech[0], np.concatenate([speech[0], speech[1]])) == [(0, 1)]


def test_clips_of_one_file_are_not_compared(speech):
    prints = [fingerprint(clip) for clip in (speech[0], speech[0][500:])]
    assert near_copies(prints, ["a.wav", "a.wav"]) == []
    assert len(near_copies(prints, ["a.wav", "b.wav"])) == 1


def test_steady_tones_and_hums_are_never_called_copies_of_each_other():
    time_s = np.arange(16000) / RATE_HZ
    tone = (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    hum = sum(np.sin(2 * np.pi * 120 * k * time_s) / k for k in range(1, 25)).astype(np.float32) / 5
    assert not is_distinctive(fingerprint(tone))
    assert not is_distinctive(fingerprint(hum))
    assert pairs_of(tone, tone[300:], hum, hum[300:]) == []


def test_tones_with_noise_of_their_own_are_different_recordings(tones):
    prints = [fingerprint(tones.clip_of(utterance, sampling_rate_hz=RATE_HZ).samples) for utterance in tones]
    assert near_copies(prints, [utterance.file for utterance in tones]) == []


def test_no_two_clips_of_the_demo_corpus_are_copies(demo_corpus):
    files = sorted((demo_corpus / "audio").iterdir())
    assert near_copies([fingerprint(audio.decode(file).mono(RATE_HZ)) for file in files], [f.name for f in files]) == []


def test_silence_and_clips_without_a_frame_have_no_copies():
    silence = np.zeros(8000, np.float32)
    assert len(fingerprint(silence)) == 0
    assert len(fingerprint(np.ones(1000, np.float32))) == 0
    assert pairs_of(silence, silence, np.zeros(0, np.float32)) == []


def test_unrelated_noise_differs_in_half_of_the_bits():
    one, other = (fingerprint(np.random.default_rng(n).standard_normal(40000).astype(np.float32)) for n in (1, 2))
    values = zip(one.values.tolist(), other.values.tolist(), strict=True)
    expected = np.mean([(a ^ b).bit_count() / BITS for a, b in values])
    assert bit_error_rate(one, other, 0) == pytest.approx(expected)
    assert expected == pytest.approx(0.5, abs=0.03)


def test_a_long_chain_of_exact_copies_is_one_group_of_the_first(speech):
    clips = [speech[1], *[speech[0][n:] for n in range(0, 800, 40)]]
    files = [str(number) for number in range(len(clips))]
    found = copies_by_position([fingerprint(clip) for clip in clips], files, files)
    assert found == dict.fromkeys(range(2, 21), 1)


def test_equal_content_is_a_copy_whatever_it_sounds_like():
    silence = fingerprint(np.zeros(8000, np.float32))
    assert copies_by_position([silence] * 3, ["x", "y", "x"], ["a", "b", "c"]) == {2: 0}
    assert copies_by_position([silence] * 3, ["x", "y", "x"], ["a", "b", "a"]) == {}


def test_segments_of_one_file_name_a_clip_of_another():
    pairs = [NearCopy(0, 2, 0.1), NearCopy(1, 2, 0.1)]
    assert first_of_copies(pairs, ["call", "call", "other"]) == {1: 2, 2: 0}
