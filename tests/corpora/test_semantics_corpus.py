"""The emotional sentences: no emotional word crosses the splits, and the check would find one that did."""

import importlib.util
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "semantics"


@pytest.fixture(scope="module")
def maker():
    specification = importlib.util.spec_from_file_location("make_semantics", FOLDER / "make_corpus.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["make_semantics"] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules["make_semantics"]


def test_every_class_has_forty_sentences_and_more_and_none_twice(maker):
    sentences = maker.read_sentences()
    assert min(Counter(sentence.emotion for sentence in sentences).values()) >= 40
    assert len({sentence.text for sentence in sentences}) == len(sentences)
    assert all(len(set(c.values())) == 1 for c in counts(sentences).values())


def counts(sentences) -> dict[str, Counter]:
    found: dict[str, Counter] = {}
    for sentence in sentences:
        found.setdefault(sentence.split, Counter())[sentence.emotion] += 1
    return found


def test_no_emotional_word_of_a_test_sentence_is_in_training(maker):
    sentences = maker.read_sentences()
    heard = {word for s in sentences if s.split == "train" for word in s.text.lower().strip(".").split()}
    for sentence in sentences:
        if sentence.split == "test":
            assert not heard & set(sentence.emotional_words), sentence.text


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        ("I am _angry_.", "She is _angry_ too.", "'angry'"),
        ("They _laughed_.", "We _laugh_.", "'laugh'"),
        ("Full of _joy_.", "He was _overjoyed_.", "'overjoyed'"),
        ("The _killer_ has a dagger.", "He was _daggers_ drawn.", "'daggers'"),
    ],
)
def test_a_shared_emotional_word_is_found_in_any_form(maker, tmp_path, train, test, named):
    path = tmp_path / "sentences.yaml"
    path.write_text(
        f"train: {{anger: ['{train}']}}\ndevelopment: {{anger: ['Quite _vexed_.']}}\ntest: {{anger: ['{test}']}}\n"
    )
    with pytest.raises(ValueError, match=named):
        maker.read_sentences(path)


def test_a_sentence_without_a_marked_word_is_refused(maker, tmp_path):
    path = tmp_path / "sentences.yaml"
    path.write_text("train: {anger: ['Nothing here.']}\ndevelopment: {}\ntest: {}\n")
    with pytest.raises(ValueError, match="no emotional word is marked in: Nothing here"):
        maker.read_sentences(path)


def test_voices_are_disjoint(maker):
    names = [name for of_split in maker.VOICES.values() for name in of_split]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_the_corpus_is_written_and_reads(maker, tmp_path):
    from emotune import audio
    from emotune.io.tables import read_rows

    voices = {split: dict(list(of_split.items())[:1]) for split, of_split in maker.VOICES.items()}
    labels = maker.make_corpus(tmp_path, voices, most_a_class=1)
    rows = read_rows(labels)
    assert Counter(row["split"] for row in rows) == {"train": 4, "development": 4, "test": 4}
    for row in rows:
        recording = audio.decode(tmp_path / row["file"])
        assert recording.sampling_rate_hz == 16000 and 0.8 < recording.duration_s < 6
        assert "_" not in row["text"]
