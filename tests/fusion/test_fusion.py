"""Fusion of systems: weights, stacking, majority; its parts of development; what it refuses."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score

import builders.manifests
from builders import predictions
from builders.manifests import utterances
from builders.predictions import failing, softmax
from emotune.errors import ConfigError, CorpusError, TableError
from emotune.fusion import METHODS, fuse_tables
from emotune.fusion.development_parts import in_two
from emotune.fusion.objective import Objective
from emotune.fusion.stacking import fit as fit_stacking
from emotune.fusion.weights import best_weights
from emotune.metrics import METRICS
from emotune.schema.labels import Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions

CLASSES = ("anger", "happiness", "sadness", "neutral")


def independent(systems: int, utterances: int, seed: int, classes: int = 4) -> np.ndarray:
    """Probabilities of systems that have nothing in common."""
    return softmax(np.random.default_rng(seed).normal(0, 1.5, (systems, utterances, classes)))


def manifest_of(truth: np.ndarray, *, speakers: int | None = 10, dimensions: np.ndarray | None = None) -> Manifest:
    scales = {} if dimensions is None else {"arousal": Scale(1, 7), "valence": Scale(1, 7)}
    rows = utterances(
        len(truth),
        name="u{:05d}",
        speaker=None if speakers is None else lambda number: f"s{number % speakers}",
        split="development",
        emotion=[CLASSES[label] for label in truth],
        dimensions={} if dimensions is None else [dict(zip(scales, row, strict=True)) for row in dimensions],
    )
    return builders.manifests.manifest_of(*rows, classes=CLASSES, dimensions=scales)


def table_of(manifest: Manifest, probabilities: np.ndarray, failed: tuple[int, ...] = ()) -> Predictions:
    names = [u.utterance_id for u in manifest]
    table = predictions.table_of(probabilities, CLASSES, names=names)
    return failing(table, *(names[number] for number in failed), error="broken file")


def planted(weights: list[float], utterances: int = 3000, seed: int = 0) -> tuple[Manifest, list[Predictions]]:
    """A truth that is the most probable class of a weighted sum: these weights alone get everything right."""
    values = independent(len(weights), utterances, seed)
    manifest = manifest_of(np.tensordot(weights, values, axes=1).argmax(axis=1))
    return manifest, [table_of(manifest, own) for own in values]


@pytest.mark.parametrize("weights", [[0.5, 0.3, 0.2], [0.45, 0.25, 0.2, 0.1], [0.7, 0.0, 0.3]])
def test_planted_weights_are_recovered(weights):
    manifest, tables = planted(weights)
    names = [f"system {number}" for number in range(len(weights))]
    fitted = fuse_tables(names, manifest, tables)
    assert list(fitted.weights.values()) == pytest.approx(weights, abs=0.05)
    assert fitted.fitted_on.fused > 0.99
    assert fitted.reported_on.fused > 0.98
    assert fitted.gain > 0.1


def test_planted_weights_of_dimensions_are_recovered():
    generator = np.random.default_rng(0)
    values = generator.uniform(1, 7, (3, 500, 2))
    truth = np.tensordot([0.6, 0.3, 0.1], values, axes=1)
    manifest = manifest_of(np.zeros(500, dtype=int), dimensions=truth)
    scales = manifest.label_space.dimensions
    tables = [
        predictions.predictions_of(
            *(
                Prediction(u.utterance_id, dimensions=dict(zip(scales, row.tolist(), strict=True)))
                for u, row in zip(manifest, own, strict=True)
            ),
            dimensions=scales,
        )
        for own in values
    ]
    fitted = fuse_tables(["a", "b", "c"], manifest, tables, metric="ccc")
    assert list(fitted.weights.values()) == pytest.approx([0.6, 0.3, 0.1], abs=0.01)
    assert fitted.reported_on.fused == pytest.approx(1.0, abs=1e-3)
    fused = fitted.apply(tables)
    np.testing.assert_allclose([row.dimensions["valence"] for row in fused], truth[:, 1], atol=0.1)
    ridge = fuse_tables(["a", "b", "c"], manifest, tables, metric="ccc", method="stacking")
    assert ridge.reported_on.fused > 0.999


@given(
    systems=st.integers(1, 4),
    utterances=st.integers(4, 60),
    seed=st.integers(0, 5),
    metric=st.sampled_from(["macro_f1", "uar", "accuracy"]),
)
@settings(max_examples=15, deadline=None)
def test_weights_keep_their_constraints_and_are_never_below_the_best_single(systems, utterances, seed, metric):
    values = independent(systems, utterances, seed)
    truth = np.random.default_rng(seed).integers(0, 4, utterances).astype(float)
    objective = Objective(truth, metric, 4)
    found = best_weights(objective.of_weights(values), systems, seed=seed)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1.0)
    assert objective.score(np.tensordot(found, values, axes=1)) >= max(objective.score(own) for own in values) - 1e-12


def test_the_search_is_the_same_for_the_same_seed():
    manifest, tables = planted([0.5, 0.3, 0.2], utterances=300)
    first, again = (fuse_tables(["a", "b", "c"], manifest, tables, seed=3) for _ in range(2))
    assert first.to_json() == again.to_json()


def test_equal_systems_get_equal_weights():
    values = independent(1, 200, 0)[0]
    truth = values.argmax(axis=1).astype(float)
    score = Objective(truth, "macro_f1", 4).of_weights(np.stack([values] * 3))
    np.testing.assert_allclose(best_weights(score, 3, seed=0), 1 / 3, atol=0.01)


def test_weights_lie_in_the_middle_of_what_scores_the_same():
    def score(weights: np.ndarray) -> float:
        return float(0.2 <= weights[0] <= 0.6)

    assert best_weights(score, 2, seed=0)[0] == pytest.approx(0.4, abs=0.01)


def test_figures_are_those_of_the_metrics_room_and_of_scikit_learn():
    values, truth = independent(3, 150, 1), np.random.default_rng(1).integers(0, 4, 150)
    weights = np.array([0.2, 0.5, 0.3])
    fused = np.tensordot(weights, values, axes=1)
    for metric in ("macro_f1", "uar", "accuracy"):
        objective = Objective(truth.astype(float), metric, 4)
        expected = METRICS[metric](truth, fused.argmax(axis=1))
        assert objective.of_weights(values)(weights) == pytest.approx(expected)
        assert objective.score(fused) == pytest.approx(expected)
    assert Objective(truth.astype(float), "macro_f1", 4).score(fused) == pytest.approx(
        f1_score(truth, fused.argmax(axis=1), average="macro")
    )
    numbers = np.random.default_rng(2).normal(4, 1, (150, 2))
    numbers[::7, 0] = np.nan
    objective = Objective(numbers, "ccc", 2)
    known = np.isfinite(numbers[:, 0])
    expected = np.mean([METRICS["ccc"](numbers[known, 0], fused[known, 0]), METRICS["ccc"](numbers[:, 1], fused[:, 1])])
    assert objective.score(fused[:, :2]) == pytest.approx(expected)
    assert objective.of_weights(values[:, :, :2])(weights) == pytest.approx(expected)


def test_ridge_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    values, truth = generator.normal(size=(3, 80, 1)), generator.normal(size=(80, 1))
    stacked = fit_stacking(values, Objective(truth, "ccc", 1), seed=0)
    features = values[:, :, 0].T
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = Ridge(alpha=1.0).fit(standard, truth[:, 0]).predict(standard)
    np.testing.assert_allclose(stacked.combine(values)[:, 0], expected)


def test_stacking_trusts_the_system_that_knows():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, 400)
    good = softmax(np.eye(4)[truth] * 3 + generator.normal(0, 1, (400, 4)))
    noise = softmax(generator.normal(0, 3, (400, 4)))
    manifest = manifest_of(truth)
    tables = [table_of(manifest, own) for own in (noise, good)]
    fitted = fuse_tables(["noise", "good"], manifest, tables, method="stacking")
    assert fitted.best_single == "good"
    assert abs(fitted.gain) < 0.05
    assert fitted.left_out["good"] < 0.4 < fitted.left_out["noise"]
    for row in fitted.apply(tables):
        assert sum(row.probabilities.values()) == pytest.approx(1.0)
    assert fitted.weights is None


def test_stacking_does_not_fall_for_many_noisy_features():
    """24 features and 120 utterances: without enough regularisation the part that is fitted on is learnt by heart."""
    generator = np.random.default_rng(2)
    truth = generator.integers(0, 4, 240)
    systems = [softmax(np.eye(4)[truth] * 1.5 + generator.normal(0, 1, (240, 4))) for _ in range(6)]
    manifest = manifest_of(truth)
    names = [str(n) for n in range(6)]
    fitted = fuse_tables(names, manifest, [table_of(manifest, s) for s in systems], method="stacking")
    assert fitted.gain > 0.1
    assert fitted.fitted_on.fused - fitted.reported_on.fused < 0.15


def test_stacking_of_two_classes_equals_its_own_softmax():
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 2, 200)
    values = softmax(np.eye(2)[truth] * 1.5 + generator.normal(0, 1, (2, 200, 2)))
    stacked = fit_stacking(values, Objective(truth.astype(float), "accuracy", 2), seed=0)
    features = np.log(np.maximum(values, 1e-6)).transpose(1, 0, 2).reshape(200, 4)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    found = stacked.combine(values)
    expected = [
        LogisticRegression(C=strength, max_iter=2000).fit(standard, truth).predict_proba(standard)
        for strength in (0.003, 0.03, 0.3)
    ]
    assert min(np.abs(found - one).max() for one in expected) < 1e-6


def test_majority_breaks_ties_by_mean_probability_and_does_without_a_system():
    manifest = manifest_of(np.array([0, 1, 2, 3]), speakers=None)
    a = np.array([[0.9, 0.1, 0, 0], [0.2, 0.8, 0, 0], [0.1, 0, 0.9, 0], [0, 0.1, 0, 0.9]])
    b = np.array([[0.4, 0.6, 0, 0], [0.1, 0.9, 0, 0], [1, 0, 0, 0], [0.6, 0.1, 0, 0.3]])
    c = np.array([[0.3, 0.7, 0, 0], [0.9, 0.1, 0, 0], [0.1, 0.8, 0.1, 0], [0.1, 0, 0, 0.9]])
    tables = [table_of(manifest, a), table_of(manifest, b), table_of(manifest, c, failed=(3,))]
    fitted = fuse_tables(["a", "b", "c"], manifest, tables, method="majority", fit_share=0.5)
    fused = fitted.apply(tables)
    assert [row.emotion for row in fused][:2] == ["happiness", "happiness"]
    assert fused.rows[2].emotion == "anger"  # a tie of three with mean probabilities .4, .333 and .267
    assert fused.rows[3].emotion == "neutral"  # a against b, since c failed: .6 against .3
    assert all(sum(row.probabilities.values()) == pytest.approx(1) for row in fused)


@given(seed=st.integers(0, 50), systems=st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_majority_is_a_class_with_the_most_votes(seed, systems):
    values = independent(systems, 30, seed)
    fused = METHODS["majority"](values, Objective(np.zeros(30), "macro_f1", 4), seed=0).combine(values)
    votes = np.eye(4)[values.argmax(axis=2)].sum(axis=0)
    means = values.mean(axis=0)
    for row, count, mean in zip(fused, votes, means, strict=True):
        tied = np.flatnonzero(count == count.max())
        assert row.argmax() == tied[mean[tied].argmax()]


def test_a_row_that_one_system_failed_on_is_an_error_that_names_it():
    manifest, tables = planted([0.6, 0.4], utterances=200)
    tables[1] = table_of(manifest, independent(1, 200, 5)[0], failed=(7,))
    fitted = fuse_tables(["first", "second"], manifest, tables)
    row = fitted.apply(tables).rows[7]
    assert row.error == "no answer of second: broken file"
    assert not row.probabilities
    assert any("1 of 200 development utterances" in note for note in fitted.notes)


def test_a_clip_in_which_one_system_heard_nothing_keeps_its_warning_when_fused():
    manifest, tables = planted([0.6, 0.4], utterances=200)
    rows = list(tables[1].rows)
    rows[7] = dataclasses.replace(rows[7], warning="silent: every sample is 0")
    fitted = fuse_tables(["first", "second"], manifest, tables)
    fused = fitted.apply([tables[0], dataclasses.replace(tables[1], rows=tuple(rows))])
    assert fused.warnings == {rows[7].utterance_id: "silent: every sample is 0"}
    assert fused.rows[7].probabilities == fitted.apply(tables).rows[7].probabilities


def test_fusing_is_the_weighted_sum():
    manifest, tables = planted([0.6, 0.4], utterances=200)
    fitted = fuse_tables(["first", "second"], manifest, tables)
    fused = fitted.apply(tables)
    first, second = (table.rows[3].probabilities for table in tables)
    weights = fitted.weights
    for name in CLASSES:
        expected = weights["first"] * first[name] + weights["second"] * second[name]
        assert fused.rows[3].probabilities[name] == pytest.approx(expected)


def test_speakers_lie_in_one_part_and_unknown_ones_are_said():
    manifest = manifest_of(np.random.default_rng(0).integers(0, 4, 200))
    fit, report, notes = in_two(manifest, fit_share=0.5, seed=0)
    assert not {u.speaker for u in fit} & {u.speaker for u in report}
    assert len(fit) + len(report) == 200
    assert not notes
    unknown = manifest_of(np.random.default_rng(0).integers(0, 4, 200), speakers=None)
    fit, report, notes = in_two(unknown, fit_share=0.3, seed=0)
    assert len(fit) == 60
    assert "same speakers" in notes[0]
    for name in CLASSES:
        of_class = [u.emotion for u in unknown].count(name)
        assert abs([u.emotion for u in fit].count(name) - 0.3 * of_class) <= 1


def test_one_unknown_speaker_leaves_all_others_in_one_part():
    manifest = manifest_of(np.random.default_rng(0).integers(0, 4, 300), speakers=30)
    one = manifest.replace_utterances([dataclasses.replace(manifest.utterances[0], speaker=None), *manifest][:300])
    one = one.replace_utterances([u for n, u in enumerate(one) if n != 1])
    fit, report, notes = in_two(one, fit_share=0.5, seed=0)
    assert not ({u.speaker for u in fit} & {u.speaker for u in report}) - {None}
    assert len(fit) + len(report) == len(one)
    assert notes[0].startswith("1 of 299 development utterances are of unknown speakers")
    many = one.replace_utterances([dataclasses.replace(u, speaker=None) if n % 2 else u for n, u in enumerate(one)])
    fit, report, notes = in_two(many, fit_share=0.5, seed=0)
    assert abs(sum(u.speaker is None for u in fit) - sum(u.speaker is None for u in report)) <= 1


def test_stacking_is_not_taken_in_by_answers_that_know_the_speaker():
    """Each voice is recognised, but only one feature of forty tells of the class: strong regularisation is right."""
    generator = np.random.default_rng(0)
    speakers = np.repeat(np.arange(60), 10)
    classes = generator.integers(0, 2, 60)
    voices = generator.normal(0, 1, (60, 40))
    voices[:, 0] += 0.8 * (2 * classes - 1)
    values = softmax(voices[speakers] + generator.normal(0, 0.3, (600, 40)))[None]
    objective = Objective(classes[speakers].astype(float), "uar", 40)
    by_speaker = fit_stacking(values, objective, seed=0, speakers=[str(n) for n in speakers])
    by_utterance = fit_stacking(values, objective, seed=0)
    assert np.linalg.norm(by_speaker.coefficients) < np.linalg.norm(by_utterance.coefficients) / 5
    assert np.isfinite(fit_stacking(values, objective, seed=0, speakers=["one"] * 600).coefficients).all()


def test_leaving_out_the_only_good_system_costs_the_most():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, 600)
    systems = [softmax(np.eye(4)[truth] * gain + generator.normal(0, 1, (600, 4))) for gain in (2.5, 0.5, 0.4)]
    manifest = manifest_of(truth)
    fitted = fuse_tables(["good", "weak", "weaker"], manifest, [table_of(manifest, own) for own in systems])
    assert fitted.left_out["good"] < fitted.left_out["weak"]
    assert fitted.left_out["good"] < fitted.left_out["weaker"]
    assert fitted.fitted_on.fused >= max(fitted.fitted_on.singles.values())


def test_what_cannot_be_fused_is_refused_plainly():
    manifest, (first, second) = planted([0.6, 0.4], utterances=60)
    with pytest.raises(ConfigError, match="two systems at least"):
        fuse_tables(["a"], manifest, [first])
    with pytest.raises(ConfigError, match="given twice"):
        fuse_tables(["a", "a"], manifest, [first, second])
    with pytest.raises(ConfigError, match="did you mean 'weights'"):
        fuse_tables(["a", "b"], manifest, [first, second], method="weight")
    with pytest.raises(ConfigError, match="--metric"):
        fuse_tables(["a", "b"], manifest, [first, second], metric="f1")
    with pytest.raises(ConfigError, match="--method majority is of classes"):
        fuse_tables(["a", "b"], manifest, [first, second], method="majority", metric="ccc")
    with pytest.raises(TableError, match="predicts no dimensions"):
        fuse_tables(["a", "b"], manifest, [first, second], metric="ccc")
    other = predictions.predictions_of(
        *(Prediction(row.utterance_id, {"anger": 1.0, "fear": 0.0}) for row in second), classes=("anger", "fear")
    )
    with pytest.raises(TableError, match="different classes"):
        fuse_tables(["a", "b"], manifest, [first, other])
    with pytest.raises(TableError, match="b has no row for 1 of 60"):
        fuse_tables(["a", "b"], manifest, [first, dataclasses.replace(second, rows=second.rows[1:])])
    unlabelled = manifest.replace_utterances([dataclasses.replace(u, emotion=None) for u in manifest])
    with pytest.raises(CorpusError, match="No development utterance has a class"):
        fuse_tables(["a", "b"], unlabelled, [first, second])
    fitted = fuse_tables(["a", "b"], manifest, [first, second])
    with pytest.raises(TableError, match="b has rows that a has not"):
        fitted.apply([dataclasses.replace(first, rows=first.rows[1:]), second])
    with pytest.raises(ConfigError, match="need as many tables"):
        fitted.apply([first])
