"""ESD's reader: languages by speaker, folders before labels, texts in whatever encoding they were saved."""

import pytest

from builders.manifests import reasons
from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, read_corpus

ESD = CORPORA["esd"]


def test_emotion_speaker_language_and_gender_come_from_the_folders(tmp_path):
    write_recordings(
        tmp_path, "0001/Angry/0001_000351.wav", "0010/Happy/0010_000701.flac", "0011/Neutral/0011_000001.wav",
        "0019/Sad/0019_001051.wav", "0020/Surprise/0020_001401.wav",
    )  # fmt: skip
    manifest = read_corpus(ESD, tmp_path)
    found = [(u.utterance_id, u.speaker, u.gender, u.language, u.emotion, u.emotion_original) for u in manifest]
    assert found == [
        ("0001_000351", "0001", "female", "zh", "anger", "Angry"),
        ("0010_000701", "0010", "male", "zh", "happiness", "Happy"),
        ("0011_000001", "0011", "male", "en", "neutral", "Neutral"),
        ("0019_001051", "0019", "female", "en", "sadness", "Sad"),
        ("0020_001401", "0020", "male", "en", "surprise", "Surprise"),
    ]
    assert {u.split for u in manifest} == {None}


def test_ten_women_and_ten_men_speak_and_half_of_each_language(tmp_path):
    write_recordings(tmp_path, *(f"{n:04d}/Sad/{n:04d}_001051.wav" for n in range(1, 21)))
    manifest = read_corpus(ESD, tmp_path)
    for language in ("zh", "en"):
        genders = [u.gender for u in manifest if u.language == language]
        assert (genders.count("female"), genders.count("male")) == (5, 5)


def test_shipped_split_folders_are_kept_apart(tmp_path):
    """ESD's ``evaluation`` is what it tunes on, beside ``test``."""
    write_recordings(tmp_path, *(f"ESD/0011/Sad/{split}/0011_00105{n}.wav" for n, split in
                           enumerate(["train", "evaluation", "test"])))  # fmt: skip
    manifest = read_corpus(ESD, tmp_path)
    assert {u.utterance_id: u.split for u in manifest} == {
        "0011_001050": "train",
        "0011_001051": "development",
        "0011_001052": "test",
    }
    assert any("every speaker is in every shipped split" in warning for warning in manifest.information["warnings"])


@pytest.mark.parametrize(
    ("speaker", "text", "encoding"),
    [
        ("0001", "打远一看，它们的确很是美丽。", "utf-8"),
        ("0001", "打远一看，它们的确很是美丽。", "gb18030"),
        ("0002", "打远一看，它们的确很是美丽。", "utf-16"),
        ("0003", "打远一看，它们的确很是美丽。", "utf-16-le"),
        ("0011", "The café was “closed”.", "utf-8-sig"),
        ("0012", "The café was “closed”.", "cp1252"),
        ("0013", "It’s so, isn’t it?", "cp1252"),
        ("0014", "The café was closed.", "latin-1"),
        ("0015", "The café was “closed”.", "utf-16"),
    ],
)
def test_texts_of_every_encoding_are_read(tmp_path, speaker, text, encoding):
    write_recording(tmp_path / speaker / "Angry" / f"{speaker}_000351.wav")
    lines = (
        f"{speaker}_000351\t{text}\t生气\n" if encoding.startswith(("utf", "gb")) else f"{speaker}_000351\t{text}\tx\n"
    )
    (tmp_path / speaker / f"{speaker}.txt").write_bytes(lines.encode(encoding))
    (utterance,) = read_corpus(ESD, tmp_path)
    assert utterance.text == text


def test_the_folder_is_trusted_and_not_the_label_in_the_text_file(tmp_path):
    write_recording(tmp_path / "0012" / "Angry" / "0012_000351.wav")
    (tmp_path / "0012" / "0012.txt").write_text("0012_000351\tHello.\tHappy\n")
    (utterance,) = read_corpus(ESD, tmp_path)
    assert (utterance.emotion, utterance.text) == ("anger", "Hello.")


def test_a_bad_line_costs_its_text_only(tmp_path):
    write_recordings(tmp_path, "0012/Angry/0012_000351.wav", "0012/Angry/0012_000352.wav")
    (tmp_path / "0012" / "0012.txt").write_text("0012_000351 Hello. Angry\n\n0012_000352\tBye.\tAngry\n")
    manifest = read_corpus(ESD, tmp_path)
    assert [u.text for u in manifest] == [None, "Bye."]
    assert reasons(manifest) == {"0012/0012.txt, line 1": "expected id, text and emotion between tabs; no text for it"}


def test_what_is_not_of_the_corpus_is_skipped_with_its_reason(tmp_path):
    write_recordings(
        tmp_path, "0011/Sad/0011_001051.wav", "0011/Sad/train/0011_001051.wav", "0011/x.wav",
        "0021/Sad/0021_001051.wav", "0011/0011_000001.wav",
    )  # fmt: skip
    manifest = read_corpus(ESD, tmp_path)
    assert [u.file for u in manifest] == ["0011/Sad/0011_001051.wav"]
    assert reasons(manifest) == {
        "0011/0011_000001.wav": "lies in no folder Angry, Happy, Neutral, Sad or Surprise",
        "0011/Sad/train/0011_001051.wav": "a second copy of a recording that is read already",
        "0011/x.wav": "name does not follow ESD's speaker, number (0011_000351)",
        "0021/Sad/0021_001051.wav": "speaker 0021 is not one of ESD's twenty",
    }
