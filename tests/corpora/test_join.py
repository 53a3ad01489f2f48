"""Manifests of several corpora joined into one."""

import dataclasses
from pathlib import Path

import pytest

from builders.manifests import manifest_of, utterance, utterances
from emotune.corpora.join import join_manifests, joined
from emotune.corpora.licences import strictest_rule
from emotune.doctor import overlap_sentences
from emotune.errors import ConfigError, CorpusError
from emotune.evaluation.pairs import speakers_of
from emotune.schema.labels import Scale
from emotune.schema.manifest import Manifest, Skipped
from emotune.schema.speakers import voice_of
from emotune.schema.splits import assign_splits

ACTED = "CC BY-NC-SA 4.0"


def acted(root: Path = Path("acted")) -> Manifest:
    """Six utterances of two speakers, with three classes, votes, arousal from 1 to 5 and splits."""
    rows = utterances(
        6,
        emotion=["anger", "anger", "neutral", "neutral", "calm", "calm"],
        speaker=lambda n: f"{n % 2:02}",
        session=lambda n: f"s{n % 2}",
        gender="female",
        language="en",
        text="Kids are talking by the door",
        corpus="ravdess",
        split=lambda n: "test" if n % 2 else "train",
        start_s=0.5,
        end_s=2.0,
        channel=1,
        content_sha256=lambda n: f"{n:064x}",
        votes=lambda n: {"anger": 3.0, "calm": float(n)},
        dimensions=lambda n: {"arousal": 1.0 + n % 5},
        extra=lambda n: {"intensity": "strong"},
    )
    rows = (*rows[:5], dataclasses.replace(rows[5], copy_of="u4"))
    information = {"corpus": "ravdess", "licence": ACTED, "unheard": {"u1": "silent: every sample is 0"}}
    manifest = manifest_of(
        *rows,
        classes=("anger", "neutral", "calm"),
        dimensions={"arousal": Scale(1, 5)},
        root=root,
        information=information,
    )
    return dataclasses.replace(manifest, skipped=(Skipped("x.wav", "no name of theirs"),))


def calls(root: Path = Path("calls"), **columns) -> Manifest:
    """Four utterances whose ids and speakers are called as those of ``acted``, arousal from 1 to 7."""
    rows = utterances(
        4,
        **{
            "emotion": ["anger", "neutral", "fear", None],
            "speaker": lambda n: f"{n % 2:02}",
            "corpus": "table",
            "content_sha256": lambda n: f"{n + 100:064x}",
            "dimensions": lambda n: {"arousal": 1.0 + 2 * n},
            **columns,
        },
    )
    return manifest_of(
        *rows,
        classes=("anger", "neutral", "fear"),
        dimensions={"arousal": Scale(1, 7)},
        root=root,
        information={"corpus": "table", "licence": "CC BY 4.0"},
    )


def test_ids_speakers_sessions_and_copies_carry_their_corpus_and_nobody_is_merged():
    found = joined({"ravdess": acted(), "calls": calls()}, classes="all")
    assert len({u.utterance_id for u in found}) == len(found) == 10
    assert {u.speaker for u in found} == {"ravdess/00", "ravdess/01", "calls/00", "calls/01"}
    assert [u.corpus for u in found] == ["ravdess"] * 6 + ["calls"] * 4
    assert found.utterances[5].copy_of == found.utterances[4].utterance_id == "ravdess/u4"
    assert [u.session for u in found][4:7] == ["ravdess/s0", "ravdess/s1", None]


def test_all_other_columns_survive():
    first = joined({"ravdess": acted(), "calls": calls()}).utterances[0]
    for name in ("gender", "language", "text", "split", "start_s", "end_s", "channel", "content_sha256", "extra"):
        assert getattr(first, name) == getattr(acted().utterances[0], name)
    assert first.votes == {"anger": 3.0}, "the votes for a class that is left out go with it"


def test_classes_that_one_corpus_lacks_are_left_out_and_counted_by_corpus():
    found = joined({"ravdess": acted(), "calls": calls()})
    assert found.label_space.classes == ("anger", "neutral")
    assert found.information["joined_classes"] == {
        "anger": {"becomes": "anger", "utterances": {"ravdess": 2, "calls": 1}},
        "neutral": {"becomes": "neutral", "utterances": {"ravdess": 2, "calls": 1}},
        "fear": {"becomes": None, "utterances": {"ravdess": 0, "calls": 1}},
        "calm": {"becomes": None, "utterances": {"ravdess": 2, "calls": 0}},
    }
    assert found.information["class_mapping"] == {"ravdess: calm dropped": 2, "calls: fear dropped": 1}
    assert [u.utterance_id for u in found if u.emotion is None] == ["calls/u3"]


def test_a_mapping_counts_before_the_classes_that_are_shared():
    found = joined({"ravdess": acted(), "calls": calls()}, mapping={"calm": "fear"})
    assert found.label_space.classes == ("anger", "neutral", "fear")
    assert len(found) == 10
    assert found.utterances[4].votes == {"anger": 3.0, "fear": 4.0}


def test_named_classes_are_kept_and_one_that_a_corpus_lacks_is_a_warning():
    found = joined({"ravdess": acted(), "calls": calls()}, classes=["fear", "anger"])
    assert found.label_space.classes == ("anger", "fear")
    assert found.information["warnings"][0].startswith("ravdess has no fear: ")


def test_dimensions_are_brought_to_the_first_scale_or_the_one_that_is_asked_for():
    parts = {"ravdess": acted(), "calls": calls()}
    first = joined(parts, classes="all")
    assert first.label_space.dimensions == {"arousal": Scale(1, 5)}
    # from 1..7 to 1..5: 1 + (value - 1) * 4 / 6
    assert [round(u.dimensions["arousal"], 3) for u in first][6:] == [1.0, 2.333, 3.667, 5.0]
    assert first.information["scales_converted"] == {"calls: arousal": "[1, 7] -> [1, 5]"}
    asked = joined(parts, classes="all", scales={"arousal": Scale(-1, 1)})
    assert [u.dimensions["arousal"] for u in asked][:5] == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert set(asked.information["scales_converted"]) == {"ravdess: arousal", "calls: arousal"}


def test_recordings_are_found_from_the_new_manifest_wherever_it_lies(tmp_path):
    for folder, make, suffix in (("a/deep", acted, ".csv"), ("b", calls, ".jsonl")):
        (tmp_path / folder / "wav").mkdir(parents=True)
        for number in range(6):
            (tmp_path / folder / "wav" / f"u{number}.wav").write_bytes(folder.encode())
        make(tmp_path / folder / "wav").write(tmp_path / folder / f"m{suffix}")
    sources = [f"acted={tmp_path / 'a/deep/m.csv'}", f"calls={tmp_path / 'b/m.jsonl'}"]
    for output in ("c/m.parquet", "m.csv", "a/m.jsonl"):
        join_manifests(sources).write(tmp_path / output)
        back = Manifest.read(tmp_path / output)
        texts = {u.corpus: back.path_of(u).read_text() for u in back}
        assert texts == {"acted": "a/deep", "calls": "b"}
        assert all(back.path_of(u).stem == u.utterance_id.partition("/")[2] for u in back)
        assert [item.file for item in back.skipped] == ["acted/x.wav"]


def test_licences_are_carried_with_the_strictest_rule_and_what_was_known_of_each_corpus():
    about = joined({"ravdess": acted(), "calls": calls()}).information
    assert about["licence_rule"] == "non-commercial (ravdess), share alike (ravdess), attribution (ravdess, calls)"
    assert ACTED in about["licence"]
    assert about["licence_rule"] in about["licence"]
    assert {name: own["licence"] for name, own in about["corpora"].items()} == {"ravdess": ACTED, "calls": "CC BY 4.0"}
    assert about["unheard"] == {"ravdess/u1": "silent: every sample is 0"}


def test_an_unknown_licence_comes_first_and_terms_that_nobody_knows_are_named():
    rule = strictest_rule({"a": "MIT", "b": "unknown: state it with --licence", "c": "EULA", "d": "ODbL 1.0"})
    assert rule == "unknown (b), terms of its own (c), share alike (d), attribution (a, d)"


def test_a_join_of_a_join_is_the_join_of_all():
    third = dataclasses.replace(calls(Path("third"), content_sha256=lambda n: f"{n + 200:064x}"), information={})
    at_once = joined({"ravdess": acted(), "calls": calls(), "third": third})
    inner = joined({"ravdess": acted(), "calls": calls()})
    in_turn = joined({"inner": inner, "third": third})
    assert in_turn.utterances == at_once.utterances
    assert in_turn.skipped == at_once.skipped
    assert in_turn.fingerprint() == at_once.fingerprint()
    changed = {"joined_classes", "scales_converted"}  # the second join sees what the first one left
    assert {k: v for k, v in in_turn.information.items() if k not in changed} == {
        k: v for k, v in at_once.information.items() if k not in changed
    }


def test_what_is_known_of_every_corpus_alike_is_known_of_all():
    predictor = {"gender_predictor": {"name": "x", "revision": "1"}}
    one, other = (
        dataclasses.replace(part, information={**part.information, **predictor}) for part in (acted(), calls())
    )
    assert joined({"ravdess": one, "calls": other}).information["gender_predictor"] == predictor["gender_predictor"]
    assert "gender_predictor" not in joined({"ravdess": one, "calls": calls()}).information


def test_a_speaker_of_a_join_is_the_one_that_the_corpus_names():
    found = joined({"ravdess": acted(), "calls": calls()})
    assert {voice_of(u) for u in acted()} == {voice_of(u) for u in found if u.corpus == "ravdess"}
    assert set(speakers_of(found.utterances)) == {"ravdess/00", "ravdess/01", "calls/00", "calls/01"}


def test_splits_of_a_join_are_balanced_by_corpus():
    rows = [
        utterance(f"{corpus}{s}{n}", "anger", corpus=corpus, speaker=f"{corpus}/{s}", gender="female")
        for corpus, speakers in (("a", 8), ("b", 4))
        for s in range(speakers)
        for n in range(3)
    ]
    found = assign_splits(manifest_of(*rows, classes=("anger",)), {"train": 0.75, "test": 0.25})
    tested = {u.speaker for u in found if u.split == "test"}
    assert sorted(name[0] for name in tested if name) == ["a", "a", "b"]


def test_recordings_in_two_corpora_are_a_warning_and_the_doctor_sees_them_in_two_splits():
    shared = dataclasses.replace(acted().utterances[0], utterance_id="again", speaker="x", split="test")
    other = calls().replace_utterances([shared, *calls().utterances])
    found = joined({"ravdess": acted(), "calls": other})
    assert found.information["warnings"] == [
        "1 recordings of calls are also in ravdess, where their speakers count as other people"
    ]
    assert any("recording" in sentence for sentence in overlap_sentences(found))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": ["joy"]}, "--classes: Unknown class 'joy'"),
        ({"classes": ["calm"]}, "Nothing would be left of calls with --classes calm"),
        ({"mapping": {"rage": "anger"}}, "--map: Unknown class 'rage'"),
        ({"scales": {"valence": Scale(1, 7)}}, "--scale: Unknown dimension 'valence'"),
        ({"mapping": {"anger": "rage", "fear": "dread", "calm": "peace"}, "classes": []}, "Nothing would be left"),
    ],
)
def test_a_class_or_dimension_that_is_not_there_is_an_error(options, words):
    with pytest.raises(CorpusError, match=words):
        joined({"ravdess": acted(), "calls": calls()}, **options)


def test_corpora_without_a_common_class_are_refused_with_what_each_has():
    lone = manifest_of(utterance("a", "boredom"), classes=("boredom",))
    with pytest.raises(CorpusError, match="share no class: ravdess has anger, neutral, calm; lone has boredom"):
        joined({"ravdess": acted(), "lone": lone})


def test_a_manifest_is_not_joined_with_itself(tmp_path):
    acted(tmp_path).write(tmp_path / "m.csv")
    acted(tmp_path).write(tmp_path / "same.parquet")
    (tmp_path / "link.csv").symlink_to(tmp_path / "m.csv")
    with pytest.raises(ConfigError, match="is the same file as"):
        join_manifests([tmp_path / "m.csv", f"other={tmp_path / 'link.csv'}"])
    with pytest.raises(ConfigError, match=r"there is a corpus 'ravdess' already.* NAME="):
        join_manifests([tmp_path / "m.csv", tmp_path / "same.parquet"])
    with pytest.raises(CorpusError, match="'other' has the recordings of 'ravdess'"):
        join_manifests([tmp_path / "m.csv", f"other={tmp_path / 'same.parquet'}"])
    with pytest.raises(CorpusError, match="at least two corpora, got ravdess"):
        join_manifests([tmp_path / "m.csv"])


def test_a_corpus_is_called_by_its_reader_or_as_its_file_or_as_one_says(tmp_path):
    acted(tmp_path).write(tmp_path / "first.csv")
    calls(tmp_path).write(tmp_path / "second.csv")
    assert join_manifests([tmp_path / "first.csv", tmp_path / "second.csv"]).information["corpus"] == "ravdess, second"
    named = join_manifests([f"x={tmp_path / 'first.csv'}", tmp_path / "second.csv"])
    assert named.information["corpus"] == "x, second"
    with pytest.raises(ConfigError, match="cannot be called 'a b'"):
        join_manifests([f"a b={tmp_path / 'first.csv'}", tmp_path / "second.csv"])
    named.write(tmp_path / "joined.csv")
    with pytest.raises(ConfigError, match="is a join, whose corpora have names already"):
        join_manifests([f"y={tmp_path / 'joined.csv'}", tmp_path / "second.csv"])
    with pytest.raises(ConfigError, match="Corpus 'second' is in two of the manifests"):
        join_manifests([tmp_path / "joined.csv", tmp_path / "second.csv"])
