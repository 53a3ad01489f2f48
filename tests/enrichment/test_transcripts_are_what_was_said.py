"""Whisper on real speech: what the actors said, whatever a clip is batched with, and nothing in silence."""

import os

import numpy as np
import pytest

from emotune import audio
from emotune.enrichment.speech_recogniser import Transcriber, Transcript
from emotune.errors import ConfigError
from emotune.metrics.words import plain_words, word_errors

SENTENCES = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
CLIPS = [f"03-01-01-01-{sentence}-01-{actor:02d}" for actor in (1, 2, 3, 4) for sentence in SENTENCES]  # neutral
NO_RECOGNISER = "no speech recogniser: pip install 'emotune[asr]'"


@pytest.fixture(scope="module")
def transcriber(shared) -> Transcriber:
    pytest.importorskip("faster_whisper", reason=NO_RECOGNISER)
    return Transcriber(shared / "models" / "whisper-tiny.en-ct2", device="cpu", batch_size=3)


@pytest.fixture(scope="module")
def clips(shared) -> list[np.ndarray]:
    files = {path.stem: path for path in (shared / "data" / "ravdess" / "audio").rglob("*.flac")}
    return [audio.decode(files[name]).mono() for name in CLIPS]


@pytest.fixture(scope="module")
def heard(transcriber, clips) -> list[Transcript]:
    return transcriber.transcribe(clips)


def test_the_sentences_of_ravdess_come_out(heard):
    """But for a word here and there, which a model this small mishears."""
    expected = [SENTENCES[name.split("-")[4]] for name in CLIPS]
    found = word_errors(zip(expected, (transcript.text for transcript in heard), strict=True))
    assert found.words == 48 and found.rate <= 0.1
    assert {" ".join(plain_words(transcript.text)) for transcript in heard} >= set(SENTENCES.values())
    assert {transcript.language for transcript in heard} == {"en"}


def test_a_clip_is_heard_alike_alone_and_in_company(transcriber, clips, heard):
    assert [transcriber.transcribe([clip])[0] for clip in clips[:2]] == heard[:2]


def test_pytorch_keeps_its_number_of_threads(shared):
    torch = pytest.importorskip("torch")
    pytest.importorskip("faster_whisper", reason=NO_RECOGNISER)
    before, other = torch.get_num_threads(), (os.cpu_count() or 1) + 1  # CTranslate2 takes one a core
    torch.set_num_threads(other)
    try:
        recogniser = Transcriber(shared / "models" / "whisper-tiny.en-ct2", device="cpu", batch_size=1)
        recogniser.transcribe([np.zeros(16000, np.float32)])
        assert torch.get_num_threads() == other
    finally:
        torch.set_num_threads(before)


def test_silence_and_noise_have_no_words(transcriber):
    generator = np.random.default_rng(0)
    noise = generator.standard_normal(32000).astype(np.float32)
    tone = np.sin(2 * np.pi * 440 * np.arange(32000) / 16000).astype(np.float32)
    clips = [np.zeros(32000, np.float32), 0.1 * noise, 1e-3 * noise, 0.3 * tone, noise[:50]]
    assert transcriber.transcribe(clips) == [Transcript("", None)] * 5
    assert transcriber.transcribe([]) == []


def test_words_on_both_sides_of_half_a_minute_are_heard(transcriber, clips):
    long = np.concatenate([clips[0], np.zeros(30 * 16000, np.float32), clips[1]])
    words = plain_words(transcriber.transcribe([long])[0].text)
    assert words[:3] == ["kids", "are", "talking"] and words[-3:] == ["by", "the", "door"] and "dogs" in words


def test_an_english_model_refuses_german(shared, transcriber):
    with pytest.raises(ConfigError, match=r"does not know the language 'de'; it knows: en\. Choose a multilingual"):
        Transcriber(shared / "models" / "whisper-tiny.en-ct2", language="de")
    assert transcriber.language == "en"
    assert transcriber.identity["name"].endswith("whisper-tiny.en-ct2") and len(transcriber.identity["revision"]) == 12
