"""MSP-Podcast in the forms of its releases, with what is easily got wrong."""

import dataclasses
import json

import pytest

from builders.corpora.msp_podcast import COLUMNS, ROWS, write_consensus, write_detailed, write_tree
from builders.recordings import write_recording
from emotune.corpora import CORPORA, ReadingOptions, map_classes, read_corpus
from emotune.errors import CorpusError, TableError
from emotune.schema.labels import Scale
from emotune.schema.manifest import Manifest
from emotune.votes.secondary import secondary_votes

MSP_PODCAST = CORPORA["msp_podcast"]
FIRST, SECOND = "MSP-PODCAST_0001_0008", "MSP-PODCAST_0002_0010"
SOURCES = ("consensus", "primary", "primary_secondary")


def row(name: str = "MSP-PODCAST_0003_0001.wav", **changed: str) -> tuple[str, ...]:
    """One row of the label file, with some of its fields changed."""
    cells = dict(zip(COLUMNS, (name, "H", "4.0", "5.0", "4.5", "12", "Male", "Train"), strict=True))
    return tuple((cells | changed)[column] for column in COLUMNS)


def of_rows(folder, *rows: tuple[str, ...], labels: str = "consensus", detailed: str | None = None) -> Manifest:
    write_tree(folder, rows=rows, detailed=detailed)
    return read_corpus(MSP_PODCAST, folder, ReadingOptions(labels=labels))


@pytest.mark.parametrize(
    "label_file",
    [
        f"{folder}/{file}"
        for folder in ("label", "labels", "Labels")
        for file in ("labels_concensus.csv", "labels_consensus.csv", "labels_consensus.json", "labels_concensus.json")
    ],
)
def test_the_label_file_is_found_under_each_of_its_names(tmp_path, label_file):
    write_tree(tmp_path, label_file=label_file)
    manifest = read_corpus(MSP_PODCAST, tmp_path)
    first, second = manifest
    assert (first.utterance_id, first.file) == (FIRST, f"Audios/{FIRST}.wav")
    assert (first.emotion, first.emotion_original, first.split) == ("neutral", "N", "test1")
    assert first.dimensions == {"arousal": 2.2, "valence": 4.0, "dominance": 2.6}
    assert (first.speaker, first.gender, first.text) == ("30", "male", f"words of {FIRST}")
    assert (second.emotion, second.split, second.speaker, second.gender) == ("anger", "train", "127", "female")
    assert dict(manifest.label_space.dimensions) == dict.fromkeys(("arousal", "valence", "dominance"), Scale(1, 7))
    assert first.votes == {"neutral": 2, "sadness": 1}
    assert not manifest.skipped
    assert manifest.information["warnings"] == []


CODES = {
    "A": "anger", "S": "sadness", "H": "happiness", "U": "surprise", "F": "fear", "D": "disgust", "C": "contempt",
    "N": "neutral", "O": "other", "X": None,
}  # fmt: skip


def test_every_code_has_its_class_and_no_agreement_keeps_its_letter_and_attributes(tmp_path):
    manifest = of_rows(tmp_path, *(row(f"MSP-PODCAST_0003_{n:04d}.wav", EmoClass=c) for n, c in enumerate(CODES)))
    assert {u.emotion_original: u.emotion for u in manifest} == CODES
    assert {len(u.dimensions) for u in manifest} == {3}


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("Train", "train"),
        ("Validation", "development"),
        ("Development", "development"),
        ("Test1", "test1"),
        ("Test2", "test2"),
        ("Test3", "test3"),
    ],
)
def test_splits_have_our_names(tmp_path, word, split):
    (utterance,) = of_rows(tmp_path, row(Split_Set=word))
    assert utterance.split == split


def test_an_unknown_speaker_is_none_and_an_unknown_gender_is_unknown(tmp_path):
    (utterance,) = of_rows(tmp_path, row(SpkrID="Unknown", Gender="Unknown"))
    assert (utterance.speaker, utterance.gender) == (None, "unknown")


VOTES = {
    "consensus": {FIRST: {"neutral": 2, "sadness": 1}, SECOND: {"anger": 1, "other": 1}},
    "primary": {FIRST: {"neutral": 2, "sadness": 1}, SECOND: {"anger": 1, "other": 1}},
    "primary_secondary": {
        FIRST: {"neutral": 2, "concerned": 1, "sadness": 1, "depressed": 1},
        SECOND: {"anger": 1, "frustration": 2, "other": 1},
    },
}
LABELS = {
    "consensus": {FIRST: ("neutral", "N"), SECOND: ("anger", "A")},
    "primary": {FIRST: ("neutral", "Neutral"), SECOND: (None, "Angry:Other")},
    "primary_secondary": {FIRST: ("neutral", "Neutral"), SECOND: ("frustration", "Frustrated")},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("detailed", ["columns", "quoted strings", "bare strings"])
def test_both_layouts_of_single_ratings_give_the_same_votes_and_labels(tmp_path, detailed, source):
    write_tree(tmp_path, detailed=detailed)
    manifest = read_corpus(MSP_PODCAST, tmp_path, ReadingOptions(labels=source))
    assert {u.utterance_id: u.votes for u in manifest} == VOTES[source]
    assert {u.utterance_id: (u.emotion, u.emotion_original) for u in manifest} == LABELS[source]
    assert not manifest.skipped


@pytest.mark.parametrize("source", SOURCES)
def test_the_json_twin_of_single_ratings_gives_them_too(tmp_path, source):
    write_tree(tmp_path, label_file="labels/labels_consensus.json", detailed="json")
    manifest = read_corpus(MSP_PODCAST, tmp_path, ReadingOptions(labels=source))
    assert {u.utterance_id: u.votes for u in manifest} == VOTES[source]
    assert {u.utterance_id: (u.emotion, u.emotion_original) for u in manifest} == LABELS[source]


def test_the_json_of_single_ratings_may_have_no_second_emotions(tmp_path):
    write_tree(tmp_path, detailed=None)
    workers = {"WORKER1": {"EmoClass_Major": "Happy", "EmoAct": 5, "EmoDom": 4, "EmoVal": 6}}
    (tmp_path / "Labels" / "labels_detailed.json").write_text(json.dumps({f"{FIRST}.wav": workers}))
    manifest = read_corpus(MSP_PODCAST, tmp_path, ReadingOptions(labels="primary_secondary"))
    assert [u.votes for u in manifest] == [{"happiness": 1}, {}]
    assert [u.emotion for u in manifest] == ["happiness", None]


@pytest.mark.parametrize(
    ("primary", "secondary", "votes"),
    [
        ("Happy", "Happy", {"happiness": 1}),
        ("Happy", "Amused,Happy,Amused", {"happiness": 1, "amused": 1}),
        ("Other-a bit, of both", "Other-a bit, of both,Sad", {"other": 1, "sadness": 1}),
        ("Other", "", {"other": 1}),
        ("No agreement", "No agreement", {}),
        ("", "Surprise", {"surprise": 1}),
    ],
)
def test_each_of_a_workers_words_is_one_vote(tmp_path, primary, secondary, votes):
    write_tree(tmp_path, rows=ROWS[:1], detailed=None)
    write_detailed(tmp_path / "Labels", "columns", {f"{FIRST}.wav": [("WORKER1", primary, secondary, 4, 4, 4)]})
    (utterance,) = read_corpus(MSP_PODCAST, tmp_path, ReadingOptions(labels="primary_secondary"))
    assert utterance.votes == votes


def test_what_workers_named_beside_their_main_emotion_is_counted_and_mapped_as_votes_are(tmp_path):
    write_tree(tmp_path, rows=ROWS[:1], detailed=None)
    named = [("Happy", "Happy,Amused"), ("Sad", "Amused,Surprise"), ("", "Surprise")]
    ratings = [(f"WORKER{n}", *words, 4, 4, 4) for n, words in enumerate(named)]
    write_detailed(tmp_path / "Labels", "columns", {f"{FIRST}.wav": ratings})
    manifest = read_corpus(MSP_PODCAST, tmp_path)
    (row,) = manifest
    assert row.votes == {"happiness": 1, "sadness": 1}
    assert secondary_votes(row) == {"amused": 2, "surprise": 2}
    manifest.write(tmp_path / "m.csv")
    mapped, _ = map_classes(Manifest.read(tmp_path / "m.csv"), {"happiness": "surprise"}, ["sadness"])
    assert secondary_votes(mapped.utterances[0]) == {"amused": 2, "surprise": 2}
    with_amused = dataclasses.replace(row, votes={**row.votes, "amused": 1})
    mapped, _ = map_classes(manifest.replace_utterances([with_amused]), {"amused": "surprise"})
    assert secondary_votes(mapped.utterances[0]) == {"surprise": 4}
    for item in read_corpus(MSP_PODCAST, tmp_path, ReadingOptions(labels="primary_secondary")):
        assert not secondary_votes(item)


def test_no_agreement_of_the_consensus_keeps_its_votes(tmp_path):
    manifest = of_rows(tmp_path, (f"{SECOND}.wav", "X", *ROWS[1][2:]), detailed="columns")
    (utterance,) = manifest
    assert (utterance.emotion, utterance.emotion_original) == (None, "X")
    assert utterance.votes == {"anger": 1, "other": 1}


def test_without_single_ratings_the_consensus_is_read_and_the_other_sources_are_refused(tmp_path):
    write_tree(tmp_path, detailed=None)
    manifest = read_corpus(MSP_PODCAST, tmp_path)
    assert [(u.emotion, u.votes) for u in manifest] == [("neutral", {}), ("anger", {})]
    for source in ("primary", "primary_secondary"):
        with pytest.raises(
            CorpusError, match=rf"neither labels_detailed.csv nor .*'{source}' labels .* --labels consens"
        ):
            read_corpus(MSP_PODCAST, tmp_path, ReadingOptions(labels=source))


def test_stereo_at_another_rate_and_flac_are_read(tmp_path):
    write_tree(tmp_path, rows=[row("MSP-PODCAST_1023_0235.wav"), row("MSP-PODCAST_1023_0236.wav")], detailed=None)
    write_recording(tmp_path / "Audios" / "MSP-PODCAST_1023_0235.wav", seconds=1, sampling_rate_hz=44100, channels=2)
    (tmp_path / "Audios" / "MSP-PODCAST_1023_0236.wav").unlink()
    write_recording(tmp_path / "Audios" / "MSP-PODCAST_1023_0236.flac")
    stereo, flac = manifest = read_corpus(MSP_PODCAST, tmp_path)
    assert stereo.duration_s == 1.0
    assert flac.file == "Audios/MSP-PODCAST_1023_0236.flac"
    assert manifest.clip_of(stereo).samples.shape == (16000,)
    assert not manifest.skipped


HIDDEN = row("MSP-PODCAST_test3_0001.wav", EmoClass="", EmoAct="", EmoVal="", EmoDom="", SpkrID="Unknown",
             Gender="Unknown", Split_Set="Test3")  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_rows_of_test3_stay_without_labels(tmp_path, source):
    manifest = of_rows(tmp_path, ROWS[0], HIDDEN, labels=source, detailed="columns")
    utterance = manifest.utterances[1]
    assert (utterance.utterance_id, utterance.split) == ("MSP-PODCAST_test3_0001", "test3")
    assert (utterance.emotion, utterance.emotion_original, utterance.speaker) == (None, None, None)
    assert utterance.votes == {}
    assert utterance.dimensions == {}


def test_recordings_named_test3_that_no_row_names_are_utterances_of_test3_and_other_strays_are_skipped(tmp_path):
    write_tree(tmp_path)
    for stem in ("MSP-PODCAST_test3_0002", "MSP-PODCAST_0009_0001"):
        write_recording(tmp_path / "Audios" / f"{stem}.wav")
    manifest = read_corpus(MSP_PODCAST, tmp_path)
    assert [u.utterance_id for u in manifest.split("test3")] == ["MSP-PODCAST_test3_0002"]
    assert len(manifest) == 3
    (skipped,) = manifest.skipped
    assert (skipped.file, skipped.reason) == (
        "Audios/MSP-PODCAST_0009_0001.wav",
        "no row of labels_consensus.csv names it",
    )


def test_where_test3_appears_nowhere_recordings_that_no_row_names_are_test3(tmp_path):
    write_tree(tmp_path)
    write_recording(tmp_path / "Audios" / "MSP-PODCAST_0009_0001.wav")
    manifest = read_corpus(MSP_PODCAST, tmp_path)
    (utterance,) = manifest.split("test3")
    assert (utterance.utterance_id, utterance.emotion, utterance.dimensions) == ("MSP-PODCAST_0009_0001", None, {})


def test_where_rows_of_test3_are_listed_other_strays_are_skipped(tmp_path):
    write_tree(tmp_path, rows=[ROWS[0], row(Split_Set="Test3")], detailed=None)
    write_recording(tmp_path / "Audios" / "MSP-PODCAST_0009_0001.wav")
    manifest = read_corpus(MSP_PODCAST, tmp_path)
    assert len(manifest) == 2
    assert [item.file for item in manifest.skipped] == ["Audios/MSP-PODCAST_0009_0001.wav"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (row(EmoClass="Q"), "labels_consensus.csv, row 2: EmoClass is 'Q', expected one of A, S, H, U"),
        (row(EmoVal="high"), "labels_consensus.csv, row 2, EmoVal: expected a number, got 'high'"),
        (row(EmoVal="7.5"), "valence is 7.5, outside its scale"),
        (row(Gender="robot"), "gender 'robot', expected one of female, male"),
        (row(""), "labels_consensus.csv, row 2: FileName is empty"),
    ],
)
def test_a_broken_row_is_skipped_with_its_place_and_what_was_expected(tmp_path, broken, message):
    write_tree(tmp_path, rows=[ROWS[0], row()], detailed=None)
    write_consensus(tmp_path / "Labels" / "labels_consensus.csv", [ROWS[0], broken])
    manifest = read_corpus(MSP_PODCAST, tmp_path, ReadingOptions(labels_only=True))
    assert FIRST in [u.utterance_id for u in manifest]
    assert any(message in item.reason for item in manifest.skipped)


def test_a_row_whose_recording_is_missing_is_skipped(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "Audios" / f"{FIRST}.wav").unlink()
    (skipped,) = read_corpus(MSP_PODCAST, tmp_path).skipped
    assert skipped.file == f"Audios/{FIRST}.wav"
    assert "does not exist" in skipped.reason


def test_a_rating_that_is_not_one_is_skipped_with_its_line(tmp_path):
    write_tree(tmp_path, detailed="bare strings")
    with (tmp_path / "Labels" / "labels_detailed.csv").open("a") as stream:
        stream.write(f"{FIRST}.wav, WORKER9; Angry\n\n")
    manifest = read_corpus(MSP_PODCAST, tmp_path)
    assert manifest.utterances[0].votes == VOTES["consensus"][FIRST]
    (skipped,) = manifest.skipped
    assert skipped.file == f"{FIRST}.wav"
    assert "labels_detailed.csv, line 7: expected 'WORKER; primary; secondary;" in skipped.reason


def test_a_json_of_ratings_without_workers_is_skipped(tmp_path):
    write_tree(tmp_path, detailed=None)
    (tmp_path / "Labels" / "labels_detailed.json").write_text(json.dumps({f"{FIRST}.wav": ["Angry"]}))
    (skipped,) = read_corpus(MSP_PODCAST, tmp_path).skipped
    assert f"'{FIRST}.wav': expected an object with one object a worker" in skipped.reason


def test_missing_and_unreadable_label_files_are_errors_that_say_what_was_expected(tmp_path):
    write_recording(tmp_path / "Audios" / f"{FIRST}.wav")
    with pytest.raises(CorpusError, match=r"has no label file, expected labels_consensus.csv, .* in a folder Labels"):
        read_corpus(MSP_PODCAST, tmp_path)
    label_file = tmp_path / "Labels" / "labels_consensus.csv"
    write_consensus(label_file)
    label_file.write_text(label_file.read_text().replace("EmoClass", "Emotion"))
    with pytest.raises(CorpusError, match=r"labels_consensus.csv has no column EmoClass; expected FileName, EmoClass"):
        read_corpus(MSP_PODCAST, tmp_path)
    label_file.write_text(",".join(COLUMNS) + "\nMSP-PODCAST_0001_0008.wav,N\n")
    with pytest.raises(TableError, match=r"labels_consensus.csv, line 2: 2 fields, but the header has 8"):
        read_corpus(MSP_PODCAST, tmp_path)
    label_file.unlink()
    label_file.with_suffix(".json").write_text(json.dumps({f"{FIRST}.wav": "N"}))
    with pytest.raises(CorpusError, match=rf"'{FIRST}.wav': expected an object with EmoClass, EmoAct"):
        read_corpus(MSP_PODCAST, tmp_path)


def test_single_ratings_of_neither_layout_are_an_error_naming_the_columns(tmp_path):
    write_tree(tmp_path, detailed=None)
    (tmp_path / "Labels" / "labels_detailed.csv").write_text(f"FileName,Worker,Emotion\n{FIRST}.wav,W,Angry\n")
    with pytest.raises(CorpusError, match=r"labels_detailed.csv has no column EmoClass_Major, EmoClass_Second"):
        read_corpus(MSP_PODCAST, tmp_path)


def test_a_transcript_that_is_empty_or_missing_gives_no_text(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "Transcripts" / f"{FIRST}.txt").write_text(" \n")
    (tmp_path / "Transcripts" / f"{SECOND}.txt").unlink()
    assert [u.text for u in read_corpus(MSP_PODCAST, tmp_path)] == [None, None]
