"""Kaldi's data folders: whole recordings and segments, paths of every kind, commands, broken lines."""

import numpy as np
import pytest
import soundfile

from builders.corpora.kaldi import FILES, write_labels, write_lines
from builders.manifests import reasons
from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.errors import CorpusError
from emotune.schema.manifest import Manifest

KALDI = CORPORA["kaldi"]


def test_every_file_of_the_folder_tells_its_field(tmp_path):
    write_recordings(tmp_path, "wavs/a.wav", "wavs/b.wav")
    write_lines(
        tmp_path,
        wav_scp="a wavs/a.wav\nb wavs/b.wav",
        utt2spk="a anna\nb bert",
        spk2gender="anna f\nbert m",
        text="a Grüß  Gott\nb Servus",
        utt2emo="a Angry\nb neu",
    )
    manifest = read_corpus(KALDI, tmp_path)
    assert [(u.utterance_id, u.file, u.speaker, u.gender, u.text) for u in manifest] == [
        ("a", "wavs/a.wav", "anna", "female", "Grüß  Gott"),
        ("b", "wavs/b.wav", "bert", "male", "Servus"),
    ]
    assert [(u.emotion, u.emotion_original) for u in manifest] == [("anger", "Angry"), ("neutral", "neu")]
    assert {(u.split, u.start_s, u.end_s) for u in manifest} == {(None, None, None)}


@pytest.mark.parametrize("name", ["utt2emo", "utt2emotion", "emotion"])
def test_the_file_of_emotions_may_have_three_names(tmp_path, name):
    write_recording(tmp_path / "a.wav")
    write_lines(tmp_path, wav_scp="a a.wav", **{name: "a sad"})
    (utterance,) = read_corpus(KALDI, tmp_path)
    assert (utterance.emotion, utterance.speaker) == ("sadness", None)


def test_segments_are_cut_from_their_recording(tmp_path):
    samples = np.linspace(-0.5, 0.5, 16000)
    soundfile.write(tmp_path / "long.wav", samples, 16000, subtype="FLOAT")
    write_lines(
        tmp_path, wav_scp="long long.wav", segments="u1 long 0 0.25\nu2 long 0.25 0.75\nu3 long 0.75 -1",
        utt2emo="u1 sad\nu2 sad\nu3 sad",
    )  # fmt: skip
    manifest = read_corpus(KALDI, tmp_path)
    assert [u.duration_s for u in manifest] == [0.25, 0.5, 0.25]
    for utterance, part in zip(manifest, [slice(4000), slice(4000, 12000), slice(12000, None)], strict=True):
        np.testing.assert_array_equal(manifest.clip_of(utterance).samples, samples[part].astype(np.float32))


def test_absolute_and_relative_paths_lead_below_the_audio_root(tmp_path):
    write_recordings(tmp_path, "speech/a.wav", "speech/deep/b.wav")
    data = write_lines(
        tmp_path / "data", wav_scp=f"a {tmp_path}/speech/a.wav\nb deep/b.wav", utt2emo="a happy\nb happy"
    )
    manifest = read_corpus(KALDI, data, ReadingOptions(audio_root=tmp_path / "speech"))
    assert [u.file for u in manifest] == ["a.wav", "deep/b.wav"]
    manifest.write(tmp_path / "m.csv")
    assert Manifest.read(tmp_path / "m.csv").path_of(manifest.utterances[1]).is_file()


def test_a_path_outside_the_audio_root_is_skipped_and_the_cure_is_named(tmp_path):
    write_recordings(tmp_path, "speech/a.wav", "data/b.wav")
    data = write_lines(tmp_path / "data", wav_scp=f"a {tmp_path}/speech/a.wav\nb b.wav", utt2emo="a happy\nb happy")
    manifest = read_corpus(KALDI, data)
    assert [u.utterance_id for u in manifest] == ["b"]
    assert "lies outside the folder of the recordings" in reasons(manifest)["a"]
    assert "--audio-root" in reasons(manifest)["a"]


def test_a_recording_that_became_flac_is_found(tmp_path):
    write_recording(tmp_path / "wavs" / "a.flac")
    write_lines(tmp_path, wav_scp="a wavs/a.wav", utt2emo="a happy")
    assert [u.file for u in read_corpus(KALDI, tmp_path)] == ["wavs/a.flac"]


def test_commands_and_archives_are_skipped_and_never_run(tmp_path):
    write_recording(tmp_path / "b.wav")
    write_lines(
        tmp_path, wav_scp=f"a touch {tmp_path}/ran |\nb b.wav\nc raw.ark:17", utt2emo="a happy\nb happy\nc happy"
    )
    manifest = read_corpus(KALDI, tmp_path)
    assert [u.utterance_id for u in manifest] == ["b"]
    assert not (tmp_path / "ran").exists()
    assert "holds a command, and emotune runs none" in reasons(manifest)["a"]
    assert "a place in a Kaldi archive" in reasons(manifest)["c"]


def test_folders_called_like_splits_are_splits(tmp_path):
    for split in ("train", "dev", "test"):
        write_recording(tmp_path / split / "wavs" / f"{split}1.wav")
        write_lines(tmp_path / split, wav_scp=f"{split}1 {split}/wavs/{split}1.wav", utt2emo=f"{split}1 fear")
    manifest = read_corpus(KALDI, tmp_path)
    assert {u.utterance_id: u.split for u in manifest} == {
        "dev1": "development",
        "test1": "test",
        "train1": "train",
    }


def test_bad_lines_are_skipped_with_file_and_line_and_the_rest_is_read(tmp_path):
    write_recordings(tmp_path, "a.wav", "b.wav")
    write_lines(
        tmp_path,
        wav_scp="a a.wav\n\nlonely\na b.wav\nb b.wav",
        segments="u1 a 0 0.1\nu2 a zero 0.1\nu3 gone 0 1\nu4 a 0\nu5 b 0.1 0.2\nu6 a 0 0.1",
        utt2emo="u1 sad\nu2 sad\nu3 sad\nu4 sad\nu5 sad\nu7 sad",
    )
    manifest = read_corpus(KALDI, tmp_path)
    assert [u.utterance_id for u in manifest] == ["u1", "u5"]
    found = reasons(manifest)
    assert found[f"{tmp_path.name}/wav.scp, line 3"] == "'lonely' has no value; expected a key, a space and a value"
    assert found[f"{tmp_path.name}/wav.scp, line 4"] == "'a' is there already; its first line is taken"
    assert "expected a number, got 'zero'" in found["u2"]
    assert found["u3"] == "segments: recording 'gone' is in no line of wav.scp."
    assert found["u4"] == "segments: 'a 0', expected recording, start and end."
    assert found["u6"] == "no emotion: the utterance is in no line of the file of emotions."
    assert found["u7"] == "in utt2emo, but in no line of segments"


def test_missing_files_are_errors_that_say_what_was_expected(tmp_path):
    with pytest.raises(CorpusError, match=r"holds no wav\.scp, nor does a folder in it"):
        read_corpus(KALDI, tmp_path)
    write_lines(tmp_path, wav_scp="a a.wav")
    with pytest.raises(CorpusError, match=r"holds no file of emotions; expected utt2emo"):
        read_corpus(KALDI, tmp_path)


def test_the_command_line_takes_the_audio_root(tmp_path, emotune_command):
    write_recordings(tmp_path / "speech", *FILES)
    data = write_labels(tmp_path / "data", FILES)
    ended = emotune_command(
        "corpus", "read", "kaldi", data, "-o", tmp_path / "m.csv", "--audio-root", tmp_path / "speech"
    )
    assert ended.code == 0, ended.err
    assert "2 utterances" in ended.out
