"""Annotators' votes the whole way: a manifest with disagreement, training on its votes, scores against them."""

import dataclasses
import json
from pathlib import Path

import pytest

from builders.recipes import write_recipe
from emotune.metrics import METRICS
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions


@pytest.fixture
def recipe(tones, tmp_path) -> Path:
    """The tones with four votes each: every fourth utterance has a tie and no emotion, one vote in some is astray."""
    utterances = []
    for number, utterance in enumerate(tones):
        other = "neutral" if utterance.emotion == "anger" else "anger"
        if number % 4 == 3:
            utterances.append(dataclasses.replace(utterance, emotion=None, votes={"anger": 2.0, "neutral": 2.0}))
        else:
            votes = {str(utterance.emotion): 3.0, other: 1.0} if number % 4 else {str(utterance.emotion): 4.0}
            utterances.append(dataclasses.replace(utterance, votes=votes))
    tones.replace_utterances(utterances).write(tmp_path / "voted.csv")
    return write_recipe(
        tmp_path / "recipe.yaml",
        tmp_path / "voted.csv",
        backbone={"train_front_end": True},
        model={"dropout": 0.0},
        train={"epochs": 2, "encoder_lr": 1e-3, "head_lr": 1e-2},
    )


SOFT = ("loss.soft_cross_entropy.weight=1", "loss.cross_entropy.weight=0")


def test_utterances_without_agreement_are_learnt_from_and_scored_by_their_votes(recipe, tmp_path, emotune_command):
    options = (*SOFT, "data.votes.no_agreement=votes", "train.metric=vote_similarity")
    ended = emotune_command("train", recipe, *options, "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "votes: 6 utterances without a label, kept for their votes" in ended.err
    assert "votes: 0 of 16 training utterances have none" in ended.err
    kept = Manifest.read(tmp_path / "run" / "manifest.csv")
    assert (len(kept), sum(u.emotion is None for u in kept)) == (24, 6)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["best"] for row in rows].count(True) == 1
    best = max(rows, key=lambda row: row["development_vote_similarity"])
    assert best["best"]

    report = json.loads((tmp_path / "run" / "development" / "report.json").read_text())
    development = kept.split("development")
    predicted = Predictions.read(tmp_path / "run" / "development" / "predictions.csv").by_id()
    votes = [[u.votes.get(name, 0) / 4 for name in ("anger", "neutral")] for u in development]
    said = [[predicted[u.utterance_id].probabilities[name] for name in ("anger", "neutral")] for u in development]
    assert (report["votes"]["utterances"], report["votes"]["unlabelled"], report["scored"]) == (8, 2, 6)
    for name in ("jensen_shannon", "soft_macro_f1"):
        assert report["votes"]["scores"][name]["value"] == pytest.approx(METRICS[name](votes, said))
    shown = report["votes"]["scores"]["jensen_shannon"]["value"]
    assert f"development votes jensen_shannon {shown:.3f}" in ended.out
    assert 1 - shown == pytest.approx(best["development_vote_similarity"], abs=1e-4)
    assert 'id="votes"' in (tmp_path / "run" / "development" / "report.html").read_text(encoding="utf-8")


def test_without_the_rule_they_are_left_out_and_counted(recipe, tmp_path, emotune_command):
    ended = emotune_command("train", recipe, *SOFT, "train.epochs=1", "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "left out: 6 utterances without a label to learn" in ended.err
    assert len(Manifest.read(tmp_path / "run" / "manifest.csv")) == 18


def test_both_losses_together_learn_labels_where_there_are_some(recipe, tmp_path, emotune_command):
    options = ("loss.kl.weight=0.5", "data.votes.no_agreement=votes", "data.votes.label=majority", "train.epochs=1")
    ended = emotune_command("train", recipe, *options, "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert len(Manifest.read(tmp_path / "run" / "manifest.csv")) == 24


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["data.votes.no_agreement=votes"], "there is none; give loss.soft_cross_entropy.weight or loss.kl.weight"),
        (
            [*SOFT, "data.votes.no_agreement=vote"],
            "data.votes.no_agreement: input should be 'leave_out', 'votes' or 'class'",
        ),
        ([*SOFT, "data.votes.minimum=0"], "data.votes.minimum: input should be greater than or equal to 1"),
        ([*SOFT, "data.votes.tie=first"], "data.votes.tie: Unknown key 'tie', did you mean 'ties'?"),
        ([*SOFT, "data.votes.minimum=9", "data.votes.label=plurality"], "No utterance has a label"),
    ],
)
def test_rules_that_cannot_be_followed_are_named(recipe, emotune_command, options, said):
    ended = emotune_command("train", recipe, *options, "--dry-run")
    assert ended.code == 2
    assert said in ended.err


def test_a_metric_of_votes_needs_votes(recipe, tones, emotune_command):
    bare = f"data.manifest={tones.root / 'manifest.csv'}"
    ended = emotune_command("train", recipe, bare, "train.metric=vote_similarity", "--dry-run")
    assert ended.code == 2
    assert "train.metric: vote_similarity needs votes, and no development utterance has any" in ended.err
