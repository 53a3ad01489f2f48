"""The cache of decoded clips: the same samples, bounded, and safe for several processes."""

import multiprocessing
import os

import numpy as np
import pytest

from emotune.audio.preprocessing import Preprocessing
from emotune.data.audio_cache import AudioCache
from emotune.data.dataset import EmotionDataset
from emotune.errors import AudioError, TableError
from emotune.models.heads import truths_of


def key(number: int) -> str:
    return f"{number:064x}"


def clip(number: int) -> np.ndarray:
    return np.full(10_000, number, dtype=np.float32)


def held(folder) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/*.npy"))


def test_a_clip_is_decoded_once_and_comes_back_to_the_bit(tmp_path):
    calls = []

    def decode() -> np.ndarray:
        calls.append(1)
        return np.linspace(-1, 1, 777, dtype=np.float32)

    cache = AudioCache(tmp_path, most_gb=1)
    for _ in range(3):
        np.testing.assert_array_equal(cache.get(key(1), decode), np.linspace(-1, 1, 777, dtype=np.float32))
    np.testing.assert_array_equal(AudioCache(tmp_path, most_gb=1).get(key(1), decode), cache.get(key(1), decode))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        np.full((10_000, 2), 1, dtype=np.float32),
        np.full(10_000, 1, dtype=np.float64),
        np.zeros(0, dtype=np.float32),
        np.append(clip(1)[1:], np.float32("nan")),
    ],
    ids=["of two channels", "in double precision", "empty", "with NaN"],
)
def test_a_damaged_clip_is_decoded_again(tmp_path, spoilt):
    cache = AudioCache(tmp_path, most_gb=1)
    cache.get(key(1), lambda: clip(1))
    (path,) = tmp_path.glob("*/*.npy")
    np.save(path, spoilt)
    np.testing.assert_array_equal(cache.get(key(1), lambda: clip(1)), clip(1))
    np.testing.assert_array_equal(np.load(path), clip(1))


@pytest.mark.parametrize("content", ["../../x", "a" * 63, "A" * 64, "a" * 64 + "\n", "", "/" + "a" * 63])
def test_only_a_fingerprint_names_a_file(tmp_path, content):
    with pytest.raises(TableError, match="expected 64 digits"):
        AudioCache(tmp_path / "cache", most_gb=1).get(content, lambda: clip(1))
    assert not list(tmp_path.rglob("*.npy"))


def test_what_others_keep_in_the_folder_is_left_alone(tmp_path):
    (tmp_path / "ab").mkdir()
    np.save(tmp_path / "ab" / "features.npy", np.zeros(100_000))
    cache = AudioCache(tmp_path, most_gb=100_000 / 1e9)
    for number in range(5):
        cache.get(key(number), lambda number=number: clip(number))
    assert (tmp_path / "ab" / "features.npy").exists()


def test_training_reads_the_same_with_and_without_a_cache(tones, tmp_path):
    plain = EmotionDataset(tones, truths_of(tones.label_space), Preprocessing())
    cache = AudioCache(tmp_path, most_gb=1)
    for _ in range(2):
        cached = EmotionDataset(tones, truths_of(tones.label_space), Preprocessing(), cache=cache)
        for index in range(len(tones)):
            np.testing.assert_array_equal(cached[0, index].waveform, plain[0, index].waveform)
    assert len(list(tmp_path.glob("*/*.npy"))) == len(tones)


def test_what_was_used_longest_ago_goes_when_the_limit_is_reached(tmp_path):
    cache = AudioCache(tmp_path, most_gb=400_000 / 1e9)
    for number in range(9):
        cache.get(key(number), lambda number=number: clip(number))
        os.utime(tmp_path / "00" / f"{key(number)}.npy", (number, number))
    cache.get(key(0), lambda: pytest.fail("it was there"))  # used again
    for number in range(9, 12):
        cache.get(key(number), lambda number=number: clip(number))
    assert held(tmp_path) <= 400_000
    names = {path.stem for path in tmp_path.glob("*/*.npy")}
    assert key(0) in names
    assert key(1) not in names


def test_a_damaged_file_is_decoded_anew(tmp_path):
    cache = AudioCache(tmp_path, most_gb=1)
    cache.get(key(1), lambda: clip(1))
    path = tmp_path / "00" / f"{key(1)}.npy"
    for content in (b"", path.read_bytes()[:-100], b"no array"):
        path.write_bytes(content)
        np.testing.assert_array_equal(cache.get(key(1), lambda: clip(1)), clip(1))
    assert path.stat().st_size > 40_000


def test_a_clip_larger_than_the_whole_cache_is_not_kept(tmp_path):
    cache = AudioCache(tmp_path, most_gb=1000 / 1e9)
    np.testing.assert_array_equal(cache.get(key(1), lambda: clip(1)), clip(1))
    assert held(tmp_path) == 0


def test_an_error_of_decoding_leaves_nothing(tmp_path):
    def broken() -> np.ndarray:
        raise AudioError("broken")

    with pytest.raises(AudioError):
        AudioCache(tmp_path, most_gb=1).get(key(1), broken)
    assert not list(tmp_path.rglob("*.npy"))


def use(folder, seed: int, failures) -> None:
    cache, generator = AudioCache(folder, most_gb=400_000 / 1e9), np.random.default_rng(seed)
    for _ in range(150):
        number = int(generator.integers(40))
        if not np.array_equal(cache.get(key(number), lambda number=number: clip(number)), clip(number)):
            failures.put(number)


def test_several_processes_read_write_and_make_room_in_one_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    failures = context.SimpleQueue()
    running = [context.Process(target=use, args=(tmp_path, seed, failures)) for seed in range(4)]
    for process in running:
        process.start()
    for process in running:
        process.join(timeout=120)
    assert [process.exitcode for process in running] == [0] * 4
    assert failures.empty()
    assert held(tmp_path) <= 400_000 * (1 + 4 * 0.02) + 4 * 40_128
    assert not list(tmp_path.rglob("*.part"))
