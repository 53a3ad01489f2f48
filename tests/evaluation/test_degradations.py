"""Degradations, measured on clips; whose voices babble is made of; and that they are the same every time."""

import dataclasses

import numpy as np
import pytest
import scipy.signal

from emotune.errors import CorpusError
from emotune.evaluation.robustness.babble import TALKERS, Voices
from emotune.evaluation.robustness.degradations import BABBLE, CHANNEL, DEGRADATIONS, LEVEL, NOISE, PIECE, ROOM
from emotune.schema.manifest import Manifest

WHITE = (0.1 * np.random.default_rng(1).standard_normal(48000)).astype(np.float32)
NAMES = list(DEGRADATIONS)


def power(samples: np.ndarray) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2))


def of_family(family: str) -> list[str]:
    return [name for name, degradation in DEGRADATIONS.items() if degradation.family == family]


def changed(name: str, clip: np.ndarray) -> np.ndarray:
    return DEGRADATIONS[name].change(clip, np.random.default_rng(0))


@pytest.fixture(scope="module")
def voices(tones) -> Voices:
    return Voices(tones)


def test_every_family_is_there():
    assert {degradation.family for degradation in DEGRADATIONS.values()} == {NOISE, BABBLE, CHANNEL, LEVEL, ROOM, PIECE}


@pytest.mark.parametrize("name", NAMES)
def test_a_degradation_is_the_same_every_time_and_leaves_the_clip_alone(tones, name):
    utterance = tones.utterances[5]
    first, second = Voices(tones), Voices(tones)
    clip = first.samples_of(utterance).copy()
    for other in tones.utterances[:4]:  # what was asked for before decides nothing
        DEGRADATIONS[name](other, second)
    heard = DEGRADATIONS[name](utterance, first)
    np.testing.assert_array_equal(heard, DEGRADATIONS[name](utterance, second))
    np.testing.assert_array_equal(clip, first.samples_of(utterance))
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert heard.ndim == 1
    if DEGRADATIONS[name].family != PIECE:
        assert len(heard) == len(clip)


@pytest.mark.parametrize("name", [*of_family(NOISE), *of_family(BABBLE)])
def test_a_noise_reaches_the_ratio_that_its_name_says(voices, name):
    utterance = voices.manifest.utterances[7]
    clip = voices.samples_of(utterance).astype(np.float64)
    added = DEGRADATIONS[name](utterance, voices) - clip
    wanted = int(name.split("_")[1].removesuffix("db"))
    assert 10 * np.log10(power(clip) / power(added)) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("family", [NOISE, BABBLE])
def test_the_levels_of_a_noise_are_one_noise_and_another_clip_has_another(voices, family):
    def noise(name: str, number: int) -> np.ndarray:
        utterance = voices.manifest.utterances[number]
        added = DEGRADATIONS[name](utterance, voices) - voices.samples_of(utterance)
        return added / np.sqrt(power(added))

    low, _, high = of_family(family)
    np.testing.assert_allclose(noise(low, 7), noise(high, 7), atol=2e-5)
    length = min(len(noise(low, 7)), len(noise(low, 9)))
    assert abs(np.mean(noise(low, 7)[:length] * noise(low, 9)[:length])) < 0.5


def test_babble_is_of_other_speakers_and_of_as_many_as_there_are(voices):
    for number, utterance in enumerate(voices.manifest):
        talkers = voices.talkers_for(utterance, np.random.default_rng(number))
        assert len(talkers) == len({talker.utterance_id for talker in talkers}) == TALKERS
        assert utterance.speaker not in {talker.speaker for talker in talkers}
        assert len({talker.speaker for talker in talkers}) == 5


def test_the_same_name_in_another_corpus_is_another_speaker(tones):
    rows = [dataclasses.replace(u, corpus="a" if u.speaker == "s0" else "b", speaker="one") for u in tones]
    rows += [dataclasses.replace(u, utterance_id=f"{u.utterance_id} c", corpus="c", speaker="one") for u in rows[:4]]
    voices = Voices(tones.replace_utterances(rows))
    voices.check_babble()
    assert {talker.corpus for talker in voices.talkers_for(rows[0], np.random.default_rng(0))} == {"b", "c"}


def test_babble_is_as_loud_from_every_talker(tones, voices, monkeypatch):
    loud = Voices(tones)
    decoded = loud.samples_of
    monkeypatch.setattr(loud, "samples_of", lambda u: decoded(u) * np.float32(1 + 7 * (u.speaker == "s3")))
    quiet_one, loud_one = (v.babble_for(tones.utterances[0], 9000, np.random.default_rng(3)) for v in (voices, loud))
    np.testing.assert_allclose(quiet_one, loud_one, rtol=1e-4, atol=1e-4)


def test_a_voice_that_cannot_be_decoded_is_left_out_of_babble(tones):
    rows = [dataclasses.replace(u, file="missing.wav") if u.speaker == "s2" else u for u in tones]
    talkers = Voices(tones.replace_utterances(rows)).talkers_for(rows[0], np.random.default_rng(0))
    assert len(talkers) == TALKERS
    assert "s2" not in {talker.speaker for talker in talkers}


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda u: u.speaker in ("s0", "s1"), "at least 2 speakers beside the one who is heard.* 2 in all"),
        (lambda u: True, "1 of 24 utterances have no known speaker"),
    ],
)
def test_babble_without_enough_known_speakers_is_an_error(tones, keep, message):
    few: Manifest = tones.filter(keep)
    if len(few) == len(tones):
        few = few.replace_utterances([dataclasses.replace(few.utterances[0], speaker=None), *few.utterances[1:]])
    with pytest.raises(CorpusError, match=message):
        Voices(few).check_babble()


def test_few_clips_are_held_at_a_time(tones, monkeypatch):
    monkeypatch.setattr("emotune.evaluation.robustness.babble._KEPT_SECONDS", 2.0)
    voices = Voices(tones)
    for utterance in tones:
        DEGRADATIONS["babble_0db"](utterance, voices)
        assert sum(map(len, voices._decoded.values())) <= 2.0 * 16000


def test_the_telephone_leaves_its_band_alone():
    frequency, before = scipy.signal.welch(WHITE, fs=16000, nperseg=1024)
    _, after = scipy.signal.welch(changed("telephone", WHITE), fs=16000, nperseg=1024)
    kept_db = 10 * np.log10(after / before)
    assert np.abs(kept_db[(frequency > 500) & (frequency < 2900)]).max() < 1.5
    assert kept_db[(frequency > 4100) | ((frequency > 0) & (frequency < 100))].max() < -20


@pytest.mark.parametrize("name", ["mp3", "opus", "telephone"])
def test_a_channel_changes_a_clip_but_does_not_delay_it(voices, name):
    seconds = np.arange(48000) / 16000
    sweep = (0.3 * scipy.signal.chirp(seconds, 400, 3, 2500)).astype(np.float32)
    heard = changed(name, sweep)
    agreement = scipy.signal.correlate(heard, sweep, mode="full")
    assert abs(int(np.argmax(agreement)) - (len(sweep) - 1)) <= 2
    assert np.abs(heard - sweep).max() > 1e-3
    assert np.corrcoef(heard, sweep)[0, 1] > 0.8


def test_quiet_is_20_db_softer_on_the_grid_of_16_bits():
    heard = changed("quiet", WHITE)
    assert 10 * np.log10(power(heard) / power(WHITE)) == pytest.approx(-20, abs=0.01)
    steps = heard.astype(np.float64) * 32767
    np.testing.assert_allclose(steps, np.round(steps), atol=2e-3)


def test_overdriven_is_cut_at_full_scale_and_as_before_below_it():
    heard = changed("overdriven", WHITE)
    factor = 10 ** (12 / 20) / np.abs(WHITE).max()
    over = np.abs(WHITE) * factor > 1
    assert 0 < over.mean() < 0.5
    assert (np.abs(heard[over]) == 1).all()
    np.testing.assert_allclose(heard[~over], WHITE[~over] * factor, rtol=1e-5)
    silence = np.zeros(100, dtype=np.float32)
    np.testing.assert_array_equal(changed("overdriven", silence), silence)


@pytest.mark.parametrize(("name", "rt60_s", "direct_db"), [("room_300ms", 0.3, 5.0), ("room_800ms", 0.8, 0.0)])
def test_a_room_decays_in_its_time_and_has_its_share_of_reflections(name, rt60_s, direct_db):
    click = np.zeros(32000, dtype=np.float32)
    click[0] = 1
    response = changed(name, click).astype(np.float64)
    assert 10 * np.log10(response[0] ** 2 / np.sum(response[1:] ** 2)) == pytest.approx(direct_db, abs=0.05)
    left = np.cumsum(response[:0:-1] ** 2)[::-1]  # energy still to come (Schroeder)
    decay_db = 10 * np.log10(np.maximum(left / left[0], 1e-12))
    part = np.flatnonzero((decay_db < -5) & (decay_db > -25))
    slope = np.polyfit(part / 16000, decay_db[part], 1)[0]
    assert -60 / slope == pytest.approx(rt60_s, rel=0.1)


@pytest.mark.parametrize(("name", "start", "length"), [("first_1s", 0, 16000), ("first_2s", 0, 32000)])
def test_a_beginning_is_so_long_and_unchanged(name, start, length):
    np.testing.assert_array_equal(changed(name, WHITE), WHITE[start : start + length])


def test_the_middle_has_as_much_cut_off_before_as_after():
    np.testing.assert_array_equal(changed("middle_1s", WHITE), WHITE[16000:32000])


@pytest.mark.parametrize("name", of_family(PIECE))
def test_a_clip_that_is_shorter_than_the_piece_stays_whole(name):
    np.testing.assert_array_equal(changed(name, WHITE[:9000]), WHITE[:9000])
