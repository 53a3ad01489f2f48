"""Transcripts of a manifest: cached by content, resumed, and what cannot be heard is said."""

import dataclasses
import sqlite3
import sys
from collections.abc import Sequence

import pytest

from emotune.enrichment import pretrained, speech_recogniser
from emotune.enrichment import transcribe as module
from emotune.enrichment.speech_recogniser import Transcriber, Transcript, joined
from emotune.enrichment.transcribe import one_language, transcribed
from emotune.errors import ConfigError, ModelError, TableError
from emotune.schema.manifest import Manifest


class Lengths:
    """A recogniser whose transcript is the clip's number of samples."""

    batch_size = 2

    def __init__(self, revision: str = "1", language: str | None = None, fails_after: int = 10**9) -> None:
        self.identity = {"name": "org/lengths", "revision": revision}
        self.language = language
        self.heard: list[int] = []
        self.fails_after = fails_after

    def transcribe(self, waveforms: Sequence) -> list[Transcript]:
        if len(self.heard) >= self.fails_after:
            raise KeyboardInterrupt
        self.heard += [len(waveform) for waveform in waveforms]
        return [Transcript(f"{len(waveform)} samples", "en") for waveform in waveforms]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_every_recording_is_heard_once_and_has_its_own_words(tones, cache):
    recogniser = Lengths()
    done, _ = transcribed(tones, recogniser, cache=cache)
    expected = [f"{round(u.duration_s * 16000)} samples" for u in tones]
    assert [u.text_predicted for u in done] == expected
    assert len(recogniser.heard) == len(tones)
    assert {u.language for u in done} == {"en"}
    assert done.information["speech_recogniser"] == {"name": "org/lengths", "revision": "1", "language": None}
    assert done.information["corpus"] == "tones"
    again = Lengths()
    assert transcribed(tones, again, cache=cache) == (done, {})
    assert again.heard == []


@pytest.mark.parametrize(
    "answer",
    [b"", b"{", b"[]", b'{"language": "en"}', b'{"text": 5, "language": "en"}', b'{"text": "a", "language": ["en"]}',
     b"\xff\xfe", b"[" * 100_000, "words", 5],
)  # fmt: skip
def test_a_damaged_transcript_is_heard_again(tones, cache, answer):
    few = tones.replace_utterances(tones.utterances[:3])
    done, _ = transcribed(few, Lengths(), cache=cache)
    (file,) = cache.glob("*.sqlite")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE answers SET answer = ? WHERE key = ?", (answer, few.utterances[1].content_sha256))
    connection.close()
    for heard in (1, 0):
        recogniser = Lengths()
        assert transcribed(few, recogniser, cache=cache) == (done, {})
        assert len(recogniser.heard) == heard


def test_another_revision_or_language_hears_for_itself(tones, cache):
    few = tones.replace_utterances(tones.utterances[:3])
    transcribed(few, Lengths(), cache=cache)
    for other in (Lengths(revision="2"), Lengths(language="de")):
        transcribed(few, other, cache=cache)
        assert len(other.heard) == 3


def test_a_known_language_and_the_corpus_text_are_kept(tones, cache):
    first, second = tones.utterances[:2]
    manifest = tones.replace_utterances([dataclasses.replace(first, language="fr", text="Bonjour"), second])
    done, _ = transcribed(manifest, Lengths(), cache=cache)
    assert [u.language for u in done] == ["fr", "en"]
    assert [u.text for u in done] == ["Bonjour", None]


def test_copies_under_other_ids_are_heard_once(tones, cache):
    copies = [dataclasses.replace(tones.utterances[0], utterance_id=f"copy{n}") for n in range(20)]
    unknown = [dataclasses.replace(copy, utterance_id=f"{copy.utterance_id}x", content_sha256=None) for copy in copies]
    recogniser = Lengths()
    done, _ = transcribed(tones.replace_utterances([*copies, *unknown]), recogniser, cache=cache)
    assert len(recogniser.heard) == 1
    assert len({u.text_predicted for u in done}) == 1 and done.utterances[-1].text_predicted


def test_what_was_heard_before_an_interruption_is_not_heard_again(tones, cache):
    stopped = Lengths(fails_after=8)
    with pytest.raises(KeyboardInterrupt):
        transcribed(tones, stopped, cache=cache)
    assert len(stopped.heard) == 8
    rest = Lengths()
    done, _ = transcribed(tones, rest, cache=cache)
    assert len(rest.heard) == len(tones) - 8
    assert all(u.text_predicted for u in done)


def test_a_bad_recording_leaves_its_text_empty_and_the_rest_is_done(tones, cache):
    gone = dataclasses.replace(tones.utterances[1], file="gone.wav", content_sha256="0" * 64, text_predicted="old")
    manifest = tones.replace_utterances([tones.utterances[0], gone, tones.utterances[2]])
    done, errors = transcribed(manifest, Lengths(), cache=cache)
    assert [u.text_predicted is None for u in done] == [False, True, False]
    assert list(errors) == ["u01"] and "gone.wav does not exist" in errors["u01"]


def test_a_clip_without_speech_has_no_text(tones, cache):
    recogniser = Lengths()
    recogniser.transcribe = lambda waveforms: [Transcript("", None) for _ in waveforms]
    done, _ = transcribed(tones, recogniser, cache=cache)
    assert {u.text_predicted for u in done} == {""}
    assert {u.language for u in done} == {None}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_no_words_and_not_heard_yet_stay_apart_on_disk(tones, tmp_path, suffix):
    texts = ["", None, "words", "  "]
    rows = [dataclasses.replace(u, text_predicted=text) for u, text in zip(tones.utterances, texts, strict=False)]
    manifest = tones.replace_utterances(rows)
    manifest.write(tmp_path / f"m.{suffix}")
    read = Manifest.read(tmp_path / f"m.{suffix}")
    assert [u.text_predicted for u in read] == texts
    assert read.fingerprint() == manifest.fingerprint()


def test_a_damaged_cache_is_one_clear_error(tones, cache):
    transcribed(tones, Lengths(), cache=cache)
    (file,) = cache.iterdir()
    file.write_bytes(b"not a database at all, and long enough to be read as one" * 100)
    with pytest.raises(TableError, match=r"cannot be used: .*Remove the file"):
        transcribed(tones, Lengths(), cache=cache)
    with pytest.raises(TableError, match="--cache"):
        transcribed(tones, Lengths(), cache=file)


def test_the_cache_names_no_path(tones, cache):
    transcribed(tones, Lengths(), cache=cache)
    assert [path.name for path in cache.iterdir()] == ["lengths-1-any-1.sqlite"]


def test_the_command_fills_the_manifest_and_says_how_many_words_were_wrong(
    tones, tmp_path, cache, monkeypatch, emotune_command
):
    first, second, third = tones.utterances[:3]
    texts = [f"{round(first.duration_s * 16000)} samples.", "two words", None]
    rows = [dataclasses.replace(u, text=text) for u, text in zip((first, second, third), texts, strict=True)]
    rows.append(dataclasses.replace(third, utterance_id="bad", file="bad.wav", content_sha256=None, text="lost"))
    tones.replace_utterances(rows).write(tmp_path / "in.csv")
    asked = {}

    def recogniser(model, **options):
        asked.update(options, model=model)
        return Lengths(language=options["language"])

    monkeypatch.setattr("emotune.enrichment.transcribe_manifest.Transcriber", recogniser)
    ended = emotune_command(
        "transcribe", tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--model", "x", "--cache", cache
    )
    assert ended.code == 1
    assert "4 utterances, 3 with words, 0 without speech, 1 that cannot be used" in ended.out
    assert "word error rate against the corpus's own text: 0.500 (4 words in 2 utterances" in ended.out
    assert "bad: " in ended.err and "does not exist" in ended.err
    written = Manifest.read(tmp_path / "out.csv")
    assert [u.text_predicted is None for u in written] == [False, False, False, True]
    assert [u.text for u in written] == [u.text for u in rows]
    assert asked["language"] is None and asked["batch_size"] == 8


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["en", "en"], "en"),
        (["en-GB"], "en"),
        (["de", "en"], None),
        (["en", None], None),
        (["und"], None),
        ([None], None),
        (["gsw"], None),
    ],
)
def test_one_language_of_the_manifest_is_taken(tones, tags, expected):
    rows = [dataclasses.replace(u, language=tag) for u, tag in zip(tones.utterances, tags, strict=False)]
    assert one_language(tones.replace_utterances(rows)) == expected


def test_pauses_cut_long_clips():
    assert joined([], 30) == []
    assert joined([(0, 30), (30, 60)], 30) == [(0, 30), (30, 60)]
    assert joined([(5, 10), (12, 30), (31, 35), (36, 40)], 30) == [(5, 35), (36, 40)]


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ConfigError, match=r"speech recogniser needs 'faster_whisper'.*emotune\[asr\]"):
        Transcriber("small")


def test_what_whisper_is_not_is_said(tmp_path):
    pytest.importorskip("faster_whisper")
    with pytest.raises(ModelError, match=r"no folder huge\..* a size \(tiny\.en, "):
        Transcriber("huge")
    with pytest.raises(ModelError, match=r"holds no config\.json, so it is no speech recogniser"):
        Transcriber(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded as a Whisper model for CTranslate2"):
        Transcriber(tmp_path)
    with pytest.raises(ModelError, match=r"is of revision [0-9a-f]{12}, not of the main that is wanted"):
        Transcriber(tmp_path, revision="main")
    with pytest.raises(ConfigError, match="batch_size is 0"):
        Transcriber(tmp_path, batch_size=0)


def test_a_folder_is_known_by_its_content_and_not_by_its_place(tmp_path, monkeypatch):
    for name in ("here", "there/here"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "sub" / "weights").write_bytes(b"123")
    found = [
        pretrained.find_pretrained(str(tmp_path / name), revision=None, patterns=(), what="thing")
        for name in ("here", "there/here")
    ]
    assert found[0].revision == found[1].revision and len(found[0].revision) == 12
    assert found[0].identity == {"name": str(tmp_path / "here"), "revision": found[0].revision}
    monkeypatch.chdir(tmp_path)
    assert pretrained.find_pretrained("here", revision=None, patterns=(), what="thing").identity == found[0].identity
    (tmp_path / "here" / "sub" / "weights").write_bytes(b"124")
    assert pretrained.fingerprint_of_files(tmp_path / "here") != found[0].revision
    assert module.CACHE.name == "transcripts" and speech_recogniser.EXTRA == "asr"
