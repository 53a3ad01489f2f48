"""Stretches of speech: the rule on made-up probabilities, and both methods on sound."""

import numpy as np
import pytest

from builders.recordings import noise
from emotune.audio import voice_activity
from emotune.audio.voice_activity import FRAME, METHODS, SpeechDetector, SpeechRule, Stretch, speech_detector
from emotune.errors import ConfigError

RULE = SpeechRule(begin=0.5, go_on=0.3, pause_s=3 * 0.032, shortest_s=2 * 0.032, padding_s=0.032)


class Told:
    """Gives the mean of each frame as its probability."""

    def __call__(self, frames):
        return frames.mean(axis=1)


def stretches(probabilities, block=FRAME, rule=RULE):
    """What the detector finds, in frames, where a frame's probability is that of the list."""
    samples = np.repeat(np.asarray(probabilities, dtype=np.float32), FRAME)
    detector = SpeechDetector(Told(), rule)
    found = [one for at in range(0, len(samples), block) for one in detector.feed(samples[at : at + block])]
    return [(one.start / FRAME, one.end / FRAME) for one in found + detector.finish()]


def test_speech_begins_above_one_threshold_and_goes_on_above_a_lower_one():
    assert stretches([0, 0.4, 0.6, 0.4, 0.4, 0.2, 0, 0, 0]) == [(1, 6)]


def test_a_short_pause_does_not_end_speech_and_a_long_one_does():
    assert stretches([0, 1, 1, 0, 0, 1, 1, 0, 0, 0]) == [(0, 8)]
    assert stretches([0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0]) == [(0, 4), (6, 10)]


def test_what_is_shorter_than_the_shortest_speech_is_none():
    assert stretches([0, 1, 0, 0, 0, 1, 1, 0, 0, 0]) == [(4, 8)]


def test_padding_ends_with_the_recording():
    assert stretches([1, 1, 1]) == [(0, 3)]
    assert stretches([]) == []


@pytest.mark.parametrize("method", METHODS)
def test_blocks_of_any_size_give_the_same(method):
    generator = np.random.default_rng(1)
    time_s = np.arange(16000 * 6) / 16000
    tone = sum(np.sin(2 * np.pi * 140 * k * time_s) / k for k in range(1, 12))
    sound = (0.1 * tone * (np.sin(2 * np.pi * 0.4 * time_s) > 0) * (1 + np.sin(2 * np.pi * 4 * time_s))).astype("f4")
    found = []
    for largest in (37, 1600, len(sound)):
        detector, at, ended = speech_detector(method), 0, []
        while at < len(sound):
            block = sound[at : at + int(generator.integers(1, largest + 1))]
            at += len(block)
            ended += detector.feed(block)
        found.append(ended + detector.finish())
    assert found[0] == found[1] == found[2]
    if method == "none":
        assert found[0] == [Stretch(0, len(sound))]


@pytest.mark.parametrize("method", ["silero", "energy"])
@pytest.mark.parametrize("sound", [np.zeros(64000, dtype="f4"), noise(64000) / 300])
def test_silence_and_room_tone_hold_no_speech(method, sound):
    detector = speech_detector(method)
    assert detector.feed(sound) + detector.finish() == []


@pytest.mark.parametrize("method", ["silero", "energy"])
def test_real_speech_between_pauses_is_found_and_the_pauses_are_left_out(method, shared):
    from emotune import audio

    generator = np.random.default_rng(0)
    clips = [
        audio.clip(path).samples for path in sorted((shared / "data" / "ravdess" / "audio").rglob("*.flac"))[:240:40]
    ]
    parts, middles, at = [], [], 0
    for clip in clips:
        room = (0.0003 * generator.standard_normal(24000)).astype("f4")
        middles.append(at + len(clip) / 2)
        at += len(clip) + len(room)
        parts += [clip, room]
    detector = speech_detector(method)
    found = detector.feed(np.concatenate(parts)) + detector.finish()
    assert len(found) == len(clips)
    assert all(one.start < middle < one.end for one, middle in zip(found, middles, strict=True))


def test_without_onnxruntime_energy_is_taken(monkeypatch):
    monkeypatch.setattr(voice_activity, "is_installed", lambda: False)
    assert voice_activity.best_method() == "energy"


def test_the_network_travels_with_its_licence():
    from emotune.audio.voice_activity.silero import MODEL

    assert "Silero Team" in MODEL.with_name("silero_LICENSE.txt").read_text(encoding="utf-8")


def test_an_unknown_method_is_an_error_with_the_likely_one():
    with pytest.raises(ConfigError, match=r"Unknown way to find speech 'sliero', did you mean 'silero'\?"):
        speech_detector("sliero")
