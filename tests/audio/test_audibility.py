"""Clips in which nothing can be heard, made so that it is known, and clips in which something can."""

import numpy as np
import pytest

from builders.recordings import tone
from emotune.audio import clip

RATES = (8000, 16000, 44100)
GENERATOR = np.random.default_rng(0)


def kind_of(samples: np.ndarray, rate: int, channel="mix") -> str | None:
    """As a model at 16 kHz hears it."""
    found = clip((samples.astype(np.float32), rate), channel=channel).unheard
    return None if found is None else found.kind


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


@pytest.mark.parametrize("rate", RATES)
def test_clips_in_which_nothing_can_be_heard(rate):
    silence, speech = np.zeros(rate), tone(sampling_rate_hz=rate)
    assert kind_of(silence, rate) == "silent"
    assert kind_of(stereo(silence, silence), rate) == "silent"
    assert kind_of(silence + 0.25, rate) == "constant"
    assert kind_of(silence - 0.9 + tone(sampling_rate_hz=rate, peak=0.0002), rate) == "constant"
    assert kind_of(stereo(silence + 0.5, silence + 0.1), rate) == "constant"
    assert kind_of(tone(sampling_rate_hz=rate, peak=0.0009), rate) == "faint"
    last_two_bits = np.round(tone(sampling_rate_hz=rate, peak=1) * 2) / 32768  # of a 16-bit file
    assert kind_of(last_two_bits, rate) == "faint"
    assert kind_of(stereo(speech, -speech), rate) == "cancelled"
    assert kind_of(stereo(speech, -0.98 * speech), rate) == "cancelled"  # 34 dB
    assert kind_of(np.stack([speech, -speech, silence, silence], axis=1), rate) == "cancelled"


@pytest.mark.parametrize("rate", RATES)
def test_clips_in_which_something_can_be_heard(rate):
    speech, silence = tone(sampling_rate_hz=rate), np.zeros(rate)
    assert kind_of(speech, rate) is None
    assert kind_of(tone(sampling_rate_hz=rate, peak=0.0015), rate) is None
    assert kind_of(speech + 0.3, rate) is None
    assert kind_of(stereo(speech, speech), rate) is None
    assert kind_of(stereo(speech, silence), rate) is None
    assert kind_of(stereo(speech, -0.9 * speech), rate) is None  # 20 dB: weak, but heard
    assert kind_of(np.stack([speech, *[silence] * 31], axis=1), rate) is None, "one of 32 speaks"
    assert kind_of(GENERATOR.normal(0, 0.1, (rate, 32)), rate) is None, "the mean of 32 is 15 dB lower"


def test_a_channel_of_a_cancelled_clip_can_be_heard():
    both = stereo(tone(sampling_rate_hz=16000), -tone(sampling_rate_hz=16000))
    assert [kind_of(both, 16000, channel) for channel in ("mix", 0, 1)] == ["cancelled", None, None]


def test_a_clip_shorter_than_its_edges_is_judged_whole():
    assert kind_of(tone(sampling_rate_hz=16000, seconds=0.02), 16000) is None
    assert kind_of(np.zeros(10), 16000) == "silent"
