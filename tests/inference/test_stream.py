"""Stream: the same estimates whatever the blocks, speech told from silence, and never behind by more than a window."""

import time

import numpy as np
import pytest

from builders.recordings import noise
from emotune.audio.live import Inbox, Played
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import AudioError, ConfigError
from emotune.inference import Predictor
from emotune.inference.engine import EngineOutput
from emotune.inference.listen import Summary, listen
from emotune.inference.stream import Stream
from emotune.runtime.listener import Listener
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace, Scale

RATE = 16000


class Loudness:
    """An engine that says how loud a clip is: anger = its level, arousal = its length / 10 s."""

    label_space = LabelSpace(("anger", "neutral"), {"arousal": Scale(0, 10)})
    preprocessing = Preprocessing(min_samples=1600, max_duration_s=10.0)
    calibration = Calibration(thresholds=tuple(np.linspace(1, 0.5, 100)))
    fingerprint = "loudness"
    concurrency = 1

    def __init__(self) -> None:
        self.conditions: dict = {}
        self.lengths: list[int] = []
        self.takes = lambda: None

    def run(self, waveforms, conditions=()) -> EngineOutput:
        self.takes()
        (waveform,) = waveforms
        self.lengths.append(len(waveform))
        anger = min(1.0, float(np.sqrt(np.square(waveform).mean())))
        return EngineOutput(np.array([[anger, 1 - anger]]), np.array([[len(waveform) / RATE / 10]]))


def stream_of(engine=None, **options) -> Stream:
    return Stream(Predictor(engine or Loudness()), **{"voice_activity": "energy", **options})


def call() -> np.ndarray:
    """Six seconds: silence, loud noise from 1 s to 3 s, silence, fainter noise from 4.5 s to 6 s."""
    sound = np.zeros(6 * RATE, dtype=np.float32)
    sound[RATE : 3 * RATE] = 4 * noise(2 * RATE)
    sound[int(4.5 * RATE) :] = 2 * noise(int(1.5 * RATE), seed=1)
    return sound


def fed(stream: Stream, sound: np.ndarray, ends, rate: int = RATE) -> list:
    found = [estimate for block in np.split(sound, ends) for estimate in stream.feed(block, rate)]
    last = stream.finish()
    return found if last is None else [*found, last]


def rows(estimates) -> list[dict]:
    return [{name: value for name, value in one.to_json().items() if name != "lag_s"} for one in estimates]


@pytest.mark.parametrize("rate", [16000, 8000])
def test_estimates_are_the_same_whatever_the_size_of_the_blocks(rate):
    sound = call()[:: RATE // rate][: 5 * rate + 777]
    whole = rows(fed(stream_of(), sound, [], rate))
    assert [one["end_s"] for one in whole][:10] == [0.5 * number for number in range(1, 11)]
    for seed, count in ((0, 5), (1, 300)):
        ends = np.sort(np.random.default_rng(seed).integers(0, len(sound), count))
        again = rows(fed(stream_of(), sound, ends, rate))
        for own, other in zip(again, whole, strict=True):
            assert own["end_s"] == other["end_s"]
            assert own["emotion"] == other["emotion"]
            assert (own["probabilities"] or {}) == pytest.approx(other["probabilities"] or {}, abs=1e-6)
        assert rate != RATE or again == whole  # the resampler rounds otherwise in other blocks


def test_silence_is_no_speech_and_the_model_hears_the_speech_alone():
    engine = Loudness()
    found = fed(stream_of(engine, window_s=2.0, smoothing_s=0), call(), [])
    emotions = {one.end_s: one.emotion for one in found}
    assert emotions[0.5] == emotions[1.0] == "no speech"
    assert emotions[2.0] == "neutral"
    assert {one.end_s: one.is_speaking for one in found}[2.0] and not found[0].is_speaking
    at_2 = next(one for one in found if one.end_s == 2.0)
    assert at_2.speech_s == pytest.approx(1.0, abs=0.15)  # padded by 0.1 s
    assert at_2.prediction.dimensions["arousal"] == pytest.approx(at_2.speech_s, abs=1e-3)
    assert at_2.prediction.probabilities["anger"] == pytest.approx(0.4, abs=0.03)
    assert max(engine.lengths) <= 2 * RATE


def test_smoothing_is_an_exponential_mean_in_time():
    plain = fed(stream_of(window_s=1.0, smoothing_s=0), call(), [])
    smooth = fed(stream_of(window_s=1.0, smoothing_s=2.0), call(), [])
    before, last_end = None, -9.0
    for one, own in zip(plain, smooth, strict=True):
        assert (one.prediction is None) == (own.prediction is None)
        if one.prediction is None:
            continue
        value = one.prediction.probabilities["anger"]
        if one.end_s - last_end <= 1.0:
            kept = np.exp(-(one.end_s - last_end) / 2.0)
            value = kept * before + (1 - kept) * value
        before, last_end = value, one.end_s
        assert own.prediction.probabilities["anger"] == pytest.approx(value, abs=1e-9)
        assert sum(own.prediction.probabilities.values()) == pytest.approx(1.0)


def test_an_estimate_of_low_confidence_is_uncertain_which_is_not_no_speech():
    predictor = Predictor(Loudness(), coverage=0.5)  # answers from a confidence of 0.75
    found = fed(Stream(predictor, voice_activity="energy", smoothing_s=0), call(), [])
    said = {one.emotion for one in found}
    assert said == {"no speech", "uncertain", "neutral"}


def test_newest_answers_the_last_window_and_says_how_many_it_skipped():
    engine = Loudness()
    stream = stream_of(engine)
    stream.hear(call()[: int(2.7 * RATE)])
    estimate = stream.newest()
    assert (estimate.end_s, estimate.skipped) == (2.5, 4)
    assert stream.newest() is None
    stream.hear(call()[int(2.7 * RATE) : 3 * RATE])
    assert (stream.newest().end_s, engine.lengths) == (3.0, engine.lengths[:2])
    assert len(engine.lengths) == 2


def test_lag_is_the_time_from_the_end_of_the_window_to_the_answer():
    now = [100.0]
    engine = Loudness()

    def takes() -> None:
        now[0] += 0.25

    engine.takes = takes
    stream = stream_of(engine, clock=lambda: now[0])
    stream.hear(call()[: int(2.1 * RATE)], arrived=99.9)
    assert stream.newest().lag_s == pytest.approx(0.1 + 0.1 + 0.25)  # heard past the window, waited, computed


def test_a_stream_that_changes_its_rate_goes_on():
    stream = stream_of()
    first = stream.feed(call()[: 2 * RATE])
    second = stream.feed(call()[2 * RATE : 4 * RATE : 2], RATE // 2)
    third = stream.feed(np.stack([call()[4 * RATE :]] * 2, axis=1))
    ends = [one.end_s for one in (*first, *second, *third)]
    assert ends == [0.5 * number for number in range(1, 13)]
    assert stream.heard_s == pytest.approx(6.0)


def test_memory_does_not_grow():
    stream = stream_of()
    for number in range(40):
        stream.feed(4 * noise(RATE, seed=number))
    assert len(stream._kept) <= (3.0 + 0.5) * RATE
    assert len(stream._stretches) < 20


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"window_s": 11}, "the model takes 0.5 to 10 s"),
        ({"window_s": 0.1}, "The window is 0.1 s"),
        ({"hop_s": 0}, "The hop is 0 s"),
        ({"hop_s": 4}, "at most the window's 3.0 s"),
        ({"smoothing_s": -1}, "The smoothing is -1 s"),
    ],
)
def test_windows_that_cannot_be_are_refused(options, match):
    with pytest.raises(ConfigError, match=match):
        stream_of(**options)


class Said(Listener):
    def __init__(self) -> None:
        self.words: list[str] = []

    def say(self, message: str) -> None:
        self.words.append(message)


def test_a_model_that_is_too_slow_skips_windows_and_its_lag_stays_bounded():
    engine = Loudness()
    engine.takes = lambda: time.sleep(0.35)
    summary = Summary()
    blocks = ((4 * noise(800, seed=number), RATE) for number in range(60))
    stream = stream_of(engine, window_s=1.0, hop_s=0.1)
    found = list(listen(stream, Played(blocks), summary=summary))
    assert summary.skipped > 5
    ends = [one.end_s for one in found]
    assert ends == sorted(ends) and ends[-1] == pytest.approx(3.0)
    assert all(one.lag_s < 1.0 for one in found), [one.lag_s for one in found]
    assert sum(one.skipped + 1 for one in found) == pytest.approx(30, abs=1)
    assert f"{summary.skipped} windows skipped" in summary.text()


def test_a_source_that_stalls_is_told_of_once_and_goes_on(monkeypatch):
    monkeypatch.setattr("emotune.inference.listen.STALLED_AFTER_S", 0.1)
    said, sound = Said(), call()

    def blocks():
        yield sound[: RATE // 2], RATE
        time.sleep(0.9)
        yield sound[RATE // 2 : RATE], RATE

    found = list(listen(stream_of(), Played(blocks()), listener=said))
    assert [one.end_s for one in found] == [0.5, 1.0]
    waits = "warning: no sound has come for 0.1 s; still listening"
    assert said.words == [waits, "sound comes again", waits, "sound comes again"][: len(said.words)]
    assert said.words[:2] == [waits, "sound comes again"]


def test_a_source_that_ends_or_breaks_is_answered_up_to_its_end():
    def breaks():
        yield call()[: int(1.2 * RATE)], RATE
        raise AudioError("the line is dead")

    found = []
    with pytest.raises(AudioError, match="the line is dead"):
        for one in listen(stream_of(), Played(breaks())):
            found.append(one.end_s)
    assert found == [1.0]
    ended = list(listen(stream_of(), Played(iter([(call()[: int(1.2 * RATE)], RATE)]))))
    assert [one.end_s for one in ended] == pytest.approx([1.0, 1.2])


def test_the_summary_counts_what_was_said():
    summary = Summary()
    assert summary.text() == "0.0 s heard, no estimate"
    for one in fed(stream_of(smoothing_s=0), call(), []):
        summary.add(one)
    summary.heard_s = 6.0
    assert sum(summary.emotions.values()) == summary.estimates == 12
    assert summary.text().startswith("6.0 s heard, 12 estimates: neutral ")


def test_a_stalled_inbox_costs_no_more_than_its_seconds():
    inbox = Inbox()
    for _ in range(1000):
        inbox.put(np.ones(1600, dtype=np.float32), RATE)
    blocks = inbox.take(0)
    assert (
        sum(block.samples.base.nbytes if block.samples.base is not None else block.samples.nbytes for block in blocks)
        < 2e6
    )
