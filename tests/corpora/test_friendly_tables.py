"""Small kindnesses to people with tables of their own."""

import dataclasses

import pytest

from builders.recordings import write_recording
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.errors import CorpusError
from emotune.inference.inputs import items_of
from emotune.io.tables import read_rows
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest


def test_a_table_that_a_german_spreadsheet_wrote_is_read(people):
    manifest = read(
        people,
        "Datei;Sprecher;Emotion\na.wav;Ann;Ärger\nb.wav;Bob;Freude\n",
        columns={"file": "Datei", "speaker": "Sprecher"},
    )
    assert [utterance.emotion for utterance in manifest] == ["anger", "happiness"]


def test_dev_is_short_for_development_in_shares(tmp_path, tones, emotune_command):
    tones.write(tmp_path / "m.csv")
    shares = ("--share", "train=0.5", "--share", "dev=0.5")
    assert emotune_command("corpus", "split", tmp_path / "m.csv", "-o", tmp_path / "s.csv", *shares).code == 0
    assert {utterance.split for utterance in Manifest.read(tmp_path / "s.csv")} == {"train", "development"}


@pytest.fixture
def people(tmp_path):
    """Four recordings of two people, and the first lines of a table of them."""
    for name in ("a.wav", "b.wav", "c.wav", "d.wav"):
        write_recording(tmp_path / name)
    return tmp_path


def read(folder, text: str, **options):
    (folder / "own.csv").write_text(text)
    return read_corpus(CORPORA["table"], folder / "own.csv", ReadingOptions(**options))


@pytest.mark.parametrize("column", ["name", "id", "key", "ID", "utterance_id"])
def test_a_column_whose_values_repeat_is_no_column_of_ids_and_no_row_is_lost(people, column):
    text = f"{column},file,label\nAnn,a.wav,sad\nAnn,b.wav,sad\nBob,c.wav,sad\nBob,d.wav,sad\n"
    manifest = read(people, text)
    assert [utterance.utterance_id for utterance in manifest] == ["a", "b", "c", "d"]
    assert not manifest.skipped
    (note,) = [words for words in manifest.information["warnings"] if "ids" in words]
    assert f"not of column '{column}', in which 'Ann' stands for different clips" in note
    assert column in manifest.information["columns_not_used"]
    speakers = read(people, text, columns={"speaker": column})
    assert [utterance.speaker for utterance in speakers] == ["Ann", "Ann", "Bob", "Bob"]
    assert [utterance.utterance_id for utterance in speakers] == ["a", "b", "c", "d"]


def test_a_column_of_unique_values_is_taken_for_ids_though_a_row_is_there_twice(people):
    manifest = read(people, "id,file,label\nu1,a.wav,sad\nu2,b.wav,sad\nu2,b.wav,sad\n")
    assert [utterance.utterance_id for utterance in manifest] == ["u1", "u2"]
    assert [item.reason for item in manifest.skipped] == ["utterance_id 'u2' is already b.wav"]


def test_ids_that_the_user_chose_and_that_repeat_are_an_error(people):
    text = "name,file,label\nAnn,a.wav,sad\nAnn,b.wav,sad\n"
    with pytest.raises(CorpusError, match=r"'name' was chosen for utterance_id, but 'Ann' stands for different clips"):
        read(people, text, columns={"utterance_id": "name"})
    assert [u.utterance_id for u in read(people, text, columns={"utterance_id": "none"})] == ["a", "b"]


def test_one_id_for_the_segments_of_a_recording_is_none(people):
    manifest = read(people, "id,file,start,end,label\nu1,a.wav,0,0.2,sad\nu1,a.wav,0.2,0.4,sad\n")
    assert [utterance.utterance_id for utterance in manifest] == ["a#0-0.2", "a#0.2-0.4"]


def test_recordings_that_differ_in_their_suffix_alone_are_both_read(people):
    write_recording(people / "a.flac")
    manifest = read(people, "file,label\na.wav,sad\na.flac,happy\na.wav,sad\n")
    assert [(u.utterance_id, u.file) for u in manifest] == [("a", "a.wav"), ("a.flac", "a.flac")]
    assert [item.reason for item in manifest.skipped] == ["utterance_id 'a' is already a.wav"]


def test_names_of_columns_may_have_spaces_and_capitals(people):
    manifest = read(people, "File Name,Speaker ID, Emotion \na.wav,s1,sad\n")
    assert [(u.file, u.speaker, u.emotion) for u in manifest] == [("a.wav", "s1", "sadness")]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("file,votes.sad\na.wav,2\n", {}),
        ("file,tension\na.wav,2\n", {"dimensions": {"tension": Scale(1, 5)}}),
        ("file,label\na.wav,sad\n", {"labels_only": True}),
        ("file,feeling\na.wav,sad\n", {"columns": {"emotion": "feeling"}}),
        ("file,feeling\na.wav,sad\n", {"unlabelled": True}),
    ],
)
def test_a_table_of_votes_dimensions_or_a_chosen_label_is_read(people, text, options):
    assert len(read(people, text, **options)) == 1


@pytest.mark.parametrize("options", [{}, {"labels_only": True}])
def test_a_table_without_labels_is_an_error_that_names_its_columns_and_the_cures(people, options):
    with pytest.raises(CorpusError) as caught:
        read(people, "file,feeling,gender\na.wav,sad,f\n", **options)
    for words in ("own.csv has no labels", "got file, feeling, gender", "--column emotion=<column>", "--unlabelled"):
        assert words in str(caught.value)


def test_a_table_without_labels_can_be_predicted(people):
    (people / "own.csv").write_text("file,feeling\na.wav,sad\n")
    assert [item.utterance_id for item in items_of([people / "own.csv"])] == ["a.wav"]


def test_rows_left_out_for_one_kind_of_reason_are_counted_once_and_name_the_cure(people, emotune_command):
    rows = [f"gone/{number}.wav,sad,{number}" for number in range(12)]
    (people / "own.csv").write_text("\n".join(["file,label,age", "a.wav,sad,31", *rows, "b.wav,sad,old", ""]))
    ended = emotune_command("corpus", "read", "table", people / "own.csv", "-o", people / "m.csv")
    assert ended.code == 0
    assert "skipped 13:" in ended.err
    cure = f"Paths start from {people}; give another folder with --audio-root."
    assert f"  12 x such as: {people}/gone/0.wav does not exist. {cure}\n" in ended.err
    assert f"  1 x {people}/own.csv, row 14, age: expected a number, got 'old'." in ended.err
    assert ended.err.count("does not exist") == 1
    assert "each with its reason in m.csv.meta.json" in ended.err


def test_a_corpus_whose_recordings_are_elsewhere_names_the_cure_once(people):
    rows = "".join(f"gone/{number}.wav,sad\n" for number in range(5))
    with pytest.raises(CorpusError, match=r"Skipped: 5x such as: .*gone/0\.wav does not exist\. .* --audio-root\."):
        read(people, f"file,label\n{rows}")


def test_a_folder_of_recordings_that_is_not_there_is_said_to_be_missing(people):
    with pytest.raises(CorpusError, match="/clip, a folder that is not there; give another folder"):
        read(people, "file,label\na.wav,sad\n", audio_root=people / "clip")


def test_dimensions_that_are_read_say_how_they_are_learnt(people, emotune_command):
    (people / "own.csv").write_text("file,arousal,valence\na.wav,3,4\nb.wav,2,1\n")
    scales = ("--scale", "arousal=1:7", "--scale", "valence=1:5")
    ended = emotune_command("corpus", "read", "table", people / "own.csv", "-o", people / "m.csv", *scales)
    assert ended.code == 0
    assert "0 classes, arousal on [1, 7], valence on [1, 5]" in ended.out
    assert "data.dimensions=[arousal,valence]" in ended.err


NOTHING_TO_LEARN = {
    "dimensions alone": (
        {"dimensions": {"arousal": 3.0}},
        "no emotion classes. Learn its dimensions alone with data.classes=false data.dimensions=[arousal]"
        " train.metric=ccc.",
    ),
    "votes alone": ({"votes": {"anger": 2.0}}, "Learn the class with the most votes with data.votes.label=plurality."),
    "neither": (
        {},
        "no emotion classes. Nor has it dimensions or votes: read the corpus again with a column of labels",
    ),
}


@pytest.mark.parametrize("case", NOTHING_TO_LEARN)
def test_training_on_a_manifest_without_classes_says_what_could_be_learnt(tmp_path, tones, emotune_command, case):
    labels, words = NOTHING_TO_LEARN[case]
    bare = [dataclasses.replace(u, emotion=None, dimensions={}, votes={}) for u in tones]
    rows = tuple(dataclasses.replace(utterance, **labels) for utterance in bare)
    space = LabelSpace((), {"arousal": Scale(1, 7)} if "dimensions" in labels else {})
    dataclasses.replace(tones, utterances=rows, label_space=space).write(tmp_path / "m.csv")
    ended = emotune_command("train", "demo/tiny_wavlm", f"data.manifest={tmp_path / 'm.csv'}", "-o", tmp_path / "run")
    assert ended.code == 2
    assert words in ended.err


def test_the_settings_that_the_error_names_lead_to_a_training(tmp_path, tones, emotune_command):
    rows = tuple(dataclasses.replace(utterance, emotion=None, dimensions={"arousal": 3.0}) for utterance in tones)
    space = LabelSpace((), {"arousal": Scale(1, 7)})
    dataclasses.replace(tones, utterances=rows, label_space=space).write(tmp_path / "m.csv")
    command = ("train", "demo/tiny_wavlm", f"data.manifest={tmp_path / 'm.csv'}", "-o", tmp_path / "run", "--dry-run")
    refused = emotune_command(*command)
    settings = [word.rstrip(".") for word in refused.err.split() if word.startswith(("data.", "train."))]
    assert len(settings) == 3
    ended = emotune_command(*command, *settings)
    assert ended.code == 0, ended.err


def test_own_columns_that_are_named_like_ours_are_carried_along(people, emotune_command):
    manifest = read(people, "file,label,corpus,duration_s\na.wav,anger,X,9\nb.wav,sad,Y,9\n")
    assert manifest.information["columns_not_used"] == ["corpus", "duration_s"]
    manifest.write(people / "m.csv")
    again = Manifest.read(people / "m.csv")
    assert [dict(u.extra) for u in again] == [
        {"given.corpus": "X", "given.duration_s": "9"},
        {"given.corpus": "Y", "given.duration_s": "9"},
    ]
    assert {u.corpus for u in again} == {"table"} and {u.duration_s for u in again} != {9.0}


def test_prediction_of_a_table_warns_of_segments_that_it_does_not_understand(people, tiny_model, emotune_command):
    (people / "own.csv").write_text("file,my_start_point,my_end_point\na.wav,0,0.5\n")
    ended = emotune_command("predict", tiny_model, people / "own.csv", "-o", people / "p.csv")
    assert ended.code == 0
    assert "whole recordings are read: 'my_start_point', 'my_end_point' may hold segments" in ended.err


def test_ids_of_a_table_are_the_same_for_prediction_and_reading_and_kept_in_rows_with_an_error(people):
    path = people / "own.csv"
    path.write_text("id,file,label,start,end\n u1 ,a.wav,anger,0,0.4\nu2,b.wav,sad,x,0.4\n")
    assert [(item.utterance_id, item.error is None) for item in items_of([path])] == [("u1", True), ("u2", False)]
    assert [u.utterance_id for u in read_corpus(CORPORA["table"], path)] == ["u1"]


def test_a_split_of_a_table_is_predicted_under_any_of_its_names(people, tiny_model, emotune_command):
    (people / "own.csv").write_text("file,partition\na.wav,Dev\nb.wav,test\nc.wav,dev\n")
    command = ("predict", tiny_model, people / "own.csv", "-o", people / "p.csv", "--split")
    for name in ("development", "dev"):
        assert emotune_command(*command, name).code == 0
        assert [row["file"] for row in read_rows(people / "p.csv")] == ["a.wav", "c.wav"]
    ended = emotune_command(*command, "train")
    assert ended.code == 2 and "of split train; there is: development, test" in ended.err


def test_a_column_called_channel_that_says_something_else_can_be_set_aside(people):
    text = "file,label,channel\na.wav,anger,television\n"
    with pytest.raises(CorpusError, match="say --column channel=none"):
        read(people, text)
    assert [u.channel for u in read(people, text, columns={"channel": "none"})] == [None]


def test_the_folder_that_one_works_in_can_be_predicted(people, tiny_model, emotune_command, monkeypatch):
    monkeypatch.chdir(people)
    assert emotune_command("predict", tiny_model, ".", "-o", "p.csv").code == 0
    assert [row["file"] for row in read_rows(people / "p.csv")] == ["a.wav", "b.wav", "c.wav", "d.wav"]


@pytest.mark.parametrize("command", ["gender", "transcribe"])
def test_what_fills_a_manifest_does_not_replace_it(people, emotune_command, command):
    read(people, "file,label\na.wav,anger\n").write(people / "m.csv")
    ended = emotune_command(command, people / "m.csv", "-o", people / "m.csv", "--model", "none")
    assert ended.code == 2 and "is an input and would be overwritten" in ended.err
