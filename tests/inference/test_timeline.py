"""Timelines: windows and smoothing in themselves, then through a model."""

import itertools
import re

import numpy as np
import pytest
import soundfile

import emotune
from builders.engines import SometimesDeaf, spiked
from builders.recordings import encoded, noise
from emotune.audio.decoding import sound
from emotune.audio.voice_activity import Stretch, Turns
from emotune.errors import AudioError, ConfigError
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor
from emotune.inference.timeline.recording import RecordingTimeline, TimelineRule
from emotune.inference.timeline.smoothing import Smoother, steadiest, step_edges
from emotune.inference.timeline.windows import Window, WindowCutter, WindowRule

RATE = 16000
EVERYTHING = TimelineRule(WindowRule(1.0, 0.5), "none")


@pytest.fixture(scope="module")
def predictor(tiny_model):
    return emotune.load(tiny_model)


def cut(turns, seconds, blocks, least=0):
    samples = np.arange(round(seconds * RATE), dtype=np.float32)
    cutter, at, windows = WindowCutter(WindowRule(3.0, 1.0), Turns(turns), least=least), 0, []
    for size in blocks:
        windows += cutter.feed(samples[at : at + size])
        at += size
    return windows + cutter.finish()


def places(windows):
    return [(one.start / RATE, one.end / RATE, one.ends_stretch) for one in windows]


def test_windows_cover_a_stretch_and_the_last_one_ends_with_it():
    assert places(cut([(1.0, 6.4)], 10, [160000])) == [(1, 4, False), (2, 5, False), (3.4, 6.4, True)]
    assert places(cut([(1.0, 6.6)], 10, [160000])) == [(1, 4, False), (2, 5, False), (3, 6, False), (3.6, 6.6, True)]
    assert places(cut([(1.0, 2.0)], 10, [160000])) == [(1, 2, True)]


def test_a_turn_ends_with_the_recording_and_one_behind_it_is_none():
    assert places(cut([(1.0, 9.0), (12.0, 13.0)], 3, [48000])) == [(1, 3, True)]


def test_windows_are_the_same_for_blocks_of_any_size_and_hold_the_sound_of_their_time():
    turns = [(0.3, 0.9), (2.0, 9.1), (11.0, 14.0), (16.5, 31.0)]
    whole = cut(turns, 30, [480000], least=9000)
    for seed, largest in ((0, 50), (1, 700), (2, 20000)):
        sizes = np.random.default_rng(seed).integers(0, largest, size=4 * 480000 // largest)
        found = cut(turns, 30, sizes.tolist(), least=9000)
        assert places(found) == places(whole)
        for one, other in zip(found, whole, strict=True):
            np.testing.assert_array_equal(one.samples, other.samples)
    for one in whole:
        assert one.samples[-1] == one.end - 1
        assert len(one.samples) == max(one.end - one.start, min(9000, one.end))
    for stretch, windows in itertools.groupby(whole, lambda one: one.stretch_start):
        covered = list(windows)
        assert covered[0].start == stretch
        assert all(a.end >= b.start for a, b in itertools.pairwise(covered))


def worth_of(path, shares, seconds, cost):
    gain = sum(seconds[at] * np.log(shares[at, answer]) for at, answer in enumerate(path))
    return gain - cost * sum(a != b for a, b in itertools.pairwise(path))


def test_the_best_path_is_the_best_of_all_paths():
    generator = np.random.default_rng(0)
    for cost in (0.0, 0.3, 1.0):
        shares = generator.dirichlet([0.5] * 3, size=6)
        seconds = generator.uniform(0.2, 2.0, size=6)

        paths = list(itertools.product(range(3), repeat=6))
        worth = {path: worth_of(path, shares, seconds, cost) for path in paths}
        assert worth[tuple(steadiest(shares, seconds, cost).tolist())] == pytest.approx(max(worth.values()))


def test_a_moments_answer_is_the_weighted_mean_of_the_windows_over_it():
    smoother = Smoother(2, 10, rate_hz=10, change_cost=0.0)
    nothing = np.zeros(0, dtype=np.float32)
    assert smoother.add(Window(0, 20, 0, False, nothing), np.array([0.9, 0.1, 1.0])) == []
    pieces = smoother.add(Window(10, 30, 0, True, nothing), np.array([0.2, 0.8, 4.0]))
    # steps 0-10, 10-20, 20-30: only the first window, both alike (5 from the middle of each), only the second
    first, second = pieces
    assert (first.start, first.end, second.start, second.end) == (0, 20, 20, 30)
    np.testing.assert_allclose(first.values, [(0.9 + 0.55) / 2, (0.1 + 0.45) / 2, (1.0 + 2.5) / 2])
    np.testing.assert_allclose(second.values, [0.2, 0.8, 4.0])


def test_steps_fill_a_stretch():
    for length in range(1, 60):
        edges = step_edges(7, 7 + length, 10)
        assert edges[0] == 7 and edges[-1] == 7 + length
        assert (np.diff(edges) > 0).all()
        assert np.diff(edges).max() <= 15


def test_a_timeline_is_what_the_windows_alone_give(predictor):
    samples = noise(RATE * 4)
    found = predictor.timeline((samples, RATE), rule=TimelineRule(WindowRule(1.0, 1.0), "none", 0.0))
    alone = [predictor.predict((samples[at : at + RATE], RATE)) for at in range(0, 4 * RATE, RATE)]
    assert found.duration_s == 4.0
    means = np.array([[*row.probabilities.values(), *row.dimensions.values()] for row in alone])
    at = 0
    for one in found.segments:
        part = means[round(one.start_s) : round(one.end_s)]
        np.testing.assert_allclose(list(one.probabilities.values()), part[:, :2].mean(axis=0), atol=1e-4)
        np.testing.assert_allclose(one.dimensions["arousal"], part[:, 2].mean(), atol=1e-3)
        assert one.start_s == at
        at = one.end_s
    assert at == 4.0


def test_the_size_of_decoded_blocks_changes_no_bit(predictor, monkeypatch):
    stereo = encoded(0.3 * noise(44100 * 9, 2), 44100)
    found = []
    for size in (1 << 18, 5000, 1234):
        monkeypatch.setattr(sound, "BLOCK_SAMPLES", size)
        found.append(predictor.timeline(stereo, channel="each", rule=EVERYTHING))
    assert found[0] == found[1] == found[2]
    assert [track.channel for track in found[0].tracks] == [0, 1]
    assert found[0].duration_s == 9.0


def test_uncertain_speech_is_told_from_silence(predictor, monkeypatch):
    sound_ = np.concatenate([np.zeros(RATE * 3), 0.3 * noise(RATE * 3), np.zeros(RATE * 3)]).astype("f4")
    monkeypatch.setattr(predictor, "answered_from", 1.1)
    turns = {"A": [(3.0, 6.0)], "B": [(20.0, 21.0)]}
    found = predictor.timeline((sound_, RATE), speakers=turns)
    assert {one.emotion for one in found.segments} == {"uncertain"}
    assert all(one.most_probable in ("anger", "neutral") for one in found.segments)
    assert found.silences(None) == [(0.0, 3.0), (6.0, 9.0)]
    assert [track.speaker for track in found.tracks] == ["A", "B"]
    assert predictor.timeline((np.zeros(RATE * 2, dtype="f4"), RATE)).segments == ()


def test_speakers_turns_may_overlap_and_each_is_heard(predictor):
    found = predictor.timeline((noise(RATE * 8), RATE), speakers={"A": [(0.0, 5.0)], "B": [(4.0, 8.0)]})
    bounds = {
        name: (rows[0].start_s, rows[-1].end_s) for name in "AB" if (rows := found.of(found.tracks["AB".index(name)]))
    }
    assert bounds == {"A": (0.0, 5.0), "B": (4.0, 8.0)}


def test_a_turn_shorter_than_the_model_takes_is_not_answered_with_what_others_said(predictor):
    turns = {"A": [(0.0, 2.0)], "B": [(2.0, 2.02)]}
    found = predictor.timeline((noise(RATE * 3), RATE), speakers=turns)
    assert {one.track.speaker for one in found.segments} == {"A"}
    (short,) = found.unanswered
    assert (short.start_s, short.end_s, short.track.speaker) == (2.0, 2.02, "B")
    assert re.search(r"B at 2 s: the clip is 0\.0200 s long; the model needs at least 0\.0413 s", short.error)
    with pytest.raises(AudioError, match=r"B at 2 s: the clip is 0\.0200 s long"):
        predictor.timeline((noise(RATE * 3), RATE), speakers={"B": turns["B"]})


def test_turns_behind_the_end_of_a_recording_are_named_with_their_seconds(predictor):
    turns = {"A": [(0.0, 2.0), (2.2, 4.05)], "B": [(3.0, 9.0), (20.0, 1e9)]}
    found = predictor.timeline((noise(RATE * 4), RATE), speakers=turns)
    assert {one.track.speaker: one.end_s for one in found.segments} == {"A": 4.0, "B": 4.0}
    (behind,) = found.unanswered
    assert (behind.start_s, behind.track.speaker) == (4.0, "B")
    assert ": it ends at 4 s, and 2 turns of B later, at 1e+09 s at the latest." in behind.error
    with pytest.raises(AudioError, match="it ends at 4 s, and 1 turn of C later, at 21 s at the latest"):
        predictor.timeline((noise(RATE * 4), RATE), speakers={"C": [(20.0, 21.0)]})


def test_windows_that_the_model_does_not_take_are_refused(predictor):
    with pytest.raises(ConfigError, match=r"The window is 6 s long; the model takes .* to 5 s"):
        predictor.timeline((noise(RATE), RATE), rule=TimelineRule(WindowRule(6.0, 1.0)))
    with pytest.raises(ConfigError, match="The hop is 4 s, expected from"):
        WindowRule(3.0, 4.0)


def test_a_recording_that_cannot_be_used_is_an_error(predictor):
    with pytest.raises(AudioError, match="empty"):
        predictor.timeline(b"")
    with pytest.raises(AudioError, match="NaN"):
        predictor.timeline((np.full(RATE, np.nan, dtype="f4"), RATE))
    damaged = encoded(noise(RATE * 30))
    with pytest.raises(AudioError, match="damaged"):
        predictor.timeline(damaged[: len(damaged) // 2], rule=EVERYTHING)


def test_turns_are_joined_and_end_in_order():
    turns = Turns([(0.0, 1.0), (1.4, 2.0), (4.0, 5.0)])
    assert turns.stretches == (Stretch(0, 2 * RATE), Stretch(4 * RATE, 5 * RATE))
    assert turns.feed(np.zeros(RATE * 3, dtype="f4")) == [Stretch(0, 2 * RATE)]
    assert turns.going_on is None
    assert turns.feed(np.zeros(RATE + 10, dtype="f4")) == []
    assert turns.going_on == Stretch(4 * RATE, 4 * RATE + 10)
    assert turns.finish() == [Stretch(4 * RATE, 4 * RATE + 10)]


@pytest.fixture
def deaf(predictor):
    return Predictor(SometimesDeaf(predictor.engine))


def test_a_window_without_an_answer_is_an_error_of_its_time_and_the_rest_stands(deaf, predictor):
    whole = predictor.timeline(spiked(), RATE, rule=EVERYTHING)
    found = deaf.timeline(spiked(3.1), RATE, rule=TimelineRule(WindowRule(1.0, 1.0), "none"))
    (failed,) = found.unanswered
    assert (failed.start_s, failed.end_s) == (3, 4)
    assert "out of memory" in failed.error
    assert found.duration_s == whole.duration_s == 6
    assert sum(one.duration_s for one in found.segments) == pytest.approx(5)
    assert all(one.end_s <= 3 or one.start_s >= 4 for one in found.segments)
    assert found.silences(None) == []  # nobody knows what was said, but it was said
    overlapped = deaf.timeline(spiked(3.1), RATE, rule=EVERYTHING)
    assert [(one.start_s, one.end_s) for one in overlapped.unanswered] == [(2.5, 3.5), (3, 4)]


def test_a_recording_of_which_no_window_can_be_answered_is_an_error(deaf):
    with pytest.raises(AudioError, match="out of memory"):
        deaf.timeline(spiked(*np.arange(0.25, 6, 0.5)), RATE, rule=EVERYTHING)


def test_progress_never_counts_more_than_it_promised(predictor, tmp_path):
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([noise(4 * RATE, seed=1), noise(4 * RATE, seed=2)], axis=1), RATE)
    counted: list[tuple[int, int]] = []

    def count(items, *, total, title):
        seen = 0
        for item in items:
            seen += 1
            yield item
        counted.append((seen, total))

    RecordingTimeline(predictor, Item("two", path), channel="each", rule=EVERYTHING).run(count)
    assert counted == [(4, 4)]
