"""Names of speakers: which are one name in several spellings."""

import pytest

from builders.manifests import manifest_of, utterances
from emotune.evaluation.speaker_dependence import speaker_dependence
from emotune.schema.manifest import Manifest
from emotune.schema.speakers import spelled_apart, spelling_key, with_merged_spellings


def manifest(*names: str | None, column: str = "speaker", corpora: tuple[str, ...] = ("own",)) -> Manifest:
    return manifest_of(*utterances(len(names), corpus=lambda n: corpora[n % len(corpora)], **{column: list(names)}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("spkA", "spka"),
        ("é1", "e\u03011"),
        ("spk 1", "spk_1"),
        ("spk-1", "spk1"),
        ("spk\u00a01", "spk\u20131"),
        ("007", "7"),
        ("SPK01", "spk 1"),
        ("12.0", "12"),
        (" Ana", "ana "),
        ("Straße 1", "STRASSE 1"),
        ("spk\u200b1", "spk1"),
    ],
)
def test_names_that_differ_in_spelling_alone_are_one(one, other):
    assert spelling_key(one) == spelling_key(other)
    assert len(spelled_apart(manifest(one, other))) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1_12", "11_2"),
        ("s1", "s11"),
        ("ana", "anna"),
        ("a b", "ab"),
        ("-1", "1"),
        ("s1.2", "s12"),
        ("é", "e"),
        ("0", ""),
    ],
)
def test_names_that_may_be_two_people_stay_two(one, other):
    assert spelling_key(one) != spelling_key(other)


def test_one_name_in_two_corpora_is_two_people():
    assert spelled_apart(manifest("spk1", "SPK1", corpora=("here", "there"))) == {}


def test_the_most_frequent_spelling_stays_in_its_corpus_and_the_change_is_kept():
    table = manifest("b", "B", "B", "c", None)
    merged, changes = with_merged_spellings(table)
    assert [u.speaker for u in merged] == ["B", "B", "B", "c", None]
    assert changes == merged.information["spellings_merged"] == {"b": "B"}
    apart = manifest("b", "b", "B", "b", "B", "b", corpora=("here", "there"))
    merged, _ = with_merged_spellings(apart)
    assert [u.speaker for u in merged] == ["B", "b", "B", "b", "B", "b"]
    assert with_merged_spellings(manifest("a", "b"))[1] == {}


def test_sessions_are_merged_too():
    merged, _ = with_merged_spellings(manifest("Session 1", "session_01", "Session 1", column="session"))
    assert {u.session for u in merged} == {"Session 1"}


def test_a_model_that_heard_a_speaker_under_another_spelling_is_speaker_dependent():
    assert speaker_dependence(manifest("Ana_1"), manifest("ana 1", "bo")).stamp is True


def test_reading_notes_spellings_the_doctor_and_split_refuse_them_and_an_option_cures(tmp_path, tones, emotune_command):
    names = ["spkA", "spka", "é1", "e\u03011", "spk 1", "spk_1"]
    rows = [f"{u.file},{u.emotion},{names[n % 6]}" for n, u in enumerate(tones)]
    (tmp_path / "own.csv").write_text("\n".join(["file,label,speaker", *rows]) + "\n")
    read = ("corpus", "read", "table", tmp_path / "own.csv", "--audio-root", tones.root, "-o")
    ended = emotune_command(*read, tmp_path / "m.csv")
    assert ended.code == 0, ended.err
    assert "3 speakers are written in several ways, such as 'spkA' and 'spka'" in ended.err
    checked = emotune_command("corpus", "check", tmp_path / "m.csv", "--json")
    assert checked.code == 1
    assert '"code": "speaker_spelling"' in checked.out
    split = ("corpus", "split", tmp_path / "m.csv", "-o", tmp_path / "s.csv")
    refused = emotune_command(*split)
    assert refused.code == 2
    assert "--merge-speakers" in refused.err
    assert not (tmp_path / "s.csv").exists()
    assert emotune_command(*split, "--merge-speakers").code == 0
    assert len({u.speaker for u in Manifest.read(tmp_path / "s.csv")}) == 3
    assert emotune_command("corpus", "check", tmp_path / "s.csv").code == 0
    ended = emotune_command(*read, tmp_path / "merged.csv", "--merge-speakers")
    assert "names merged: " in ended.err
    assert len({u.speaker for u in Manifest.read(tmp_path / "merged.csv")}) == 3
