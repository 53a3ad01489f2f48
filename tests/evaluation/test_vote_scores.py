"""Predictions against votes: figures worked out apart, utterances without a label among them, nothing else changed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from builders.manifests import manifest_of, utterances
from builders.predictions import table_of
from emotune.errors import CorpusError
from emotune.evaluation import evaluate, scores
from emotune.io.tables import to_json
from emotune.metrics import METRICS
from emotune.report.evaluation_page import write_report
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import Utterance

CLASSES = ("anger", "sadness", "neutral")
SPACE = LabelSpace(CLASSES)


def corpus(size: int = 90, *, seed: int = 0) -> tuple[Manifest, Predictions, np.ndarray, np.ndarray]:
    """Five votes an utterance by ten speakers, a label where a class has a majority; predictions near the votes."""
    generator = np.random.default_rng(seed)
    chances = generator.dirichlet(np.ones(3), size=size)
    counts = np.array([generator.multinomial(5, row) for row in chances])
    said = 0.8 * chances + 0.2 * generator.dirichlet(np.ones(3), size=size)
    rows = utterances(
        size,
        speaker=lambda n: f"s{n % 10}",
        emotion=[CLASSES[row.argmax()] if row.max() > 2 else None for row in counts],
        votes=[{name: float(count) for name, count in zip(CLASSES, row, strict=True) if count} for row in counts],
    )
    return manifest_of(*rows, classes=CLASSES), table_of(said, CLASSES), counts / 5, said


def test_figures_against_votes_are_the_metrics_of_all_utterances_with_votes():
    manifest, predictions, votes, said = corpus()
    found = evaluate(manifest, predictions, resamples=200).votes
    assert found is not None
    assert found.utterances == 90
    assert found.unlabelled == sum(u.emotion is None for u in manifest) > 5
    for name in METRICS:
        if METRICS[name].compares == "distributions":
            score = found.scores[name]
            assert score.value == pytest.approx(METRICS[name](votes, said)), name
            assert score.low < score.value < score.high
    human, model = (scipy.stats.entropy(table, base=2, axis=1) for table in (votes, said))
    correlation = scipy.stats.pearsonr(human, model).statistic
    assert found.scores["entropy_correlation"].value == pytest.approx(correlation)
    assert found.human_entropy == pytest.approx(human.mean())
    assert found.model_entropy == pytest.approx(model.mean())


def test_intervals_are_those_of_drawing_speakers():
    manifest, predictions, votes, said = corpus()
    score = evaluate(manifest, predictions, resamples=2000).votes.scores["soft_macro_f1"]
    generator = np.random.default_rng(1)
    drawn = []
    for _ in range(1000):
        rows = np.concatenate([np.arange(speaker, 90, 10) for speaker in generator.integers(10, size=10)])
        drawn.append(METRICS["soft_macro_f1"](votes[rows], said[rows]))
    assert (score.low, score.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_levels_of_agreement_hold_every_utterance_once_with_its_accuracy():
    manifest, predictions, votes, said = corpus()
    levels = evaluate(manifest, predictions, resamples=50).votes.levels
    assert [level.name for level in levels] == ["half or less", "up to three quarters", "over three quarters", "all"]
    assert sum(level.utterances for level in levels) == 90
    labels = np.array([u.emotion or "" for u in manifest])
    right = np.array(CLASSES)[said.argmax(axis=1)] == labels
    for level, share in zip(levels, (0.4, 0.6, 0.8, 1.0), strict=True):
        rows = np.isclose(votes.max(axis=1), share)
        labelled = rows & (labels != "")
        assert (level.utterances, level.labelled) == (rows.sum(), labelled.sum())
        assert level.jensen_shannon.value == pytest.approx(METRICS["jensen_shannon"](votes[rows], said[rows]))
        if labelled.any():
            assert level.accuracy.value == pytest.approx(right[labelled].mean())
    assert np.isnan(levels[0].accuracy.value)


def test_bins_of_entropy_hold_every_utterance_once_with_its_scores():
    manifest, predictions, votes, said = corpus()
    found = evaluate(manifest, predictions, resamples=50).votes
    human = scipy.stats.entropy(votes, base=2, axis=1)
    edges = {
        "0": (-1, 1e-6),
        "up to 0.5": (1e-6, 0.5),
        "up to 1": (0.5, 1),
        "up to 1.5": (1, 1.5),
        "over 1.5": (1.5, 9),
    }
    rows = {name: (human > low) & (human <= high) for name, (low, high) in edges.items()}
    assert {item.name: item.utterances for item in found.entropy_bins} == {
        name: part.sum() for name, part in rows.items() if part.any()
    }
    for item in found.entropy_bins:
        part = rows[item.name]
        assert item.jensen_shannon.value == pytest.approx(METRICS["jensen_shannon"](votes[part], said[part]))
    assert [item["entropy_bits"] for item in found.to_json()["by_entropy"]] == [i.name for i in found.entropy_bins]


def test_utterances_with_votes_alone_change_no_other_figure():
    manifest, predictions, _, _ = corpus()
    labelled = manifest.filter(lambda u: u.emotion is not None)
    every, some = evaluate(manifest, predictions, resamples=50), evaluate(labelled, predictions, resamples=50)
    assert every.scored == some.scored == len(labelled)
    everything, less = every.to_json(), some.to_json()
    kept = set(less) - {"utterances", "not_scored", "votes", "notes"}
    assert {"overall", "confusion", "per_class", "calibration", "groups", "speakers", "clusters"} <= kept
    assert to_json({name: everything[name] for name in kept}) == to_json({name: less[name] for name in kept})
    reasons = {item.reason: item.count for item in every.not_scored}
    assert reasons == {"votes but no label in the manifest, scored against the votes alone": 90 - len(labelled)}


def test_what_has_no_votes_or_no_prediction_is_counted_and_named():
    manifest, predictions, votes, said = corpus()
    unlabelled = [n for n, u in enumerate(manifest) if u.emotion is None]
    labelled = [n for n, u in enumerate(manifest) if u.emotion is not None]
    people, rows = list(manifest), list(predictions)
    rows[unlabelled[0]] = Prediction(f"u{unlabelled[0]}", error="too short")
    gone = unlabelled[1]
    del rows[gone]
    bare = people[labelled[0]]
    people[labelled[0]] = Utterance(bare.utterance_id, "a.wav", speaker=bare.speaker, emotion=bare.emotion)
    voted = people[labelled[1]]
    people[labelled[1]] = Utterance(
        voted.utterance_id, "a.wav", speaker=voted.speaker, emotion=voted.emotion, votes={**voted.votes, "boredom": 2}
    )
    found = evaluate(manifest.replace_utterances(people), Predictions(tuple(rows), SPACE), resamples=10)
    left = [n for n in range(90) if n not in (unlabelled[0], gone, labelled[0])]
    assert found.votes.utterances == 87
    assert found.votes.scores["jensen_shannon"].value == pytest.approx(
        METRICS["jensen_shannon"](votes[left], said[left])
    )
    notes = " ".join(found.notes)
    assert "1 of 90 utterances have no votes" in notes
    assert f"no prediction: 1, such as u{gone}" in notes
    assert f"the prediction failed: 1, such as u{unlabelled[0]} (too short)" in notes
    assert "boredom (2)" in notes
    assert found.votes.to_json()["votes_for_other_classes"] == {"boredom": 2}


def test_votes_without_any_label_can_be_scored_by_themselves(tmp_path):
    manifest, predictions, votes, said = corpus()
    bare = manifest.filter(lambda u: u.emotion is None)
    found = evaluate(bare, predictions, resamples=50)
    assert (found.scored, dict(found.overall)) == (0, {})
    rows = [n for n, u in enumerate(manifest) if u.emotion is None]
    expected = METRICS["jensen_shannon"](votes[rows], said[rows])
    assert found.votes.scores["jensen_shannon"].value == pytest.approx(expected)
    assert scores(bare, predictions) == {"vote_similarity": pytest.approx(1 - expected)}
    write_report(tmp_path, found, title="votes alone")
    assert 'id="votes"' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_one_vote_says_nothing_of_agreement_and_shares_are_no_single_votes():
    rows = [
        Utterance("single", "a.wav", votes={"anger": 1}),
        Utterance("both", "a.wav", votes={"anger": 2}),
        Utterance("shares", "a.wav", votes={"anger": 0.6, "sadness": 0.4}),
    ]
    said = [Prediction(u.utterance_id, {"anger": 0.5, "sadness": 0.3, "neutral": 0.2}) for u in rows]
    found = evaluate(Manifest(tuple(rows), SPACE, Path()), Predictions(tuple(said), SPACE), resamples=0)
    assert {level.name: level.utterances for level in found.votes.levels} == {
        "up to three quarters": 1, "all": 1, "a single vote": 1,
    }  # fmt: skip


def test_a_corpus_without_votes_has_no_such_figures_and_its_report_no_such_section(tmp_path):
    manifest, predictions, _, _ = corpus()
    bare = [Utterance(u.utterance_id, "a.wav", emotion=u.emotion) for u in manifest if u.emotion]
    found = evaluate(manifest.replace_utterances(bare), predictions, resamples=10)
    assert found.votes is None
    assert "vote_similarity" not in scores(manifest.replace_utterances(bare), predictions)
    write_report(tmp_path, found, title="no votes")
    assert 'id="votes"' not in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(CorpusError, match="None of the manifest's 1 utterances"):
        evaluate(manifest.replace_utterances([Utterance("u0", "a.wav", votes={"boredom": 2})]), predictions)


@pytest.mark.drawn
def test_the_report_shows_the_votes_and_its_json_holds_them(tmp_path):
    manifest, predictions, _, _ = corpus()
    found = evaluate(manifest, predictions, resamples=100)
    write_report(tmp_path, found, title="votes")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    part = page[page.index('<section id="votes"') :]
    part = part[: part.index("</section>")]
    assert len(re.findall(r"<svg role=\"img\" aria-label", part)) == 2
    assert f"{found.votes.unlabelled} of them without a label" in part
    data = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)["votes"]
    assert data["scores"]["jensen_shannon"]["value"] == found.votes.scores["jensen_shannon"].value
    assert [level["utterances"] for level in data["by_agreement"]] == [level.utterances for level in found.votes.levels]
    assert data["by_agreement"][0]["accuracy"]["value"] is None
