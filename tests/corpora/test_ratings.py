"""Several people's words for one recording: votes when asked for, an error that names the option else."""

import pytest

from builders.recordings import write_recording, write_recordings
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.corpora.tables.rows import votes_of
from emotune.errors import CorpusError, TableError
from emotune.schema.labels import Scale
from emotune.schema.manifest import Manifest


@pytest.fixture
def own(tmp_path):
    """Writes a table beside six recordings."""
    write_recordings(tmp_path, *(f"{name}.wav" for name in "abcdef"))

    def write(*lines: str):
        (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "own.csv"

    return write


def read(path, **options) -> Manifest:
    return read_corpus(CORPORA["table"], path, ReadingOptions(labels_only=True, **options))


def said(manifest: Manifest) -> dict:
    return {u.utterance_id: (u.emotion, dict(u.votes)) for u in manifest}


def test_columns_of_one_class_are_added_up_and_decide_together(own, tmp_path, emotune_command):
    path = own("file,votes.happy,votes.joy,Votes.Sad", "a.wav,5,1,4", "b.wav,2,2,3")
    manifest = read(path)
    assert [u.votes for u in manifest] == [{"happiness": 6, "sadness": 4}, {"happiness": 4, "sadness": 3}]
    assert "votes.joy" not in manifest.utterances[0].extra
    manifest.write(tmp_path / "m.csv")
    assert emotune_command("corpus", "label", tmp_path / "m.csv", "-o", tmp_path / "l.csv").code == 0
    assert [u.emotion for u in Manifest.read(tmp_path / "l.csv")] == ["happiness", "happiness"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"votes.happy": "-2", "votes.joy": "5"}, "votes.happy is -2.0, expected a number of at least 0"),
        ({"votes. ": "1"}, "names no class"),
        ({"votes.sad": "many"}, "row 1, votes.sad: expected a number"),
    ],
)
def test_a_column_of_votes_that_is_none_is_an_error(row, message):
    with pytest.raises(TableError, match=message):
        votes_of(row, "own.csv, row 1")


RATINGS = ("file,label,rater", "a.wav,happy,r1", "a.wav,sad,r2", "b.wav,anger,r1", "a.wav,sad,r3")


def test_a_row_a_rating_is_votes_when_asked(own):
    assert said(read(own(*RATINGS), ratings=True)) == {
        "a": ("sadness", {"happiness": 1, "sadness": 2}),
        "b": ("anger", {"anger": 1}),
    }


@pytest.mark.parametrize(
    "lines",
    [
        RATINGS,
        ("file,label", "a.wav,happy", "a.wav,sad"),
        ("file,label,annotator", "a.wav,happy,r1", "a.wav,happy,r2"),
        ("id,file,label", "1,a.wav,happy", "2,a.wav,sad"),
        ("file,votes.sad", "a.wav,1", "a.wav,2"),
        ("file,label,coder", "a.wav,,r1", "a.wav,,r2"),
    ],
    ids=["raters disagree", "no rater", "raters agree", "an id a rating", "votes", "no labels"],
)
def test_without_being_asked_rows_that_differ_are_an_error_that_names_the_option(own, lines):
    with pytest.raises(CorpusError, match=r"1 recording in several rows .* a\.wav in \d rows.*--ratings"):
        read(own(*lines))


def test_the_same_row_twice_segments_and_two_speakers_are_no_ratings(own):
    manifest = read(own("file,label", "a.wav,happy", "a.wav,happy"))
    assert (len(manifest), len(manifest.skipped)) == (1, 1)
    segments = read(own("file,label,start,end", "a.wav,happy,0,0.1", "a.wav,sad,0.1,0.2"))
    assert [u.emotion for u in segments] == ["happiness", "sadness"]
    speakers = read(own("id,file,label,speaker", "1,a.wav,happy,s1", "2,a.wav,sad,s2"))
    assert [u.emotion for u in speakers] == ["happiness", "sadness"]


def test_a_tie_keeps_its_votes_and_its_words_and_no_label(own):
    manifest = read(own("file,label", "a.wav,happy", "a.wav,sad", "b.wav,sad"), ratings=True)
    first, _ = manifest
    assert (first.emotion, first.emotion_original, dict(first.votes)) == (
        None, "happy, sad", {"happiness": 1, "sadness": 1},
    )  # fmt: skip
    assert any("1 of 2 recordings have no most voted class" in text for text in manifest.information["warnings"])


def test_dimensions_are_the_mean_of_the_ratings_and_one_beyond_the_scale_is_skipped(own):
    path = own("file,arousal,rater", "a.wav,2,r1", "a.wav,5,r2", "a.wav,70,r3", "b.wav,,r1", "b.wav,3,r2")
    manifest = read(path, ratings=True, dimensions={"arousal": Scale(1, 7)})
    assert {u.utterance_id: u.dimensions for u in manifest} == {"a": {"arousal": 3.5}, "b": {"arousal": 3}}
    assert [item.reason for item in manifest.skipped] == ["a.wav: arousal is 70.0, outside its scale [1, 7]."]


def test_a_rater_counts_once_and_may_be_in_a_column_of_any_name(own):
    path = own("file,label,who", "a.wav,happy,r1", "a.wav,sad,r1", "a.wav,sad,r2", "a.wav,happy,")
    manifest = read(path, ratings=True, columns={"rater": "who"})
    assert said(manifest)["a"] == ("happiness", {"happiness": 2, "sadness": 1})
    assert [item.reason for item in manifest.skipped] == ["rater 'r1' has rated it already: the first rating counts"]
    assert "who" not in manifest.utterances[0].extra


def test_what_the_rows_agree_on_stays_and_the_raters_own_is_left_empty(own):
    path = own(
        "file,label,rater,speaker,age,room,mood",
        "a.wav,happy,r1,s1,31,x,good", "a.wav,happy,r2,s1,52,x,bad", "b.wav,sad,r1,s2,31,y,good",
    )  # fmt: skip
    manifest = read(path, ratings=True)
    first, second = manifest
    assert (first.speaker, first.age, first.extra) == ("s1", None, {"room": "x"})
    assert (second.age, second.extra) == (31, {"room": "y", "mood": "good"})
    assert "1 recordings have rows that differ in age: left empty" in manifest.information["warnings"]


def test_an_id_of_the_recording_stays_and_an_id_of_the_rating_gives_way_to_the_file(own):
    path = own("id,file,label", "u1,a.wav,happy", "u1,a.wav,sad", "2,b.wav,sad", "3,b.wav,sad")
    assert set(said(read(path, ratings=True))) == {"u1", "b"}


CELLS = ("file,label", '"a.wav","happy,sad"', '"b.wav","sad, sad,happy"', "c.wav,anger")


def test_several_labels_in_a_cell_are_votes_with_a_separator(own):
    manifest = read(own(*CELLS), separator=",")
    assert said(manifest) == {
        "a": (None, {"happiness": 1, "sadness": 1}),
        "b": ("sadness", {"sadness": 2, "happiness": 1}),
        "c": ("anger", {"anger": 1}),
    }
    assert manifest.label_space.classes == ("anger", "sadness")


@pytest.mark.parametrize(
    ("cell", "sign"),
    [('"happy,sad"', ","), ("happy; sad", ";"), ("rage|stress", "|"), ("happy/sad", "/"), ("ang + stress", "+")],
)
def test_without_a_separator_such_a_cell_is_an_error_that_names_it(own, cell, sign):
    with pytest.raises(CorpusError) as caught:
        read(own("file,label", f"a.wav,{cell}", "b.wav,stress"))
    assert f"--separator '{sign}'" in str(caught.value)
    assert "(a.wav)" in str(caught.value)


def test_a_sign_within_one_label_parts_nothing(own):
    manifest = read(own("file,label", "a.wav,fight/flight", "b.wav,very happy", "c.wav,24/7"))
    assert set(manifest.label_space.classes) == {"fight/flight", "very happy", "24/7"}


def test_another_separator_than_the_cells_have_is_still_an_error(own):
    with pytest.raises(CorpusError, match="--separator ','"):
        read(own(*CELLS), separator=";")


def test_raters_of_several_labels_each_count_with_all_of_them(own):
    path = own("file,label,rater", "a.wav,happy;sad,r1", "a.wav,sad,r2", "a.wav,happy;sad;fear,r3")
    assert said(read(path, ratings=True, separator=";"))["a"] == ("sadness", {"happiness": 2, "sadness": 3, "fear": 1})


def test_the_options_reach_the_command_line_and_other_corpora_refuse_them(own, tmp_path, emotune_command):
    ended = emotune_command("corpus", "read", "table", own(*RATINGS), "-o", tmp_path / "m.csv", "--ratings")
    assert ended.code == 0, ended.err
    assert said(Manifest.read(tmp_path / "m.csv"))["a"] == ("sadness", {"happiness": 1, "sadness": 2})
    ended = emotune_command("corpus", "read", "emodb", tmp_path, "-o", tmp_path / "n.csv", "--ratings")
    assert ended.code == 2
    assert "Corpus 'emodb' takes no ratings" in ended.err


def test_two_emotions_of_one_utterance_in_a_kaldi_folder_are_an_error(own, tmp_path):
    own("")
    (tmp_path / "wav.scp").write_text("u1 a.wav\n")
    (tmp_path / "utt2emo").write_text("u1 happy\nu1 sad\n")
    with pytest.raises(CorpusError, match=r"1 keys have two emotions, such as 'u1': 'happy' and 'sad'.*--ratings"):
        read_corpus(CORPORA["kaldi"], tmp_path)


def test_each_channel_keeps_its_ratings_where_every_rating_has_an_id(own):
    path = own(
        "id,file,channel,label",
        "1,a.wav,0,happy",
        "2,a.wav,0,sad",
        "3,a.wav,0,sad",
        "4,a.wav,1,angry",
        "5,a.wav,1,angry",
    )
    manifest = read(path, ratings=True)
    assert said(manifest) == {
        "a#ch0": ("sadness", {"happiness": 1, "sadness": 2}),
        "a#ch1": ("anger", {"anger": 2}),
    }
    assert not manifest.skipped


def test_ratings_of_recordings_that_differ_in_their_suffix_stay_apart(own, tmp_path):
    path = own("id,file,label", "1,a.wav,happy", "2,a.wav,happy", "3,a.flac,sad", "4,a.flac,sad")
    write_recording(tmp_path / "a.flac")
    assert said(read(path, ratings=True)) == {
        "a": ("happiness", {"happiness": 2}),
        "a.flac": ("sadness", {"sadness": 2}),
    }


SPELT = ("file,label,speaker", "a.wav,happy,spkA", "a.wav,sad,spka", "a.wav,sad,NA", "b.wav,happy,spkA")


def test_rows_of_a_speaker_in_two_spellings_or_unknown_are_ratings_of_one_recording(own):
    with pytest.raises(CorpusError, match=r"1 recording in several rows that differ, such as a\.wav in 3 rows"):
        read(own(*SPELT))
    manifest = read(own(*SPELT), ratings=True)
    assert said(manifest)["a"] == ("sadness", {"happiness": 1, "sadness": 2})
    assert {u.speaker for u in manifest} == {"spkA"} and not manifest.skipped


@pytest.mark.parametrize("name", ["Rater ID", "annotator-id", "WORKER"])
def test_a_rater_counts_once_however_the_column_is_written(own, name):
    manifest = read(own(f"file,label,{name}", "a.wav,happy,r1", "a.wav,happy,r1", "a.wav,sad,r2"), ratings=True)
    assert said(manifest) == {"a": (None, {"happiness": 1, "sadness": 1})}
    assert [item.reason for item in manifest.skipped] == ["rater 'r1' has rated it already: the first rating counts"]
    assert manifest.utterances[0].extra == {}


def test_a_missing_value_among_labels_of_a_cell_is_no_vote_and_is_counted(own):
    manifest = read(own("file,label", "a.wav,happy;NA", "b.wav,sad;n/a;happy", "c.wav,-; ?"), separator=";")
    assert said(manifest) == {
        "a": ("happiness", {"happiness": 1}),
        "b": (None, {"sadness": 1, "happiness": 1}),
        "c": (None, {}),
    }
    assert manifest.information["missing"] == {"emotion": {"NA": 1, "n/a": 1, "-": 1, "?": 1}}


def test_columns_of_votes_in_other_letters_are_labels_and_used(own):
    manifest = read(own("file,Votes.sad,VOTES.happy", "a.wav,1,NA", "b.wav,2,3"))
    assert [dict(u.votes) for u in manifest] == [{"sadness": 1}, {"sadness": 2, "happiness": 3}]
    assert "columns_not_used" not in manifest.information or not manifest.information["columns_not_used"]


MAPPED = ("file,label", "a.wav,sad", "a.wav,angry", "a.wav,happy", "b.wav,happy", "b.wav,happy", "b.wav,fear")


def test_classes_that_become_one_are_one_before_the_most_voted_is_found(own):
    manifest = read(own(*MAPPED), ratings=True, mapping={"sadness": "anger"})
    assert said(manifest) == {
        "a": ("anger", {"anger": 2, "happiness": 1}),
        "b": ("happiness", {"happiness": 2, "fear": 1}),
    }
    manifest = read(
        own("file,label", "a.wav,sad/angry", "b.wav,sad/happy"), separator="/", mapping={"sadness": "anger"}
    )
    assert said(manifest) == {"a": ("anger", {"anger": 2}), "b": (None, {"anger": 1, "happiness": 1})}
