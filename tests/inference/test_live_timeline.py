"""Segments of a stream are those of the timeline of the same sound."""

import numpy as np
import pytest

import emotune
from builders.exported import save_exported
from builders.recordings import encoded, noise
from emotune import audio
from emotune.audio.live import RawSound
from emotune.errors import AudioError, ConfigError
from emotune.inference.timeline.live import LiveTimeline
from emotune.inference.timeline.recording import TimelineRule
from emotune.inference.timeline.windows import WindowRule
from emotune.schema.labels import LabelSpace, Scale

RATE = 16000
SPACE = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return emotune.load(save_exported(tmp_path_factory.mktemp("exported") / "model", SPACE))


def speech(corpus, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Voices of the synthetic corpus one after another, some louder, with pauses."""
    generator, parts = np.random.default_rng(seed), []
    for path in generator.choice(sorted((corpus / "audio").glob("*.ogg")), 12):
        parts.append(generator.choice([0.2, 1.0, 3.0]) * audio.clip(path, sampling_rate_hz=rate).samples)
        parts.append(1e-5 * noise(round(generator.uniform(0.2, 1.5) * rate), seed=1))
    return np.clip(np.concatenate(parts), -1, 1).astype(np.float32)


def heard(predictor, samples, rate, rule, *, seed=0, largest=4000):
    live, found, at = LiveTimeline(predictor, rule=rule), [], 0
    generator = np.random.default_rng(seed)
    while at < len(samples):
        size = int(generator.integers(1, largest))
        found += live.feed(samples[at : at + size], rate)
        at += size
    return [*found, *live.finish()]


@pytest.mark.parametrize("vad", ["energy", "silero", "none"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_segments_of_a_stream_are_those_of_the_timeline(predictor, demo_corpus, vad, seed):
    samples = speech(demo_corpus, seed)
    rule = TimelineRule(WindowRule(2.0, 1.0), vad, change_cost=0.01)
    whole = predictor.timeline((samples, RATE), rule=rule).segments
    assert heard(predictor, samples, RATE, rule, seed=seed) == list(whole)
    assert len(whole) > (0 if vad == "none" else 3)


def test_a_telephone_line_gives_the_timeline_of_its_file(predictor, demo_corpus):
    samples = speech(demo_corpus, rate=8000)
    rule = TimelineRule(vad="energy")
    whole = predictor.timeline(encoded(samples, 8000, subtype="ULAW"), rule=rule).segments
    raw = encoded(samples, 8000, container="RAW", subtype="ULAW")
    decoder, live, found = RawSound("mulaw", 8000), LiveTimeline(predictor, rule=rule), []
    for at in range(0, len(raw), 333):
        found += live.feed(decoder.decode(raw[at : at + 333]), 8000)
    assert [*found, *live.finish()] == list(whole)
    assert len(whole) > 3


def test_a_segment_comes_as_soon_as_the_pause_behind_it_is_known(predictor):
    sound = np.concatenate([0 * noise(RATE), noise(3 * RATE), 0 * noise(3 * RATE), noise(RATE)])
    rule = TimelineRule(vad="energy")
    first, second = predictor.timeline((sound, RATE), rule=rule).segments
    live = LiveTimeline(predictor, rule=rule)
    came = []
    for at in range(0, len(sound), RATE // 10):
        came += [(at / RATE + 0.1, one) for one in live.feed(sound[at : at + RATE // 10])]
    ((moment, segment),) = came
    assert segment == first
    speech_ended = first.end_s - 0.1  # what is behind it is padding
    assert moment - speech_ended <= 0.5 + 0.512 + 0.1  # the pause, the frames that are looked at together, a block
    assert live.finish() == [second]


def test_what_is_no_sound_and_windows_that_cannot_be_are_refused(predictor):
    with pytest.raises(ConfigError, match="The window is 40 s long"):
        LiveTimeline(predictor, rule=TimelineRule(WindowRule(40.0, 1.0)))
    with pytest.raises(AudioError, match="NaN"):
        LiveTimeline(predictor).feed(np.full(RATE, np.nan, dtype=np.float32))
    assert heard(predictor, np.zeros(RATE), RATE, None) == []
    assert list(predictor.timeline(encoded(np.zeros(RATE))).segments) == []
