"""IEMOCAP: label files, raters, speakers and transcripts, each with what is easily got wrong."""

import pytest

from builders.corpora.iemocap import HEADER, write_labels, write_tree
from builders.recordings import write_recording
from emotune.corpora import CORPORA, ReadingOptions, map_classes, read_corpus
from emotune.errors import CorpusError
from emotune.schema.labels import Scale

IEMOCAP = CORPORA["iemocap"]
EVALUATION = "Session1/dialog/EmoEvaluation"


def line(turn: str, code: str, values: str = "3.0000, 3.0000, 3.0000") -> str:
    return f"[1.0000 - 2.0000]\t{turn}\t{code}\t[{values}]\n"


def test_labels_votes_dimensions_and_text_are_read(tmp_path):
    write_tree(tmp_path)
    manifest = read_corpus(IEMOCAP, tmp_path)
    first, second, third = manifest
    assert (first.utterance_id, first.emotion, first.emotion_original) == ("Ses01F_impro01_F000", "neutral", "neu")
    assert first.file == "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert first.dimensions == {"valence": 2.5, "arousal": 2.0, "dominance": 3.0}
    assert first.text == "Excuse me."
    assert (second.emotion, second.emotion_original) == ("excitement", "exc")
    assert second.dimensions == {"valence": 4.5, "arousal": 4.0, "dominance": 3.5}
    assert second.text == "To the café [LAUGHTER]: yeah."
    assert third.text is None
    assert dict(manifest.label_space.dimensions) == dict.fromkeys(("valence", "arousal", "dominance"), Scale(1, 5))
    assert not manifest.skipped


def test_votes_are_the_words_of_raters_and_not_what_actors_said_of_themselves(tmp_path):
    write_tree(tmp_path)
    first, second, third = read_corpus(IEMOCAP, tmp_path)
    assert first.votes == {"neutral": 3, "frustration": 1}  # C-F1's Anger is left out
    assert second.votes == {"excitement": 2, "happiness": 1, "other": 1}  # and so are C-M1 and the comment's Anger
    assert third.votes == {"frustration": 1, "anger": 1}


@pytest.mark.parametrize(
    ("dialog", "turn", "speaker", "gender"),
    [
        ("Ses01F_impro01", "Ses01F_impro01_F000", "Ses01_F", "female"),
        ("Ses01F_impro01", "Ses01F_impro01_M003", "Ses01_M", "male"),
        ("Ses03M_script02_2", "Ses03M_script02_2_F010", "Ses03_F", "female"),
        ("Ses05M_script01_1b", "Ses05M_script01_1b_M034", "Ses05_M", "male"),
    ],
)
def test_the_speaker_is_told_by_the_last_token(tmp_path, dialog, turn, speaker, gender):
    write_tree(tmp_path, {dialog: HEADER + line(turn, "sad")})
    (utterance,) = read_corpus(IEMOCAP, tmp_path)
    assert (utterance.speaker, utterance.gender, utterance.session) == (speaker, gender, dialog[4])


def test_style_and_place_in_the_dialogue_are_carried_along(tmp_path):
    write_tree(tmp_path)
    first, _, third = read_corpus(IEMOCAP, tmp_path)
    assert first.extra == {
        "style": "improvised",
        "dialog": "Ses01F_impro01",
        "dialog_start_s": "6.2901",
        "dialog_end_s": "8.2357",
    }
    assert third.extra["style"] == "scripted"
    assert (first.start_s, first.end_s) == (None, None)  # a recording is one turn already


CODES = {
    "ang": "anger", "hap": "happiness", "exc": "excitement", "sad": "sadness", "neu": "neutral", "fru": "frustration",
    "fea": "fear", "sur": "surprise", "dis": "disgust", "oth": "other", "xxx": None,
}  # fmt: skip


def turns_of_every_class() -> str:
    return HEADER + "".join(line(f"Ses04F_impro02_F{n:03d}", code) for n, code in enumerate(CODES))


def test_every_code_has_its_class_and_no_agreement_has_none(tmp_path):
    write_tree(tmp_path, {"Ses04F_impro02": turns_of_every_class()})
    manifest = read_corpus(IEMOCAP, tmp_path)
    assert {u.emotion_original: u.emotion for u in manifest} == CODES
    assert len(manifest) == 11


def test_the_four_usual_classes_come_of_mapping_and_dropping(tmp_path):
    write_tree(tmp_path, {"Ses04F_impro02": turns_of_every_class()})
    dropped = ["frustration", "fear", "surprise", "disgust", "other"]
    mapped, report = map_classes(read_corpus(IEMOCAP, tmp_path), {"excitement": "happiness"}, dropped)
    assert mapped.label_space.classes == ("anger", "happiness", "sadness", "neutral")
    assert report["excitement -> happiness"] == 1
    assert [u.emotion for u in mapped if u.emotion] == ["anger", "happiness", "happiness", "sadness", "neutral"]


def test_subfolders_and_twins_of_macos_are_not_read(tmp_path):
    write_tree(tmp_path)
    expected = read_corpus(IEMOCAP, tmp_path).utterances
    for folder in ("Categorical", "Attribute", "Self-evaluation"):
        path = tmp_path / EVALUATION / folder / "Ses01F_impro01_e1.txt"
        path.parent.mkdir()
        path.write_text(line("Ses01F_impro01_F077", "ang"))
    (tmp_path / EVALUATION / "._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07\xff[")
    (tmp_path / "Session1/sentences/wav/Ses01F_impro01/._Ses01F_impro01_F000.wav").write_bytes(b"macOS")
    (tmp_path / "Session1/dialog/transcriptions/._Ses01F_impro01.txt").write_bytes(b"Ses01F_impro01_F000 [0-1]: no\n")
    (tmp_path / "._Session2").write_bytes(b"macOS")
    manifest = read_corpus(IEMOCAP, tmp_path)
    assert manifest.utterances == expected
    assert not manifest.skipped


def test_flac_is_read_like_wav(tmp_path):
    write_tree(tmp_path, suffix=".flac")
    manifest = read_corpus(IEMOCAP, tmp_path)
    assert len(manifest) == 3
    assert {u.file[-5:] for u in manifest} == {".flac"}


def test_a_label_without_recording_and_a_recording_without_label_are_skipped(tmp_path):
    wavs = "Session1/sentences/wav/Ses01F_impro01"
    write_tree(tmp_path)
    (tmp_path / wavs / "Ses01F_impro01_F000.wav").unlink()
    write_recording(tmp_path / wavs / "Ses01F_impro01_F099.wav")
    manifest = read_corpus(IEMOCAP, tmp_path)
    reasons = {item.file: item.reason for item in manifest.skipped}
    assert len(manifest) == 2
    assert "does not exist" in reasons[f"{wavs}/Ses01F_impro01_F000.wav"]
    assert reasons[f"{wavs}/Ses01F_impro01_F099.wav"] == "no label line names it"


def test_a_recording_that_lies_there_as_wav_and_flac_counts_once(tmp_path):
    write_tree(tmp_path)
    write_tree(tmp_path, suffix=".flac")
    manifest = read_corpus(IEMOCAP, tmp_path)
    assert len(manifest) == 3
    assert all("is already Session" in item.reason for item in manifest.skipped)
    assert len(manifest.skipped) == 3


BROKEN = [
    (line("Ses01F_impro09_F000", "hpa"), "line 3: emotion is 'hpa', expected one of ang, hap, exc"),
    ("[1.0000 - 2.0000]\tSes01F_impro09_F000\n", "line 3: expected [start - end], name, emotion and [valence"),
    (line("Ses01F_impro09_F000", "sad", "3.0, 3.0"), "line 3: expected [start - end], name, emotion and [valence"),
    (line("Ses01F_impro09_F000", "sad", "3.0, x, 3.0"), "line 3: expected [start - end], name, emotion and [valence"),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN)
def test_a_broken_label_line_is_skipped_with_its_place_and_takes_no_votes_of_others(tmp_path, broken, message):
    write_tree(tmp_path)
    good = line("Ses01F_impro09_M001", "sad")
    write_labels(tmp_path, "Ses01F_impro09", HEADER + broken + "C-E1:\tAnger;\t()\n" + good + "C-E1:\tSadness;\t()\n")
    manifest = read_corpus(IEMOCAP, tmp_path, ReadingOptions(labels_only=True))
    found = {u.utterance_id: u for u in manifest}
    assert len(found) == 4
    assert found["Ses01F_impro09_M001"].votes == {"sadness": 1}
    (skipped,) = manifest.skipped
    assert skipped.file == f"{EVALUATION}/Ses01F_impro09.txt"
    assert message in skipped.reason


def test_a_name_of_another_corpus_is_skipped(tmp_path):
    write_tree(tmp_path)
    write_labels(tmp_path, "Ses01F_impro09", HEADER + line("03a01Wa", "sad"))
    (skipped,) = read_corpus(IEMOCAP, tmp_path).skipped
    assert "name does not follow IEMOCAP's" in skipped.reason


def test_a_mean_outside_the_scale_is_left_out_and_named_but_the_utterance_stays(tmp_path):
    write_tree(tmp_path, {"Ses01F_impro01": HEADER + line("Ses01F_impro01_F000", "sad", "5.5000, 3.0000, 0.5000")})
    manifest = read_corpus(IEMOCAP, tmp_path)
    assert [u.dimensions for u in manifest] == [{"arousal": 3.0}]
    assert [item.reason for item in manifest.skipped] == [
        "line 3: valence of Ses01F_impro01_F000 is 5.5, outside 1 to 5; only this value is left out",
        "line 3: dominance of Ses01F_impro01_F000 is 0.5, outside 1 to 5; only this value is left out",
    ]


def test_the_labels_are_read_without_any_recording(tmp_path):
    for file in write_tree(tmp_path):
        (tmp_path / file).unlink()
    manifest = read_corpus(IEMOCAP, tmp_path, ReadingOptions(labels_only=True))
    assert [u.emotion for u in manifest] == ["neutral", "excitement", "frustration"]


def test_missing_folders_are_errors_that_say_what_was_expected(tmp_path):
    with pytest.raises(CorpusError, match="holds none of Session1 to Session5"):
        read_corpus(IEMOCAP, tmp_path)
    write_tree(tmp_path)
    (tmp_path / "Session3").mkdir()
    with pytest.raises(CorpusError, match=r"Session3.dialog.EmoEvaluation holds no label file, expected one \.txt"):
        read_corpus(IEMOCAP, tmp_path)


def test_the_shortfall_is_a_warning(tmp_path):
    write_tree(tmp_path)
    assert read_corpus(IEMOCAP, tmp_path).information["warnings"] == [
        "iemocap: 3 utterances read, the complete corpus has 10039",
        "iemocap: 3 speakers read, the complete corpus has 10",
    ]
