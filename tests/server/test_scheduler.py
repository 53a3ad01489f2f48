"""The scheduler gives everyone what the engine alone would, in a fair order, in common batches; nobody hangs."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ModelError
from emotune.inference.engine import EngineError, EngineOutput
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace
from emotune.server.cancellation import Cancellation, Cancelled
from emotune.server.scheduler import Asker, Priority, Scheduler

SECOND = 16000


class Loudness:
    """Engine that says how loud a clip is; it waits where it is told to, and notes what it ran."""

    label_space = LabelSpace(("loud", "quiet"))
    preprocessing = Preprocessing(min_samples=160)
    calibration = Calibration()
    fingerprint = "loudness"
    concurrency = 1

    def __init__(self) -> None:
        self.conditions: dict = {}
        self.go_on = threading.Event()
        self.go_on.set()
        self.runs: list[list[float]] = []
        self.fails = lambda levels: None

    def run(self, waveforms, conditions=()) -> EngineOutput:
        levels = [round(float(waveform[0]), 3) for waveform in waveforms]
        self.runs.append(levels)
        assert self.go_on.wait(10)
        self.fails(levels)
        table = np.array([[level, 1 - level] for level in levels])
        return EngineOutput(table, np.zeros((len(levels), 0)), table.astype(np.float32))

    def answers_to(self, embeddings, conditions=()) -> EngineOutput:
        raise NotImplementedError


def clip(level: float, seconds: float = 1.0) -> np.ndarray:
    return np.full(round(seconds * SECOND), level, dtype=np.float32)


def held(engine: Loudness, scheduler: Scheduler, pool: ThreadPoolExecutor):
    """Lets the engine stop at a first clip, so that what comes now waits together."""
    engine.go_on.clear()
    first = pool.submit(scheduler.engine_for(Asker("first")).run, [clip(0.001)])
    while not engine.runs:
        time.sleep(0.001)
    return first


def waiting(scheduler: Scheduler, count: int) -> None:
    while scheduler.waiting < count:
        time.sleep(0.001)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(32) as threads:
        yield threads


@pytest.mark.parametrize("batch_seconds", [None, 4.0, 1000.0])
def test_everyone_gets_the_answers_to_their_own_clips(pool, batch_seconds):
    scheduler = Scheduler(Loudness(), threads=2, batch_seconds=batch_seconds, wait_s=0.002)
    generator = np.random.default_rng(0)
    levels = [np.round(generator.random(int(count)), 3) for count in generator.integers(1, 6, 40)]

    def asked(number: int) -> np.ndarray:
        engine = scheduler.engine_for(Asker(f"client {number % 5}"))
        clips = [clip(level, float(generator.random() + 0.1)) for level in levels[number]]
        return engine.run(clips).probabilities[:, 0]

    for number, found in enumerate(pool.map(asked, range(40))):
        assert found == pytest.approx(levels[number], abs=1e-6)
    scheduler.close()


def test_clients_take_turns_however_many_clips_one_has(pool):
    engine = Loudness()
    scheduler = Scheduler(engine, threads=1)
    held(engine, scheduler, pool)
    many = pool.submit(scheduler.engine_for(Asker("many")).run, [clip(0.1)] * 6)
    waiting(scheduler, 6)
    few = [
        pool.submit(scheduler.engine_for(Asker(name)).run, [clip(level)] * 2)
        for name, level in (("b", 0.2), ("c", 0.3))
    ]
    waiting(scheduler, 10)
    engine.go_on.set()
    for one in (many, *few):
        one.result(10)
    order = [level for (level,) in engine.runs[1:]]
    assert sorted(order[:3]) == sorted(order[3:6]) == [0.1, 0.2, 0.3]
    assert order[6:] == [0.1] * 4
    scheduler.close()


def test_long_clips_count_more_than_short_ones(pool):
    engine = Loudness()
    scheduler = Scheduler(engine, threads=1)
    held(engine, scheduler, pool)
    long = pool.submit(scheduler.engine_for(Asker("long")).run, [clip(0.1, 4.0)] * 3)
    waiting(scheduler, 3)
    short = pool.submit(scheduler.engine_for(Asker("short")).run, [clip(0.2, 1.0)] * 8)
    waiting(scheduler, 11)
    engine.go_on.set()
    long.result(10), short.result(10)
    order = [level for (level,) in engine.runs[1:]]
    assert order == [0.1, 0.2, 0.2, 0.2, 0.2, 0.1, 0.2, 0.2, 0.2, 0.2, 0.1]
    scheduler.close()


def test_streams_go_first(pool):
    engine = Loudness()
    scheduler = Scheduler(engine, threads=1)
    held(engine, scheduler, pool)
    file = pool.submit(scheduler.engine_for(Asker("a")).run, [clip(0.1)] * 3)
    waiting(scheduler, 3)
    stream = pool.submit(scheduler.engine_for(Asker("b", Priority.STREAM)).run, [clip(0.9)])
    waiting(scheduler, 4)
    engine.go_on.set()
    file.result(10), stream.result(10)
    assert engine.runs[1:] == [[0.9], [0.1], [0.1], [0.1]]
    scheduler.close()


def test_clips_of_many_share_a_batch_of_about_one_length_within_its_seconds(pool):
    engine = Loudness()
    scheduler = Scheduler(engine, threads=1, batch_seconds=4.0)
    held(engine, scheduler, pool)
    asked = [(0.1, 1.0), (0.2, 1.0), (0.3, 0.2), (0.4, 1.0), (0.5, 1.0), (0.6, 1.0)]
    for count, (level, seconds) in enumerate(asked, start=1):
        pool.submit(scheduler.engine_for(Asker(str(level))).run, [clip(level, seconds)])
        waiting(scheduler, count)
    engine.go_on.set()
    while len(engine.runs) < 4:
        time.sleep(0.001)
    assert engine.runs[1:] == [[0.1, 0.2, 0.4, 0.5], [0.3], [0.6]]
    scheduler.close()


def test_a_lone_clip_waits_for_others_no_longer_than_it_may():
    scheduler = Scheduler(Loudness(), threads=1, batch_seconds=40.0, wait_s=0.05)
    began = time.monotonic()
    scheduler.engine_for(Asker("a")).run([clip(0.5)])
    assert 0.04 < time.monotonic() - began < 1
    began = time.monotonic()
    scheduler.engine_for(Asker("a", Priority.STREAM)).run([clip(0.5)])
    assert time.monotonic() - began < 0.04
    scheduler.close()


def test_a_clip_that_cannot_be_run_fails_for_its_own_client_alone(pool):
    engine = Loudness()

    def fails(levels: list[float]) -> None:
        if 0.7 in levels:
            raise EngineError("There is not enough memory to run the model on it.")

    engine.fails = fails
    scheduler = Scheduler(engine, threads=1, batch_seconds=40.0)
    held(engine, scheduler, pool)
    good, bad = (pool.submit(scheduler.engine_for(Asker(str(level))).run, [clip(level)]) for level in (0.2, 0.7))
    waiting(scheduler, 2)
    engine.go_on.set()
    assert good.result(10).probabilities[0, 0] == 0.2
    with pytest.raises(EngineError, match="memory"):
        bad.result(10)
    scheduler.close()


def test_a_fault_of_the_engine_reaches_whoever_asked_and_ends_no_thread(pool):
    engine = Loudness()

    def fails(levels: list[float]) -> None:
        if 0.7 in levels:
            raise ZeroDivisionError

    engine.fails = fails
    scheduler = Scheduler(engine, threads=1)
    with pytest.raises(ZeroDivisionError):
        scheduler.engine_for(Asker("a")).run([clip(0.7)] * 3)
    assert scheduler.engine_for(Asker("a")).run([clip(0.2)]).probabilities[0, 0] == 0.2
    assert engine.runs == [[0.7], [0.2]]
    scheduler.close()


def test_who_went_away_waits_no_longer_and_costs_nothing_more(pool):
    engine = Loudness()
    scheduler = Scheduler(engine, threads=1)
    first = held(engine, scheduler, pool)
    cancellation = Cancellation()
    gone = pool.submit(scheduler.engine_for(Asker("a", cancellation=cancellation)).run, [clip(0.5)] * 5)
    waiting(scheduler, 5)
    cancellation.cancel()
    with pytest.raises(Cancelled):
        gone.result(1)
    assert scheduler.waiting == 0
    engine.go_on.set()
    first.result(10)
    with pytest.raises(Cancelled):
        scheduler.engine_for(Asker("a", cancellation=cancellation)).run([clip(0.5)])
    assert len(engine.runs) == 1
    scheduler.close()


def test_when_it_closes_nobody_waits_for_ever(pool):
    engine = Loudness()
    scheduler = Scheduler(engine, threads=1)
    first = held(engine, scheduler, pool)
    late = pool.submit(scheduler.engine_for(Asker("a")).run, [clip(0.5)])
    waiting(scheduler, 1)
    threading.Timer(0.1, engine.go_on.set).start()
    scheduler.close()
    assert first.result(10).probabilities[0, 0] == pytest.approx(0.001)
    with pytest.raises(ModelError, match="about to end"):
        late.result(1)
    with pytest.raises(ModelError, match="about to end"):
        scheduler.engine_for(Asker("a")).run([clip(0.5)])


def test_threads_sleep_while_there_is_nothing_to_do():
    scheduler = Scheduler(Loudness(), threads=4, batch_seconds=40.0, wait_s=0.01)
    scheduler.engine_for(Asker("a")).run([clip(0.5)])
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.05
    scheduler.close()
