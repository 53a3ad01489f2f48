"""Prediction in worker processes: the same answers, clear errors, no process left behind."""

import shutil
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from emotune.errors import ConfigError, ModelError
from emotune.inference import load
from emotune.inference.items import Item
from emotune.inference.jobs.workers import WorkerEngine, _Worker
from emotune.runtime.memory_allocator import keep_freed_memory
from emotune.runtime.threads import usable_cores


def items(count: int) -> list[Item]:
    generator = np.random.default_rng(0)
    lengths = generator.integers(4000, 40000, count)
    return [Item(f"u{n}", (generator.standard_normal(length) * 0.1, 16000)) for n, length in enumerate(lengths)]


def test_two_workers_answer_as_one_process_does_in_the_order_of_the_questions(tiny_model):
    asked = items(23)
    alone = load(tiny_model).predict_items(asked)
    predictor = load(tiny_model, workers=2, batch_seconds=4.0)
    together = predictor.predict_items(asked)
    assert [row.utterance_id for row in together] == [item.utterance_id for item in asked]
    for row, expected in zip(together, alone, strict=True):
        assert list(row.probabilities.values()) == pytest.approx(list(expected.probabilities.values()), abs=1e-5)
        assert dict(row.dimensions) == pytest.approx(dict(expected.dimensions), abs=1e-4)
    assert together.model_fingerprint == alone.model_fingerprint
    processes = [worker.process for worker in predictor.engine._workers]
    predictor.engine.close()
    assert all(process.returncode == 0 for process in processes)


def test_a_model_that_cannot_be_loaded_is_the_same_error_as_without_workers(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors is missing"):
        load(tmp_path / "model", workers=1)


@pytest.fixture(scope="module")
def one_worker(tiny_model) -> Iterator[WorkerEngine]:
    with WorkerEngine(tiny_model, workers=1) as engine:
        yield engine


@pytest.mark.load
def test_a_worker_that_dies_is_a_clear_error_and_is_replaced(tiny_model):
    with WorkerEngine(tiny_model, workers=1) as engine:
        (worker,) = engine._workers
        worker.process.kill()
        with pytest.raises(ModelError, match="A worker process ended with code -9 before its work was done"):
            engine.run([np.zeros(8000, dtype=np.float32)])
        assert len(engine.run([np.zeros(8000, dtype=np.float32)]).probabilities) == 1


def test_an_interrupt_leaves_no_answer_for_the_next_question(one_worker, monkeypatch):
    clips = [np.full(8000 * n, 0.1 * n, dtype=np.float32) for n in (1, 2)]
    expected = one_worker.run(clips[1:]).probabilities

    def interrupted(worker):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(_Worker, "_answer", interrupted)
        one_worker.run(clips[:1])
    np.testing.assert_allclose(one_worker.run(clips[1:]).probabilities, expected, atol=1e-6)


def test_an_error_of_the_model_comes_back_and_the_worker_goes_on(one_worker):
    with pytest.raises(ModelError, match="A worker failed: "):
        one_worker.run(["no waveform"])
    assert len(one_worker.run([np.zeros(8000, dtype=np.float32)]).probabilities) == 1


def test_modules_of_the_working_folder_are_not_taken_for_libraries_and_closed_workers_say_so(
    tiny_model, tmp_path, monkeypatch
):
    (tmp_path / "torch.py").write_text("raise RuntimeError('not the real one')")
    monkeypatch.chdir(tmp_path)
    engine = WorkerEngine(tiny_model, workers=1)
    engine.close()
    with pytest.raises(ModelError, match="were closed"):
        engine.run([np.zeros(8000, dtype=np.float32)])


@pytest.mark.parametrize(("options", "message"), [({"workers": 0}, "at least 1"), ({"device": "cuda"}, "on the CPU")])
def test_workers_that_cannot_be_are_refused(tiny_model, options, message):
    with pytest.raises(ConfigError, match=message):
        load(tiny_model, **({"workers": 1} | options))


@pytest.mark.load
def test_the_command_line_predicts_with_workers(tiny_model, demo_corpus, tmp_path, emotune_command):
    recordings = sorted((demo_corpus / "audio").iterdir())[:6]
    ended = emotune_command("predict", tiny_model, *recordings, "--workers", 2, "-o", tmp_path / "p.csv")
    assert ended.code == 0, ended.err
    assert "6 rows, 0 with an error" in ended.out


def test_cores_are_counted_and_the_allocator_says_whether_it_was_set():
    assert usable_cores() >= 1
    assert keep_freed_memory() is sys.platform.startswith("linux")
