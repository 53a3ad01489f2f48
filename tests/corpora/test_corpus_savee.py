"""SAVEE's reader on both of its layouts."""

import pytest

from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, read_corpus

SAVEE = CORPORA["savee"]
EMOTIONS = {
    "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise",
}  # fmt: skip


@pytest.mark.parametrize("layout", ["AudioData/{speaker}/{stem}", "ALL/{speaker}_{stem}", "{speaker}/{stem}"])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_speaker_and_emotion_are_read_from_both_layouts(tmp_path, layout, suffix):
    for number, code in enumerate(EMOTIONS):
        speaker = ("DC", "JE", "JK", "KL")[number % 4]
        write_recording(
            tmp_path / (layout.format(speaker=speaker, stem=f"{code}0{number}") + suffix), sampling_rate_hz=44100
        )
    manifest = read_corpus(SAVEE, tmp_path)
    assert {u.utterance_id: u.emotion for u in manifest} == {
        f"{('DC', 'JE', 'JK', 'KL')[number % 4]}_{code}0{number}": emotion
        for number, (code, emotion) in enumerate(EMOTIONS.items())
    }
    assert all(u.speaker == u.utterance_id[:2] for u in manifest)
    assert {(u.gender, u.language) for u in manifest} == {("male", "en")}


def test_other_names_other_folders_and_the_second_layout_of_the_same_are_skipped(tmp_path):
    write_recordings(tmp_path, "AudioData/DC/a01.wav", "ALL/DC_a01.wav", "AudioData/DC/x01.wav", "AudioData/XX/a01.wav")
    manifest = read_corpus(SAVEE, tmp_path)
    assert [u.file for u in manifest] == ["ALL/DC_a01.wav"]
    assert {item.file: item.reason for item in manifest.skipped} == {
        "AudioData/DC/a01.wav": "a second copy of a recording that is read already",
        "AudioData/DC/x01.wav": "name does not follow SAVEE's emotion, number (a01, or DC_a01)",
        "AudioData/XX/a01.wav": "the folder is not one of SAVEE's speakers, DC, JE, JK, KL",
    }


def test_that_all_are_men_and_how_many_there_should_be_are_warnings(tmp_path):
    write_recording(tmp_path / "DC" / "a01.wav")
    assert read_corpus(SAVEE, tmp_path).information["warnings"] == [
        "savee: all speakers are men",
        "savee: 1 utterances read, the complete corpus has 480",
        "savee: 1 speakers read, the complete corpus has 4",
    ]
