"""Labels from votes: every rule, and nothing changed without being counted."""

import dataclasses
import math
from collections import Counter

import pytest

from builders.manifests import manifest_of, utterance
from emotune.corpora import map_classes
from emotune.errors import ConfigError, CorpusError
from emotune.schema.labels import Scale
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import majority, plurality, relabelled, vote_shares

ORDER = ["anger", "sadness", "neutral", "other"]


def voted(name: str, emotion: str | None = None, *, dimensions=None, **votes: float) -> Utterance:
    return utterance(name, emotion, votes=votes, dimensions=dimensions or {})


def manifest(*utterances: Utterance, classes=tuple(ORDER)) -> Manifest:
    return manifest_of(*utterances, classes=classes, dimensions={"arousal": Scale(1, 7)})


def labels(result: Manifest) -> dict[str, str | None]:
    return {utterance.utterance_id: utterance.emotion for utterance in result}


CORPUS = manifest(
    voted("clear", "anger", anger=3, sadness=1),
    voted("most", "sadness", anger=2, sadness=1, neutral=1),
    voted("tie", None, sadness=2, neutral=2),
    voted("other", "other", other=3, anger=2),
    voted("one", "neutral", neutral=1),
    voted("none", "anger"),
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"clear": "anger", "most": "sadness", "other": "other", "one": "neutral", "none": "anger"}),
        ({"label": "plurality"}, {"clear": "anger", "most": "anger", "other": "other", "one": "neutral"}),
        ({"label": "majority"}, {"clear": "anger", "other": "other", "one": "neutral"}),
        (
            {"label": "plurality", "ties": "first"},
            {"clear": "anger", "most": "anger", "tie": "sadness", "other": "other", "one": "neutral"},
        ),
        ({"label": "plurality", "other": "leave_out"}, {"clear": "anger", "most": "anger", "one": "neutral"}),
        (
            {"label": "plurality", "other": "votes_only"},
            {"clear": "anger", "most": "anger", "other": "anger", "one": "neutral"},
        ),
        (
            {"other": "votes_only", "no_agreement": "votes"},
            {"clear": "anger", "most": "sadness", "tie": None, "other": None, "one": "neutral", "none": "anger"},
        ),
        ({"label": "plurality", "minimum": 4}, {"clear": "anger", "most": "anger", "other": "other"}),
        (
            {"label": "majority", "no_agreement": "votes"},
            {"clear": "anger", "most": None, "tie": None, "other": "other", "one": "neutral"},
        ),
    ],
)
def test_each_rule_gives_the_labels_that_it_says(options, expected):
    assert labels(relabelled(CORPUS, **options)[0]) == expected


def test_other_goes_with_its_utterances_or_leaves_only_their_other_votes():
    result, report = relabelled(CORPUS, other="leave_out")
    assert result.label_space.classes == ("anger", "sadness", "neutral")
    assert not any("other" in utterance.votes for utterance in result)
    assert report["of other, left out"] == 1
    result, report = relabelled(CORPUS, other="votes_only", no_agreement="votes")
    assert {u.utterance_id: dict(u.votes) for u in result}["other"] == {"anger": 2}
    assert report["given other, now without a label"] == 1
    assert report["without a label, kept for their votes"] == 2


def test_no_agreement_can_be_a_class_of_its_own():
    result, report = relabelled(CORPUS, label="majority", no_agreement="class")
    given, _ = relabelled(CORPUS, label="majority", no_agreement="votes")
    assert labels(result) == {name: emotion or "no_agreement" for name, emotion in labels(given).items()}
    assert result.label_space.classes == (*given.label_space.classes, "no_agreement")
    assert report["without a label, now of the class no_agreement"] == sum(u.emotion is None for u in given)


def test_a_vote_too_few_does_not_count_and_the_given_label_stays():
    result, report = relabelled(CORPUS, minimum=2)
    rows = {utterance.utterance_id: utterance for utterance in result}
    assert rows["one"].emotion == "neutral"
    assert rows["one"].votes == {}
    assert rows["clear"].votes == {"anger": 3, "sadness": 1}
    assert report["with fewer votes than the minimum, or none"] == 2


def test_the_defaults_change_and_count_nothing_where_everything_has_a_label():
    corpus = CORPUS.filter(lambda utterance: utterance.emotion is not None)
    result, report = relabelled(corpus)
    assert result.utterances == corpus.utterances
    assert result.label_space == corpus.label_space
    assert report == {}


def test_everybody_is_either_kept_or_counted_as_left_out():
    for other in ("keep", "leave_out", "votes_only"):
        for label in ("given", "plurality", "majority"):
            result, report = relabelled(CORPUS, label=label, other=other)
            left_out = sum(count for what, count in report.items() if what.endswith("left out"))
            assert len(result) + left_out == len(CORPUS)
            assert result.information["consensus"]["counts"] == report
            assert {u.emotion for u in result} <= set(result.label_space.classes)


def test_a_random_tie_hangs_on_the_id_alone_and_falls_on_every_tied_class_alike():
    votes = {"sadness": 2.0, "anger": 2.0, "neutral": 1.0}
    found = [plurality(votes, ORDER, ties="random", utterance_id=f"u{n}") for n in range(1000)]
    turned = dict(reversed(votes.items()))
    assert found == [plurality(turned, ORDER, ties="random", utterance_id=f"u{n}") for n in range(1000)]
    counts = Counter(found)
    assert set(counts) == {"anger", "sadness"}
    assert abs(counts["anger"] - 500) < 4 * (1000 * 0.25) ** 0.5  # four standard deviations of a fair coin


def test_exactly_half_is_no_majority_and_fractions_of_votes_will_do():
    assert majority({"anger": 2, "sadness": 1, "neutral": 1}) is None
    assert majority({"anger": 0.1 + 0.2, "sadness": 0.3}) is None
    assert plurality({"anger": 0.1 + 0.2, "sadness": 0.3}, ORDER) is None
    assert majority({"anger": 0.6, "sadness": 0.4}) == "anger"
    assert majority({}) is None
    assert majority({"anger": 0.0}) is None


def test_a_class_with_votes_alone_can_win_and_is_a_class_then():
    corpus = manifest(voted("a", "anger", frustration=2, anger=1), voted("b", "anger", anger=3), classes=("anger",))
    result, report = relabelled(corpus, label="plurality")
    assert result.label_space.classes == ("anger", "frustration")
    assert labels(result) == {"a": "frustration", "b": "anger"}
    assert report == {"labelled otherwise than before": 1}


def test_an_utterance_with_dimensions_stays_for_them_without_its_votes():
    corpus = manifest(voted("a", None, anger=1, sadness=1, dimensions={"arousal": 3.0}), voted("b", "anger", anger=1))
    result, report = relabelled(corpus)
    assert labels(result) == {"a": None, "b": "anger"}
    assert result.utterances[0].votes == {}
    assert report == {"without a label, kept for their dimensions": 1}
    result, _ = relabelled(corpus, no_agreement="votes")
    assert result.utterances[0].votes == {"anger": 1, "sadness": 1}


def test_shares_are_of_the_votes_for_the_classes_alone():
    assert vote_shares({"anger": 1, "other": 2, "sadness": 3}, ("sadness", "anger")) == (0.75, 0.25)
    assert all(math.isnan(share) for share in vote_shares({"other": 2}, ("sadness", "anger")))


def test_rules_that_do_not_fit_are_refused():
    with pytest.raises(CorpusError, match=r"needs votes, and no utterance of the manifest has any; see votes\.<class>"):
        relabelled(manifest(voted("a", "anger")), label="majority")
    with pytest.raises(CorpusError, match="No utterance has a label"):
        relabelled(manifest(voted("a", None, anger=1, sadness=1)), label="plurality")
    with pytest.raises(ConfigError, match="label: Unknown choice 'pluralty', did you mean 'plurality'"):
        relabelled(CORPUS, label="pluralty")
    with pytest.raises(ConfigError, match="minimum is 0"):
        relabelled(CORPUS, minimum=0)


def test_classes_that_only_have_votes_can_be_mapped_and_are_counted():
    corpus = manifest(voted("a", "anger", frustration=2, anger=1), voted("b", "anger", anger=3), classes=("anger",))
    result, report = map_classes(corpus, {"frustration": "anger"})
    assert result.utterances[0].votes == {"anger": 3}
    assert report == {"votes for frustration -> anger": 1}


def test_the_command_labels_a_manifest_and_says_what_it_did(tmp_path, emotune_command):
    CORPUS.write(tmp_path / "all.csv")
    options = ("--rule", "plurality", "--other", "votes_only", "--no-agreement", "votes")
    ended = emotune_command("corpus", "label", tmp_path / "all.csv", "-o", tmp_path / "new.csv", *options)
    assert ended.code == 0, ended.err
    assert "5 utterances, anger 3, neutral 1, without a label 1" in ended.out
    assert "1 tied for the most votes" in ended.err
    assert labels(Manifest.read(tmp_path / "new.csv")) == {
        "clear": "anger", "most": "anger", "tie": None, "other": "anger", "one": "neutral",
    }  # fmt: skip
    ended = emotune_command("corpus", "label", tmp_path / "all.csv", "-o", tmp_path / "x.csv", "--ties", "firsts")
    assert ended.code == 2
    assert "did you mean 'first'" in ended.err


def test_a_manifest_is_not_labelled_over_itself(tmp_path, emotune_command):
    CORPUS.write(tmp_path / "all.csv")
    before = (tmp_path / "all.csv").read_bytes()
    (tmp_path / "link.csv").symlink_to(tmp_path / "all.csv")
    for output in ("all.csv", "link.csv"):
        for command in ("label", "split"):
            ended = emotune_command("corpus", command, tmp_path / "all.csv", "-o", tmp_path / output)
            assert ended.code == 2
            assert "is an input and would be overwritten. Give the output another name." in ended.err
    assert (tmp_path / "all.csv").read_bytes() == before


def test_more_votes_than_can_be_counted_are_refused(tmp_path, emotune_command):
    manifest(voted("huge", "anger", anger=1e308, sadness=1e308)).write(tmp_path / "m.csv")
    ended = emotune_command("corpus", "show", tmp_path / "m.csv")
    assert ended.code == 2
    assert "m.csv, row 1: votes.anger is 1e+308, expected a number from 0 to 1,000,000." in ended.err


def test_votes_given_as_shares_are_not_lost_to_rounding():
    shares = {"anger": 0.7, "sadness": 0.2, "fear": 0.1}
    assert sum(shares.values()) < 1  # in floating point
    manifest = CORPUS.replace_utterances([dataclasses.replace(CORPUS.utterances[0], votes=shares, emotion="anger")])
    for label in ("given", "plurality", "majority"):
        result, report = relabelled(manifest, label=label)
        assert result.utterances[0].votes == shares
        assert result.utterances[0].emotion == "anger"
        assert not report
