"""CREMA-D: file names, the raters' votes by modality, and the real votes where they are there."""

import csv
import functools
from collections import Counter
from collections.abc import Callable

import pytest

from builders.corpora.crema_d import TABLES, write_tables, write_tree
from builders.recordings import write_recording
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.errors import CorpusError
from emotune.schema.manifest import Manifest

CREMA_D = CORPORA["crema_d"]
SUMMARY = "processedResults/summaryTable.csv"
COUNTS = "processedResults/tabulatedVotes.csv"


def labels_of(manifest: Manifest) -> dict[str, tuple]:
    return {u.utterance_id: (u.emotion, u.emotion_original, dict(u.votes)) for u in manifest}


def test_the_acted_emotion_comes_from_the_file_name_and_has_no_votes(tmp_path):
    write_tree(tmp_path)
    manifest = read_corpus(CREMA_D, tmp_path)
    assert labels_of(manifest) == {
        "1001_DFA_ANG_XX": ("anger", "ANG", {}),
        "1001_IEO_HAP_HI": ("happiness", "HAP", {}),
        "1002_ITS_FEA_MD": ("fear", "FEA", {}),
        "1002_TIE_NEU_XX": ("neutral", "NEU", {}),
    }
    assert manifest.information["warnings"] == [
        "crema_d: 4 utterances read, the complete corpus has 7442",
        "crema_d: 2 speakers read, the complete corpus has 91",
    ]
    assert not manifest.skipped


def test_actor_sentence_and_intensity_come_from_the_name_and_the_demographics(tmp_path):
    write_tree(tmp_path)
    first, second, third, _ = read_corpus(CREMA_D, tmp_path)
    assert (first.speaker, first.gender, first.age) == ("1001", "male", 51)
    assert (third.speaker, third.gender, third.age) == ("1002", "female", 21)
    assert (first.text, second.text) == ("Don't forget a jacket", "It's eleven o'clock")
    assert [u.extra["intensity"] for u in (first, second, third)] == ["unspecified", "high", "medium"]
    assert third.extra == {
        "acted": "fear",
        "intensity": "medium",
        "sentence": "ITS",
        "race": "African American",
        "ethnicity": "Hispanic",
    }


VOTED = {
    "voice": {
        "1001_DFA_ANG_XX": ("anger", "A", {"anger": 7, "disgust": 1, "neutral": 2}),
        "1001_IEO_HAP_HI": ("neutral", "N", {"happiness": 3, "neutral": 6}),
        "1002_ITS_FEA_MD": ("fear", "F", {"fear": 5, "neutral": 1, "sadness": 2}),
        "1002_TIE_NEU_XX": (None, "N:S", {"neutral": 4, "sadness": 4}),
    },
    "face": {
        "1001_DFA_ANG_XX": (None, "A:D", {"anger": 4, "disgust": 4}),
        "1001_IEO_HAP_HI": ("happiness", "H", {"happiness": 9, "neutral": 1}),
        "1002_ITS_FEA_MD": ("fear", "F", {"fear": 6, "neutral": 1}),
        "1002_TIE_NEU_XX": ("neutral", "N", {"neutral": 8, "sadness": 1}),
    },
    "multimodal": {
        "1001_DFA_ANG_XX": ("anger", "A", {"anger": 9, "disgust": 1}),
        "1001_IEO_HAP_HI": ("happiness", "H", {"happiness": 10}),
        "1002_ITS_FEA_MD": (None, "F:S", {"fear": 4, "sadness": 4}),
        "1002_TIE_NEU_XX": ("neutral", "N", {"neutral": 7, "sadness": 1}),
    },
}


@pytest.mark.parametrize("source", VOTED)
def test_voted_labels_are_the_plurality_of_their_modality_and_ties_have_no_emotion(tmp_path, source):
    write_tree(tmp_path)
    assert labels_of(read_corpus(CREMA_D, tmp_path, ReadingOptions(labels=source))) == VOTED[source]


@pytest.mark.parametrize("source", VOTED)
def test_without_the_summary_the_plurality_is_counted_and_is_the_same(tmp_path, source):
    write_tree(tmp_path)
    (tmp_path / SUMMARY).unlink()
    assert labels_of(read_corpus(CREMA_D, tmp_path, ReadingOptions(labels=source))) == VOTED[source]


def test_without_counts_the_votes_are_those_of_the_single_ratings_of_that_modality(tmp_path):
    write_tree(tmp_path)
    (tmp_path / COUNTS).unlink()
    found = labels_of(read_corpus(CREMA_D, tmp_path, ReadingOptions(labels="voice")))
    assert found["1001_DFA_ANG_XX"] == ("anger", "A", {"anger": 2, "disgust": 1})
    assert found["1001_IEO_HAP_HI"] == ("neutral", "N", {"happiness": 1, "neutral": 1})
    assert found["1002_ITS_FEA_MD"] == ("fear", "F", {})


def test_single_ratings_alone_give_labels_and_what_nobody_rated_is_skipped(tmp_path):
    write_tree(tmp_path)
    (tmp_path / COUNTS).unlink()
    (tmp_path / SUMMARY).unlink()
    manifest = read_corpus(CREMA_D, tmp_path, ReadingOptions(labels="voice"))
    assert labels_of(manifest) == {
        "1001_DFA_ANG_XX": ("anger", "A", {"anger": 2, "disgust": 1}),
        "1001_IEO_HAP_HI": (None, "H:N", {"happiness": 1, "neutral": 1}),
    }
    assert {item.reason for item in manifest.skipped} == {"no row of the tables has a voice vote for it"}


def test_the_summary_alone_gives_labels_without_votes(tmp_path):
    write_tree(tmp_path)
    (tmp_path / COUNTS).unlink()
    (tmp_path / "finishedResponses.csv").unlink()
    found = labels_of(read_corpus(CREMA_D, tmp_path, ReadingOptions(labels="face")))
    assert found == {clip: (emotion, word, {}) for clip, (emotion, word, _) in VOTED["face"].items()}


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("kept", [("summaryTable.csv",), ("tabulatedVotes.csv",), tuple(TABLES)])
def test_without_recordings_the_rows_of_the_tables_are_the_utterances(tmp_path, flat, kept):
    write_tables(tmp_path, kept, flat=flat)
    manifest = read_corpus(CREMA_D, tmp_path, ReadingOptions(labels="multimodal", labels_only=True))
    expected = {clip: label[:2] for clip, label in VOTED["multimodal"].items()}
    assert {clip: label[:2] for clip, label in labels_of(manifest).items()} == expected
    assert manifest.utterances[0].file == "AudioWAV/1001_DFA_ANG_XX.wav"


def test_rows_whose_recording_is_missing_are_skipped_when_recordings_are_looked_at(tmp_path):
    write_tables(tmp_path)
    with pytest.raises(CorpusError, match="does not exist"):
        read_corpus(CREMA_D, tmp_path)


def test_names_that_do_not_follow_the_pattern_are_skipped_with_their_reason(tmp_path):
    write_tree(tmp_path)
    for name in ("1040_ITH_SAD_X", "1001_DFA_SUR_XX", "101_DFA_ANG_XX"):
        write_recording(tmp_path / "AudioWAV" / f"{name}.wav")
    (tmp_path / "AudioWAV" / "._1001_DFA_ANG_XX.wav").write_bytes(b"macOS")
    manifest = read_corpus(CREMA_D, tmp_path)
    assert len(manifest) == 4
    assert {item.file for item in manifest.skipped} == {
        "AudioWAV/1040_ITH_SAD_X.wav",
        "AudioWAV/1001_DFA_SUR_XX.wav",
        "AudioWAV/101_DFA_ANG_XX.wav",
    }
    assert {item.reason for item in manifest.skipped} == {
        "name does not follow CREMA-D's actor, sentence, emotion, intensity"
    }


def test_a_name_of_a_table_that_does_not_follow_the_pattern_is_skipped(tmp_path):
    write_tables(tmp_path)
    with (tmp_path / SUMMARY).open("a") as stream:
        stream.write('"5","1040_ITH_SAD_X","N","1","N","1","N","1"\n')
    manifest = read_corpus(CREMA_D, tmp_path, ReadingOptions(labels_only=True))
    assert len(manifest) == 4
    assert [item.file for item in manifest.skipped] == ["AudioWAV/1040_ITH_SAD_X.wav"]


def test_flac_is_read_like_wav_and_the_mp3_twins_beside_are_not(tmp_path):
    write_tree(tmp_path, suffix=".flac")
    write_recording(tmp_path / "AudioMP3" / "1001_DFA_ANG_XX.mp3")
    manifest = read_corpus(CREMA_D, tmp_path, ReadingOptions(labels="voice"))
    assert next(u.file for u in manifest) == "AudioWAV/1001_DFA_ANG_XX.flac"
    assert len(manifest) == 4
    assert not manifest.skipped


def test_the_folder_of_recordings_alone_gives_acted_labels(tmp_path):
    write_tree(tmp_path)
    manifest = read_corpus(CREMA_D, tmp_path / "AudioWAV")
    assert [u.emotion for u in manifest] == ["anger", "happiness", "fear", "neutral"]
    assert {u.gender for u in manifest} == {None}
    with pytest.raises(CorpusError, match=r"none of summaryTable.csv, .* voted labels come from them.*--labels acted"):
        read_corpus(CREMA_D, tmp_path / "AudioWAV", ReadingOptions(labels="voice"))


def test_a_git_lfs_pointer_is_named_with_its_cure(tmp_path):
    write_tree(tmp_path)
    (tmp_path / "AudioWAV" / "1001_DFA_ANG_XX.wav").write_text("version https://git-lfs.github.com/spec/v1\noid x\n")
    manifest = read_corpus(CREMA_D, tmp_path)
    (skipped,) = manifest.skipped
    assert skipped.file == "AudioWAV/1001_DFA_ANG_XX.wav"
    assert "git-LFS pointer" in skipped.reason
    assert "git lfs pull" in skipped.reason


@pytest.mark.parametrize(
    ("table", "row", "message"),
    [
        (
            SUMMARY,
            '"9","1001_DFA_ANG_XX","Q","1","N","1","N","1"',
            "summaryTable.csv, row 5: VoiceVote is 'Q', expected A",
        ),
        (COUNTS, '"400001",1,0,0,0,0,0,"1001_DFA_ANG_XX",1,1', "row 13: the row's name must begin with 1"),
        (COUNTS, '"100009",many,0,0,0,0,0,"1001_DFA_ANG_XX",1,1', "row 13, A: expected a number, got 'many'"),
        ("VideoDemographics.csv", '1003,old,"Male","Asian","Hispanic"', "row 3, Age: expected a number, got 'old'"),
    ],
)
def test_a_broken_row_of_a_table_is_skipped_with_file_row_and_what_was_expected(tmp_path, table, row, message):
    write_tree(tmp_path)
    with (tmp_path / table).open("a") as stream:
        stream.write(row + "\n")
    manifest = read_corpus(CREMA_D, tmp_path, ReadingOptions(labels="voice"))
    assert labels_of(manifest) == VOTED["voice"]
    (skipped,) = manifest.skipped
    assert message in skipped.reason


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('"p3",1,"1001_DFA_ANG_XX","X",9', "row 8: respEmo is 'X', expected one of A, D, F, H, N, S"),
        ('"p3",4,"1001_DFA_ANG_XX","A",9', "row 8: queryType must begin with 1"),
    ],
)
def test_a_broken_rating_is_skipped_and_not_counted(tmp_path, row, message):
    write_tree(tmp_path)
    (tmp_path / COUNTS).unlink()
    with (tmp_path / "finishedResponses.csv").open("a") as stream:
        stream.write(row + "\n")
    manifest = read_corpus(CREMA_D, tmp_path, ReadingOptions(labels="voice"))
    assert labels_of(manifest)["1001_DFA_ANG_XX"][2] == {"anger": 2, "disgust": 1}
    assert message in manifest.skipped[0].reason


def test_a_table_without_a_column_that_is_needed_is_an_error_naming_it(tmp_path):
    write_tree(tmp_path)
    (tmp_path / COUNTS).write_text("name,A,D,F,H,N\nx,1,0,0,0,0\n")
    with pytest.raises(CorpusError, match=r"tabulatedVotes.csv has no column fileName, S; expected .* got name, A, D"):
        read_corpus(CREMA_D, tmp_path, ReadingOptions(labels="voice"))


def test_a_folder_with_neither_recordings_nor_tables_is_an_error(tmp_path):
    with pytest.raises(CorpusError, match=r"holds no recording and none of summaryTable.csv"):
        read_corpus(CREMA_D, tmp_path)
    with pytest.raises(CorpusError, match="is not a folder"):
        read_corpus(CREMA_D, tmp_path / "nowhere")


def test_an_unknown_source_of_labels_is_an_error_that_lists_the_known_ones(tmp_path):
    write_tree(tmp_path)
    with pytest.raises(CorpusError, match=r"acted, .*face, .*multimodal, .*voice"):
        read_corpus(CREMA_D, tmp_path, ReadingOptions(labels="listeners"))


REAL = {  # counted with a few lines of csv and collections from summaryTable.csv
    "acted": (0, {"anger": 1271, "disgust": 1271, "fear": 1271, "happiness": 1271, "neutral": 1087, "sadness": 1271}),
    "voice": (644, {"neutral": 3897, "anger": 986, "fear": 645, "disgust": 547, "sadness": 370, "happiness": 353}),
    "face": (470, {"neutral": 2076, "happiness": 1266, "disgust": 1057, "anger": 968, "fear": 822, "sadness": 783}),
    "multimodal": (
        420,
        {"neutral": 1972, "happiness": 1219, "disgust": 1139, "fear": 1084, "anger": 1019, "sadness": 589},
    ),
}


@pytest.fixture(scope="module")
def real_votes(shared):
    folder = shared / "data" / "cremad_votes"
    if not folder.is_dir():
        pytest.skip(f"no CREMA-D votes: {folder} does not exist")
    return folder


@pytest.fixture(scope="module")
def real(real_votes) -> Callable[[str], Manifest]:
    """Reads the real votes of a source, once."""
    return functools.cache(
        lambda source: read_corpus(CREMA_D, real_votes, ReadingOptions(labels=source, labels_only=True))
    )


@pytest.mark.parametrize("source", REAL)
def test_the_real_votes_have_the_known_totals(real, source):
    manifest = real(source)
    ties, classes = REAL[source]
    counts = Counter(u.emotion for u in manifest)
    assert counts.pop(None, 0) == ties
    assert counts == classes
    assert len(manifest) == 7442
    assert not manifest.skipped
    assert Counter({u.speaker: u.gender for u in manifest}.values()) == {"male": 48, "female": 43}
    if source != "acted":
        assert all((u.emotion is None) == (":" in (u.emotion_original or "")) for u in manifest)


def test_rows_of_the_real_votes_that_were_looked_up_by_hand(real):
    by_source = {source: {u.utterance_id: u for u in real(source)} for source in ("voice", "face", "multimodal")}
    heard = by_source["voice"]["1001_IEO_HAP_LO"]  # "100002",0,0,0,3,6,0
    assert (heard.emotion, heard.votes) == ("neutral", {"happiness": 3, "neutral": 6})
    assert by_source["multimodal"]["1001_IEO_HAP_LO"].emotion == "happiness"
    tied = by_source["voice"]["1001_IEO_ANG_MD"]
    assert (tied.emotion, tied.emotion_original) == (None, "A:D")
    assert tied.votes == {"anger": 5, "disgust": 5, "neutral": 1, "sadness": 1}
    assert by_source["face"]["1001_IEO_SAD_HI"].votes == {"anger": 3, "fear": 3, "neutral": 2, "sadness": 2}


@pytest.mark.parametrize("source", VOTED)
def test_the_real_summary_is_the_plurality_of_the_real_counts(real, real_votes, tmp_path, source):
    (tmp_path / "tabulatedVotes.csv").symlink_to(real_votes / "tabulatedVotes.csv")
    counted = read_corpus(CREMA_D, tmp_path, ReadingOptions(labels=source, labels_only=True))
    assert {u.utterance_id: u.emotion_original for u in counted} == {
        u.utterance_id: u.emotion_original for u in real(source)
    }


def test_the_command_line_writes_the_real_votes(real_votes, tmp_path, emotune_command):
    ended = emotune_command(
        "corpus", "read", "crema_d", real_votes, "--labels", "voice", "--labels-only", "-o", tmp_path / "votes.csv"
    )
    assert ended.code == 0
    assert "7442 utterances" in ended.out
    manifest = Manifest.read(tmp_path / "votes.csv")
    assert manifest.information["labels"] == "voice"
    with (real_votes / "tabulatedVotes.csv").open(newline="") as stream:
        heard = [row for row in csv.DictReader(stream) if row[""].startswith("1")]
    assert sum(sum(u.votes.values()) for u in manifest) == sum(int(row["numResponses"]) for row in heard) == 68568
