"""Protocols: which classes, and which utterances train, choose and test."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import manifests
from builders.manifests import utterance
from emotune.corpora import CORPORA
from emotune.errors import ConfigError, CorpusError
from emotune.protocols import protocol_names
from emotune.protocols.protocol import Protocol, doubts, folds_of, load_protocol, under_protocol
from emotune.schema.labels import CLASSES
from emotune.schema.manifest import Manifest
from emotune.schema.splits import select_splits, within_budget


def manifest_of(rows: list[dict], corpus: str = "iemocap") -> Manifest:
    classes = tuple(name for name in CLASSES if name in {row.get("emotion") for row in rows})
    utterances = (utterance(f"u{n:05d}", **row) for n, row in enumerate(rows))
    return manifests.manifest_of(*utterances, classes=classes, information={"corpus": corpus})


IEMOCAP_COUNTS = {
    "anger": 1103, "happiness": 595, "excitement": 1041, "sadness": 1084, "neutral": 1708, "frustration": 1849,
    "fear": 40, "surprise": 107, "disgust": 2, "other": 3, None: 2507,
}  # fmt: skip
"""IEMOCAP's turns by label, as its readers count them; 5531 of the four classes with excitement as happiness."""


@pytest.fixture(scope="module")
def iemocap() -> Manifest:
    labels = [name for name, count in IEMOCAP_COUNTS.items() for _ in range(count)]
    return manifest_of(
        [
            {"emotion": name, "session": str(n % 5 + 1), "speaker": f"Ses0{n % 5 + 1}_{'FM'[n // 5 % 2]}"}
            for n, name in enumerate(labels)
        ]
    )


@pytest.mark.parametrize("name", protocol_names())
def test_every_bundled_protocol_is_of_a_corpus_or_of_any_and_uses_known_classes(name):
    protocol = load_protocol(name)
    assert (name in ("folds", "leave_one_corpus_out")) if protocol.corpus is None else (protocol.corpus in CORPORA)
    assert protocol.description
    assert set(protocol.classes) | set(protocol.map) | set(protocol.map.values()) <= set(CLASSES)


def test_iemocap_keeps_5531_utterances_of_four_classes(iemocap):
    protocol = load_protocol("iemocap/5_sessions")
    kept = under_protocol(iemocap, protocol)
    labelled = kept.filter(lambda u: u.emotion is not None)
    assert len(labelled) == 5531
    assert len(kept) == 5531 + 2507  # without agreement: they may have votes and dimensions
    assert kept.label_space.classes == ("anger", "happiness", "sadness", "neutral")
    assert sum(u.emotion == "happiness" for u in kept) == 595 + 1041
    assert doubts(protocol, kept) == []
    (doubt,) = doubts(protocol, kept.filter(lambda u: u.session != "5"))
    assert "5531" in doubt


def test_each_session_is_tested_once_by_models_that_never_heard_it(iemocap):
    protocol = load_protocol("iemocap/5_sessions")
    kept = under_protocol(iemocap, protocol)
    folds = folds_of(protocol, kept)
    assert [fold.splits["test"]["session"] for fold in folds] == [["1"], ["2"], ["3"], ["4"], ["5"]]
    for fold in folds:
        split = select_splits(kept, fold.splits)
        assert len(split) == len(kept)
        speakers = {name: {u.speaker for u in split.split(name)} for name in ("train", "development", "test")}
        assert not speakers["train"] & (speakers["test"] | speakers["development"])
        assert not speakers["development"] & speakers["test"]


def test_two_groups_of_development_are_the_next_two_around_the_end():
    manifest = manifest_of([{"speaker": name, "emotion": "anger"} for name in "abcde"])
    folds = folds_of(Protocol(corpus="emodb", leave_out="speaker", development_groups=2), manifest)
    assert folds[3].splits["development"] == {"speaker": ["e", "a"]}
    assert folds[3].splits["train"] == {"speaker": ["b", "c"]}


@pytest.fixture(scope="module")
def three_corpora() -> Manifest:
    """Of ten, six and four speakers; every fifth one of each is for the test of its own."""
    return manifest_of(
        [
            {
                "emotion": ("anger", "neutral")[n % 2],
                "corpus": corpus,
                "speaker": f"{corpus}/{s}",
                "gender": ("female", "male")[s % 2],
                "split": "test" if s % 5 == 4 else "train",
            }
            for corpus, speakers in (("a", 10), ("b", 6), ("c", 4))
            for s in range(speakers)
            for n in range(6)
        ]
    )


def test_each_corpus_is_tested_once_and_speakers_of_all_others_choose(three_corpora):
    protocol = load_protocol("leave_one_corpus_out")
    folds = folds_of(protocol, three_corpora)
    assert [fold.name for fold in folds] == ["without_a", "without_b", "without_c"]
    assert [fold.splits for fold in folds] == [fold.splits for fold in folds_of(protocol, three_corpora)]
    for fold in folds:
        split = select_splits(three_corpora, fold.splits)
        assert len(split) == len(three_corpora)
        tested = fold.name.removeprefix("without_")
        assert {u.corpus for u in split.split("test")} == {tested}
        assert sum(u.corpus == tested for u in split) == len(split.split("test"))
        chosen, trained = split.split("development"), split.split("train")
        assert {u.corpus for u in chosen} == {u.corpus for u in trained} == {"a", "b", "c"} - {tested}
        assert not {u.speaker for u in chosen} & {u.speaker for u in trained}
        others = len({u.speaker for u in three_corpora if u.corpus != tested})
        assert len({u.speaker for u in chosen}) == pytest.approx(others / 5, abs=1)


def test_within_keeps_the_tests_of_the_manifest_unseen(three_corpora):
    for protocol in (
        Protocol(leave_out="corpus", within=["train"], development_share=0.25),
        Protocol(leave_out="speaker", within=["train"]),
    ):
        for fold in folds_of(protocol, three_corpora):
            split = select_splits(three_corpora, fold.splits)
            seen = {u.utterance_id for u in split}
            assert seen == {u.utterance_id for u in three_corpora if u.split == "train"}
    with pytest.raises(CorpusError, match="the manifest has no dev; it has: test, train"):
        folds_of(Protocol(leave_out="corpus", within=["dev"]), three_corpora)


def test_one_corpus_cannot_be_left_out(three_corpora):
    alone = three_corpora.filter(lambda u: u.corpus == "a")
    with pytest.raises(CorpusError, match=r"Without corpus 'a' there are not two speakers.*emotune corpus join"):
        folds_of(load_protocol("leave_one_corpus_out"), alone)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"leave_out": "corpus", "development_groups": 2}, "development_groups does not go with leave_out: corpus"),
        ({"leave_out": "speaker", "development_share": 0.2}, "development_share goes with leave_out: corpus alone"),
        ({"leave_out": "split", "within": ["train"]}, "within does not go with leave_out: split or official"),
    ],
)
def test_keys_of_a_protocol_that_do_not_go_together_are_refused(keys, words):
    with pytest.raises(ValueError, match=words):
        Protocol(**keys)


@pytest.mark.parametrize(("name", "column_of"), [("ravdess/6_folds", lambda n: f"{n:02d}"), ("crema_d/5_folds", str)])
def test_groups_by_hand_place_every_actor_once(name, column_of):
    protocol = load_protocol(name)
    assert protocol.groups is not None
    placed = [value for fold in protocol.groups.folds for value in fold]
    numbers = range(1, 25) if name.startswith("ravdess") else range(1001, 1092)
    assert sorted(placed) == [column_of(number) for number in numbers]


def test_ravdess_folds_hold_two_women_and_two_men():
    groups = load_protocol("ravdess/6_folds").groups
    assert groups is not None
    assert all(sum(int(actor) % 2 for actor in fold) == 2 for fold in groups.folds)


def test_crema_d_folds_balance_women_and_men_of_the_real_actors(shared):
    import csv

    with (shared / "data" / "cremad_votes" / "VideoDemographics.csv").open(encoding="utf-8") as stream:
        sex = {row["ActorID"]: row["Sex"] for row in csv.DictReader(stream)}
    groups = load_protocol("crema_d/5_folds").groups
    assert groups is not None
    women = [sum(sex[actor] == "Female" for actor in fold) for fold in groups.folds]
    assert max(women) - min(women) <= 1


def test_a_speaker_without_a_fold_is_an_error_that_names_it():
    manifest = manifest_of([{"speaker": "99", "emotion": "anger"}], "ravdess")
    with pytest.raises(CorpusError, match="99 no fold"):
        folds_of(load_protocol("ravdess/6_folds"), manifest)


def test_official_splits_keep_their_names_and_missing_ones_are_named():
    rows = [{"split": name, "emotion": "anger", "speaker": name} for name in ("train", "development", "test1", "test3")]
    protocol = load_protocol("msp_podcast/official")
    with pytest.raises(CorpusError, match="no test2"):
        folds_of(protocol, manifest_of(rows, "msp_podcast"))
    rows.append({"split": "test2", "emotion": "anger", "speaker": "x"})
    (fold,) = folds_of(protocol, manifest_of(rows, "msp_podcast"))
    assert fold.tests == ("test1", "test2")
    assert {u.split for u in select_splits(manifest_of(rows, "msp_podcast"), fold.splits)} == {
        "train", "development", "test1", "test2",
    }  # fmt: skip


def test_folds_that_a_manifest_has_are_each_tested_once_whatever_the_corpus():
    rows = [{"speaker": f"s{n}", "emotion": "anger", "split": f"fold_{n % 3 + 1}"} for n in range(6)]
    protocol = load_protocol("folds")
    assert doubts(protocol, manifest_of(rows, "calls")) == []
    folds = folds_of(protocol, manifest_of(rows, "calls"))
    assert [fold.splits["test"] for fold in folds] == [{"split": [f"fold_{n}"]} for n in (1, 2, 3)]
    assert folds[2].splits == {
        "train": {"split": ["fold_2"]}, "development": {"split": ["fold_1"]}, "test": {"split": ["fold_3"]},
    }  # fmt: skip


def test_one_speaker_in_two_spellings_is_not_left_out_in_two_folds():
    rows = [{"speaker": name, "emotion": "anger"} for name in ("Ana 1", "ana_1", "bo", "cy")]
    with pytest.raises(CorpusError, match=r"'Ana 1' and 'ana_1'.*--merge-speakers"):
        folds_of(load_protocol("savee/leave_one_speaker_out"), manifest_of(rows, "savee"))


def test_what_a_protocol_goes_by_must_be_known():
    with pytest.raises(CorpusError, match="1 of 2 utterances name no session"):
        folds_of(
            load_protocol("iemocap/5_sessions"),
            manifest_of([{"session": "1", "emotion": "anger"}, {"emotion": "anger"}]),
        )
    with pytest.raises(CorpusError, match="at least 3 groups"):
        folds_of(
            load_protocol("iemocap/5_sessions"), manifest_of([{"session": s, "emotion": "anger"} for s in ("1", "2")])
        )


def test_an_unknown_protocol_is_named_with_the_likely_one():
    with pytest.raises(ConfigError, match="did you mean 'iemocap/5_sessions'"):
        load_protocol("iemocap/5_session")


def test_a_protocol_of_ones_own_is_a_file_and_all_its_faults_are_told(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({"corpus": "table", "leave_out": "session", "development_groups": 2}))
    assert load_protocol(path).development_groups == 2
    path.write_text(json.dumps({"corpus": "table", "leave_out": "actor", "tested": 1}))
    with pytest.raises(ConfigError) as error:
        load_protocol(path)
    assert "2 fault(s)" in str(error.value)
    assert "leave_out" in str(error.value)
    path.write_text(json.dumps({"corpus": "table"}))
    with pytest.raises(ConfigError, match="exactly one of"):
        load_protocol(path)


@given(st.lists(st.sampled_from(["anger", "neutral", "fear"]), min_size=3, max_size=80), st.integers(0, 5))
def test_smaller_budgets_lie_within_larger_ones_and_keep_every_class(labels, seed):
    manifest = manifest_of([{"emotion": name, "split": "train"} for name in labels] + [{"split": "test"}])
    chosen = [
        {u.utterance_id for u in within_budget(manifest, share, seed=seed) if u.split == "train"}
        for share in (0.01, 0.05, 0.1, 0.25, 1.0)
    ]
    for smaller, larger in itertools.pairwise(chosen):
        assert smaller <= larger
    assert len(chosen[-1]) == len(labels)
    for share, kept in zip((0.01, 0.05, 0.1, 0.25), chosen, strict=False):
        for name in set(labels):
            ids = {u.utterance_id for u in manifest if u.emotion == name}
            assert len(ids & kept) == -(-labels.count(name) * share // 1)
    assert len(within_budget(manifest, 0.01, seed=seed).filter(lambda u: u.split == "test")) == 1


def test_hours_of_one_corpus_are_filled_by_its_classes_and_others_stay_whole():
    rows = [
        {
            "emotion": "anger" if n % 4 else "fear",
            "split": "train",
            "corpus": "new" if n < 80 else "old",
            "duration_s": 9.0,
        }
        for n in range(120)
    ]
    manifest = manifest_of([*rows, {"split": "test", "corpus": "new"}])
    chosen = {}
    for hours in (0.0, 0.05, 0.1, 0.2):
        kept = within_budget(manifest, hours=hours, corpora=["new"])
        chosen[hours] = {u.utterance_id for u in kept if u.corpus == "new" and u.split == "train"}
        assert len(kept) == 40 + 1 + len(chosen[hours])
        assert len(chosen[hours]) == int(hours * 3600 / 9 + 1e-6)
        of_fear = sum(u.emotion == "fear" for u in kept if u.utterance_id in chosen[hours])
        assert abs(of_fear - len(chosen[hours]) / 4) <= 1
    for smaller, larger in itertools.pairwise(chosen.values()):
        assert smaller <= larger
    assert within_budget(manifest, 0.5, corpora=["new"]).filter(lambda u: u.corpus == "new" and u.split == "train")
    with pytest.raises(CorpusError, match=r"0\.5 hours was asked, and there are 0\.2\."):
        within_budget(manifest, hours=0.5, corpora=["new"])
    with pytest.raises(CorpusError, match=r"Unknown corpus of split 'train' 'neww', did you mean 'new'\?"):
        within_budget(manifest, hours=0.1, corpora=["neww"])


def test_another_seed_gives_another_budget():
    manifest = manifest_of([{"emotion": "anger", "split": "train"}] * 100)
    assert within_budget(manifest, 0.1, seed=0).utterances != within_budget(manifest, 0.1, seed=1).utterances
