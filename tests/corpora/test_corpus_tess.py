"""TESS's reader: folders of any case, the misnamed file, the nested copy of the tree."""

import pytest

from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, read_corpus

TESS = CORPORA["tess"]


@pytest.mark.parametrize(
    ("folder", "stem", "speaker", "age", "emotion", "original"),
    [
        ("OAF_angry", "OAF_back_angry", "OAF", 64, "anger", "angry"),
        ("YAF_disgust", "YAF_bar_disgust", "YAF", 26, "disgust", "disgust"),
        ("OAF_Fear", "OAF_back_fear", "OAF", 64, "fear", "Fear"),
        ("yaf_happy", "YAF_back_happy", "YAF", 26, "happiness", "happy"),
        ("OAF_neutral", "OA_bite_neutral", "OAF", 64, "neutral", "neutral"),
        ("OAF_Sad", "OAF_back_sad", "OAF", 64, "sadness", "Sad"),
        ("OAF_Pleasant_surprise", "OAF_back_ps", "OAF", 64, "surprise", "Pleasant_surprise"),
        ("YAF_pleasant_surprised", "YAF_back_ps", "YAF", 26, "surprise", "pleasant_surprised"),
        ("YAF_ps", "YAF_back_ps", "YAF", 26, "surprise", "ps"),
        ("all", "YAF_back_ps", "YAF", 26, "surprise", "ps"),
        ("all", "OA_bite_neutral", "OAF", 64, "neutral", "neutral"),
    ],
)
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_speaker_and_emotion_come_from_the_folder_and_else_from_the_name(
    tmp_path, folder, stem, speaker, age, emotion, original, suffix
):
    write_recording(tmp_path / folder / f"{stem}{suffix}", sampling_rate_hz=24414)
    (utterance,) = read_corpus(TESS, tmp_path)
    assert utterance.utterance_id == stem
    assert (utterance.speaker, utterance.age, utterance.gender) == (speaker, age, "female")
    assert (utterance.emotion, utterance.emotion_original) == (emotion, original)
    assert utterance.text == f"Say the word {stem.split('_')[1]}"
    assert utterance.language == "en"


def test_a_nested_copy_of_the_tree_is_skipped_and_counted(tmp_path):
    files = ["OAF_angry/OAF_back_angry.wav", "YAF_sad/YAF_back_sad.wav"]
    nested = "A set data"  # comes first in the alphabet
    write_recordings(tmp_path, *files, *(f"{nested}/{file}" for file in files))
    manifest = read_corpus(TESS, tmp_path)
    assert sorted(u.file for u in manifest) == files
    assert {item.file: item.reason for item in manifest.skipped} == {
        f"{nested}/{file}": "a second copy of a recording that is read already" for file in files
    }


def test_other_names_and_emotions_are_skipped_with_their_reason(tmp_path):
    write_recordings(tmp_path, "OAF_angry/OAF_back_angry.wav", "OAF_angry/notes.wav", "OAF_bored/OAF_back_bored.wav")
    manifest = read_corpus(TESS, tmp_path)
    found = {item.file: item.reason for item in manifest.skipped}
    assert found["OAF_angry/notes.wav"] == "name does not follow TESS's speaker, word, emotion (OAF_back_angry)"
    assert found["OAF_bored/OAF_back_bored.wav"].startswith("'bored' is not one of TESS's emotions: angry")


def test_two_speakers_and_a_shortfall_are_warnings(tmp_path):
    write_recording(tmp_path / "OAF_angry" / "OAF_back_angry.wav")
    assert read_corpus(TESS, tmp_path).information["warnings"] == [
        "tess: two speakers only; a score on one of them says little of other voices",
        "tess: 1 utterances read, the complete corpus has 2800",
        "tess: 1 speakers read, the complete corpus has 2",
    ]
