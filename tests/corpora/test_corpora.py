"""Corpus readers on small folders that are made here as the corpora name their files."""

import json
from pathlib import Path

import numpy as np
import pytest

from builders.manifests import manifest_of, reasons, utterances
from builders.recordings import write_recording
from emotune import audio
from emotune.corpora import CORPORA, ReadingOptions, map_classes, read_corpus
from emotune.corpora.tables.rows import COLUMN_NAMES
from emotune.errors import CorpusError
from emotune.schema.labels import Scale
from emotune.schema.manifest import Manifest

RAVDESS = [
    ("03-01-01-01-01-01-01", "neutral", "neutral", "01", "male", "normal", "Kids are talking by the door"),
    ("03-01-02-01-01-02-02", "calm", "calm", "02", "female", "normal", "Kids are talking by the door"),
    ("03-01-03-02-01-01-03", "happiness", "happy", "03", "male", "strong", "Kids are talking by the door"),
    ("03-01-04-01-02-01-04", "sadness", "sad", "04", "female", "normal", "Dogs are sitting by the door"),
    ("03-01-05-02-02-02-11", "anger", "angry", "11", "male", "strong", "Dogs are sitting by the door"),
    ("03-01-06-01-01-01-12", "fear", "fearful", "12", "female", "normal", "Kids are talking by the door"),
    ("03-01-07-01-01-01-23", "disgust", "disgust", "23", "male", "normal", "Kids are talking by the door"),
    ("03-01-08-01-01-01-24", "surprise", "surprised", "24", "female", "normal", "Kids are talking by the door"),
]


def test_ravdess_is_read_from_its_file_names(tmp_path):
    for name, *_ in RAVDESS:
        write_recording(tmp_path / f"Actor_{name[-2:]}" / f"{name}.wav")
    manifest = read_corpus(CORPORA["ravdess"], tmp_path)
    found = [
        (u.utterance_id, u.emotion, u.emotion_original, u.speaker, u.gender, u.extra["intensity"], u.text)
        for u in manifest
    ]
    assert found == RAVDESS
    assert all(u.corpus == "ravdess" and u.language == "en" for u in manifest)
    assert manifest.label_space.classes == (
        "anger", "happiness", "sadness", "neutral", "fear", "disgust", "surprise", "calm",
    )  # fmt: skip


def test_songs_videos_and_other_files_of_ravdess_are_skipped_with_their_reason(tmp_path):
    for name in ("03-01-01-01-01-01-01", "03-02-01-01-01-01-01", "01-01-01-01-01-01-01", "03-01-09-01-01-01-01", "x"):
        write_recording(tmp_path / f"{name}.wav")
    (tmp_path / "._03-01-01-01-01-01-01.wav").write_bytes(b"macOS")
    (tmp_path / "readme.txt").write_text("hello")
    manifest = read_corpus(CORPORA["ravdess"], tmp_path)
    assert [u.utterance_id for u in manifest] == ["03-01-01-01-01-01-01"]
    assert reasons(manifest) == {
        "01-01-01-01-01-01-01.wav": "not audio-only speech (modality 03, channel 01)",
        "03-02-01-01-01-01-01.wav": "not audio-only speech (modality 03, channel 01)",
        "03-01-09-01-01-01-01.wav": "name does not follow RAVDESS's MM-VC-EM-IN-ST-RP-AC",
        "x.wav": "name does not follow RAVDESS's MM-VC-EM-IN-ST-RP-AC",
    }


def test_a_recording_that_lies_there_twice_counts_once(tmp_path):
    for folder in ("Actor_01", "audio_speech_actors_01-24/Actor_01"):
        write_recording(tmp_path / folder / "03-01-01-01-01-01-01.wav", seed=0)
    manifest = read_corpus(CORPORA["ravdess"], tmp_path)
    assert len(manifest) == 1
    (reason,) = reasons(manifest).values()
    assert "is already Actor_01/03-01-01-01-01-01-01.wav" in reason


EMODB = [
    ("03a01Wa", "anger", "Wut", "03", "male", 31, "Der Lappen liegt auf dem Eisschrank."),
    ("08a02Lb", "boredom", "Langeweile", "08", "female", 34, "Das will sie am Mittwoch abgeben."),
    ("09b01E", "disgust", "Ekel", "09", "female", 21, None),
    ("10a05Aa", "fear", "Angst", "10", "male", 32, None),
    ("11b10Fd", "happiness", "Freude", "11", "male", 26, "Die wird auf dem Platz sein, wo wir sie immer hinlegen."),
    ("14a07Ta", "sadness", "Trauer", "14", "female", 35, "In sieben Stunden wird es soweit sein."),
    ("16b02Na", "neutral", "neutral", "16", "female", 31, None),
]


def test_emodb_is_read_from_its_file_names_and_the_shortfall_is_a_warning(tmp_path):
    for name, *_ in EMODB:
        write_recording(tmp_path / "wav" / f"{name}.wav")
    write_recording(tmp_path / "wav" / "99a01Wa.wav")
    write_recording(tmp_path / "wav" / "03a01Xa.wav")
    manifest = read_corpus(CORPORA["emodb"], tmp_path)
    for utterance, expected in zip(manifest, EMODB, strict=True):
        name, emotion, original, speaker, gender, age, text = expected
        assert (utterance.utterance_id, utterance.emotion, utterance.emotion_original) == (name, emotion, original)
        assert (utterance.speaker, utterance.gender, utterance.age) == (speaker, gender, age)
        assert text is None or utterance.text == text
        assert utterance.language == "de"
    assert reasons(manifest)["wav/99a01Wa.wav"] == "speaker 99 is not one of EmoDB's ten"
    assert "does not follow EmoDB's" in reasons(manifest)["wav/03a01Xa.wav"]
    assert manifest.information["warnings"] == [
        "emodb: 7 utterances read, the complete corpus has 535",
        "emodb: 7 speakers read, the complete corpus has 10",
    ]


def test_a_manifest_of_a_corpus_keeps_its_fingerprint_on_disk(tmp_path):
    write_recording(tmp_path / "03a01Wa.wav")
    manifest = read_corpus(CORPORA["emodb"], tmp_path)
    manifest.write(tmp_path / "m.csv")
    assert Manifest.read(tmp_path / "m.csv").fingerprint() == manifest.fingerprint()


def test_durations_and_fingerprints_are_those_of_the_recordings(tmp_path):
    path = write_recording(tmp_path / "03a01Wa.wav", seconds=0.35)
    (utterance,) = read_corpus(CORPORA["emodb"], tmp_path)
    assert utterance.duration_s == 0.35
    assert utterance.content_sha256 == audio.decode(path).content_sha256()


def test_a_folder_without_the_corpus_is_an_error_that_says_what_was_found(tmp_path):
    with pytest.raises(CorpusError, match="is not a folder"):
        read_corpus(CORPORA["emodb"], tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="holds no recording"):
        read_corpus(CORPORA["emodb"], tmp_path)
    write_recording(tmp_path / "x.wav")
    with pytest.raises(CorpusError, match="1x name does not follow EmoDB's"):
        read_corpus(CORPORA["emodb"], tmp_path)


def table(folder: Path, header: str, *rows: str, name: str = "labels.csv") -> Path:
    for file in ("a.wav", "b.wav"):
        if not (folder / file).exists():
            write_recording(folder / file, seconds=1.0)
    (folder / name).write_text("\n".join([header, *rows]) + "\n")
    return folder / name


VALUES = {
    "utterance_id": "u1", "start_s": 0.25, "end_s": 0.75, "channel": 0, "speaker": "s1", "session": "x",
    "gender": "female", "age": 31.0, "language": "de", "text": "Hallo", "split": "train", "emotion": "anger",
}  # fmt: skip
ALIASES = [(field, name) for field, names in COLUMN_NAMES.items() if field != "rater" for name in names]


@pytest.mark.parametrize(("field", "column"), ALIASES)
def test_every_known_column_name_fills_its_field_whatever_its_case(tmp_path, field, column):
    header = {"file": "file", "start_s": "start_s", "end_s": "end_s"} | {field: column.upper()}
    cells = {"file": "a.wav", "start_s": "0.1", "end_s": "0.9"} | ({field: VALUES[field]} if field != "file" else {})
    path = table(tmp_path, ",".join(header.values()), ",".join(str(cells[name]) for name in header))
    (utterance,) = read_corpus(CORPORA["table"], path, ReadingOptions(unlabelled=True))
    assert getattr(utterance, field) == VALUES.get(field, "a.wav")
    assert column.upper() not in utterance.extra


@pytest.mark.parametrize("option", [{"mapping": {"uncertain": "unsure"}}, {"drop": ["uncertain"]}])
def test_a_label_that_no_class_may_have_is_renamed_or_left_out_while_reading(tmp_path, option):
    path = table(tmp_path, "file,label", "a.wav,uncertain", "b.wav,sad")
    with pytest.raises(CorpusError, match=r"--map 'uncertain=NAME'.*--drop 'uncertain'"):
        read_corpus(CORPORA["table"], path)
    manifest = read_corpus(CORPORA["table"], path, ReadingOptions(**option))
    assert manifest.label_space.classes == (("sadness", "unsure") if "mapping" in option else ("sadness",))
    assert sum(manifest.information["class_mapping"].values()) == 1


def test_a_value_that_single_precision_moved_beyond_its_scale_is_its_end(tmp_path):
    single = float(np.float32(0.7))  # a little under .7
    path = table(tmp_path, "file,arousal", f"a.wav,{single!r}", "b.wav,0.6")
    manifest = read_corpus(CORPORA["table"], path, ReadingOptions(dimensions={"arousal": Scale(0.7, 5)}))
    assert [u.dimensions["arousal"] for u in manifest] == [0.7]
    assert reasons(manifest) == {"b.wav": "b.wav: arousal is 0.6, outside its scale [0.7, 5]."}


def test_classes_that_differ_in_spelling_alone_are_noted(tmp_path):
    path = table(tmp_path, "file,label", "a.wav,cold anger", "b.wav,cold_anger")
    (note,) = [text for text in read_corpus(CORPORA["table"], path).information["warnings"] if "class" in text]
    assert note.startswith("1 class is written in several ways, such as 'cold anger' and 'cold_anger': --map")


def test_votes_scales_and_other_columns_of_a_table(tmp_path):
    path = table(
        tmp_path,
        "path,votes.Angry,votes.neutral,EmoAct,Valence,microphone",
        "a.wav,3,1,5.5,-0.5,left",
        "b.wav,,2,,0,right",
    )
    manifest = read_corpus(
        CORPORA["table"], path, ReadingOptions(columns={"arousal": "EmoAct"},
        dimensions={"arousal": Scale(1, 7), "valence": Scale(-1, 1)}, licence="CC0"),
    )  # fmt: skip
    first, second = manifest
    assert first.votes == {"anger": 3, "neutral": 1}
    assert second.votes == {"neutral": 2}
    assert first.dimensions == {"arousal": 5.5, "valence": -0.5}
    assert second.dimensions == {"valence": 0}
    assert first.extra["microphone"] == "left"
    assert manifest.information["licence"] == "CC0"
    assert dict(manifest.label_space.dimensions) == {"arousal": Scale(1, 7), "valence": Scale(-1, 1)}


@pytest.mark.parametrize(
    ("word", "expected"),
    [("dev", "development"), ("Validation", "development"), ("TRAINING", "train"), ("eval", "test"), ("odd", "odd")],
)
def test_split_names_are_brought_to_ours(tmp_path, word, expected):
    (utterance,) = read_corpus(
        CORPORA["table"], table(tmp_path, "file,split", f"a.wav,{word}"), ReadingOptions(unlabelled=True)
    )
    assert utterance.split == expected


def test_segments_of_one_file_are_utterances_of_their_own(tmp_path):
    path = table(tmp_path, "file,start,end,label", "a.wav,0,0.5,sad", "a.wav,0.5,1.0,happy", "a.wav,0.25,,sad")
    manifest = read_corpus(CORPORA["table"], path)
    assert [u.utterance_id for u in manifest] == ["a#0-0.5", "a#0.5-1", "a#0.25-end"]
    assert [u.duration_s for u in manifest] == [0.5, 0.5, 0.75]
    whole = audio.decode(tmp_path / "a.wav").samples
    expected = audio.decode((whole[8000:], 16000)).content_sha256()
    assert manifest.utterances[1].content_sha256 == expected


def test_an_absolute_path_inside_the_root_is_made_relative_and_one_outside_is_skipped(tmp_path):
    outside = write_recording(tmp_path / "outside.wav")
    folder = tmp_path / "corpus"
    folder.mkdir()
    path = table(folder, "file", str((folder / "a.wav").resolve()), str(outside.resolve()), "../outside.wav")
    manifest = read_corpus(CORPORA["table"], path, ReadingOptions(unlabelled=True))
    assert [u.file for u in manifest] == ["a.wav"]
    assert all("lies outside the folder of the recordings" in item.reason for item in manifest.skipped)
    assert len(manifest.skipped) == 2


def test_the_recordings_may_lie_in_another_folder(tmp_path):
    write_recording(tmp_path / "wavs" / "c.wav")
    (tmp_path / "lists").mkdir()
    path = table(tmp_path / "lists", "file,emotion", "c.wav,joy")
    manifest = read_corpus(CORPORA["table"], path, ReadingOptions(audio_root=tmp_path / "wavs"))
    assert [u.emotion for u in manifest] == ["happiness"]
    manifest.write(tmp_path / "lists" / "m.csv")
    read = Manifest.read(tmp_path / "lists" / "m.csv")
    assert read.path_of(read.utterances[0]).exists()


def test_jsonl_tables_are_read_alike(tmp_path):
    table(tmp_path, "file", "a.wav")
    (tmp_path / "labels.jsonl").write_text(json.dumps({"wav": "a.wav", "emo": "sad", "age": 40}) + "\n")
    (utterance,) = read_corpus(CORPORA["table"], tmp_path / "labels.jsonl")
    assert (utterance.emotion, utterance.emotion_original, utterance.age) == ("sadness", "sad", 40.0)


def test_a_table_with_a_column_of_our_own_names_gives_a_manifest_that_can_be_read(tmp_path):
    path = table(tmp_path, "file,emotion,duration_s,content_sha256", "a.wav,sad,99,abc")
    read_corpus(CORPORA["table"], path).write(tmp_path / "m.csv")
    (utterance,) = Manifest.read(tmp_path / "m.csv")
    assert utterance.duration_s == 1.0
    assert utterance.content_sha256 == audio.decode(tmp_path / "a.wav").content_sha256()


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("recording,emotion", {}, "no column for the recordings; expected one of file, path"),
        ("file,activation", {}, "column 'activation' looks like the dimension arousal.*--scale arousal=LOW:HIGH"),
        ("file", {"dimensions": {"valence": Scale(1, 5)}}, "no column for dimension 'valence'"),
        ("file,emo_tion", {"columns": {"emotion": "emo-tion"}}, "did you mean 'emo_tion'"),
        ("file", {"columns": {"emotoin": "file"}}, "did you mean 'emotion'"),
    ],
)
def test_a_table_that_cannot_be_understood_is_an_error(tmp_path, header, options, message):
    row = ",".join(["a.wav", *["3"] * header.count(",")])
    with pytest.raises(CorpusError, match=message):
        read_corpus(CORPORA["table"], table(tmp_path, header, row), ReadingOptions(**options))


def test_options_of_a_table_are_refused_for_other_corpora(tmp_path):
    with pytest.raises(CorpusError, match="'emodb' takes no columns"):
        read_corpus(CORPORA["emodb"], tmp_path, ReadingOptions(columns={"file": "x"}))


def labelled(*emotions: str | None, votes=None) -> Manifest:
    rows = utterances(len(emotions), emotion=list(emotions), votes=votes or {})
    return manifest_of(*rows, classes=("anger", "neutral", "surprise", "calm"))


def test_mapped_and_dropped_classes_are_counted():
    manifest, report = map_classes(
        labelled("anger", "calm", "calm", "surprise", "neutral", None), {"calm": "neutral"}, ["surprise"]
    )
    assert report == {"calm -> neutral": 2, "surprise dropped": 1}
    assert manifest.information["class_mapping"] == report
    assert [u.emotion for u in manifest] == ["anger", "neutral", "neutral", "neutral", None]
    assert manifest.label_space.classes == ("anger", "neutral")


def test_votes_are_merged_with_their_classes():
    manifest, _ = map_classes(labelled("anger", "calm", votes={"calm": 2, "neutral": 1}), {"calm": "neutral"})
    assert [u.votes for u in manifest] == [{"neutral": 3}] * 2


def test_a_class_that_does_not_occur_cannot_be_mapped_or_dropped():
    with pytest.raises(CorpusError, match=r"does not have: joy, fear\. It has: anger, neutral, surprise, calm"):
        map_classes(labelled("anger"), {"joy": "happiness"}, ["fear"])


def test_a_recording_of_several_utterances_is_decoded_once(opened, three_segments):
    assert sorted(opened) == ["long.mp3", "short.wav"]
    for utterance in three_segments:
        alone = audio.decode(three_segments.path_of(utterance), start_s=utterance.start_s, end_s=utterance.end_s)
        assert utterance.content_sha256 == alone.content_sha256()
        assert utterance.duration_s == alone.duration_s
    assert [u.utterance_id for u in three_segments] == ["long#2.5-4", "short", "long#0-1", "long#1-2.5"]
