"""Linear probes: equal to scikit-learn, and blind to what they must not see."""

import dataclasses
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from builders.manifests import manifest_of, utterances
from emotune.errors import CorpusError
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.training import linear
from emotune.training.linear import fit_linear, leave_groups_out, predict_linear
from emotune.training.run import metric_of

CLASSES = ("anger", "happiness", "neutral")
GRID = [0.01, 0.1, 1.0]
UAR = partial(metric_of, metric="uar")


def example(*, speakers: int = 4, each: int = 12, layers: int = 3, classes: int = 3, seed: int = 0):
    """Features of shape (utterances, layers, 8); the middle layer tells most of the class."""
    generator = np.random.default_rng(seed)
    size = speakers * each
    truth = np.arange(size) % classes
    features = generator.normal(2, 3, size=(size, layers, 8))
    features[:, 1, :classes] += 5 * np.eye(classes)[truth]
    rows = utterances(
        size,
        speaker=lambda n: f"s{n // each}",
        emotion=[CLASSES[label] for label in truth],
        dimensions=[{"arousal": 1 + 2 * label + float(generator.uniform(0, 1))} for label in truth],
    )
    manifest = manifest_of(*rows, classes=CLASSES[:classes], dimensions={"arousal": Scale(1, 7)})
    return features, manifest, manifest.label_space


def probabilities(predictions) -> np.ndarray:
    return np.array([list(row.probabilities.values()) for row in predictions])


def values(predictions) -> np.ndarray:
    return np.array([row.dimensions["arousal"] for row in predictions])


def test_an_utterance_that_counts_twice_is_as_good_as_two():
    features, manifest, space = example()
    x, times = features[:, 1], 1.0 + (np.arange(len(manifest)) % 4 == 0)
    chosen = np.repeat(np.arange(len(manifest)), times.astype(int))
    found = fit_linear(x, manifest, space, inverse_regularisation=0.1, times=times)
    rows = manifest.replace_utterances([manifest.utterances[n] for n in chosen])
    expected = fit_linear(x[chosen], rows, space, inverse_regularisation=0.1)
    for name in ("mean", "std", "class_weight", "class_bias", "dimension_weight", "dimension_bias"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_classes_are_those_of_logistic_regression_with_balanced_weights(classes, strength):
    features, manifest, space = example(classes=classes)
    kept = manifest.replace_utterances([u for n, u in enumerate(manifest) if n % 5])
    x = features[np.arange(len(features)) % 5 > 0, 1]
    found = predict_linear(fit_linear(x, kept, space, inverse_regularisation=strength), features[:, 1], manifest, space)
    scaler = StandardScaler().fit(x)
    truth = [CLASSES.index(u.emotion) for u in kept]
    reference = LogisticRegression(C=strength, class_weight="balanced", max_iter=5000).fit(scaler.transform(x), truth)
    expected = reference.predict_proba(scaler.transform(features[:, 1]))
    np.testing.assert_allclose(probabilities(found), expected, rtol=0, atol=1e-6)
    assert [row.utterance_id for row in found] == [u.utterance_id for u in manifest]


def test_dimensions_are_those_of_ridge_regression_on_the_unit_scale():
    features, manifest, space = example()
    found = predict_linear(
        fit_linear(features[:, 1], manifest, space, inverse_regularisation=0.1), features[:, 1], manifest, space
    )
    x = StandardScaler().fit_transform(features[:, 1])
    y = np.array([u.dimensions["arousal"] for u in manifest])
    np.testing.assert_allclose(values(found), Ridge(alpha=10).fit(x, y).predict(x), rtol=0, atol=1e-6)


def test_values_beyond_the_scale_are_brought_to_its_ends():
    features, manifest, space = example()
    wide = features[:, 1] * 50  # far from what the regression was fitted on
    found = values(
        predict_linear(fit_linear(features[:, 1], manifest, space, inverse_regularisation=1.0), wide, manifest, space)
    )
    assert (found.min(), found.max()) == (1.0, 7.0)


def test_utterances_without_a_class_or_a_value_do_not_count_for_it():
    features, manifest, space = example()
    standing = StandardScaler().fit(features[:, 1])
    lacking = {0: {"emotion": None}, 1: {"dimensions": {}}}
    rows = [dataclasses.replace(u, **lacking.get(n % 4, {})) for n, u in enumerate(manifest)]
    fitted = fit_linear(features[:, 1], manifest.replace_utterances(rows), space, inverse_regularisation=1.0)
    found = predict_linear(fitted, features[:, 1], manifest, space)
    x, n = standing.transform(features[:, 1]), np.arange(len(features))
    truth = np.array([CLASSES.index(u.emotion) for u in manifest])
    reference = LogisticRegression(class_weight="balanced", max_iter=5000).fit(x[n % 4 != 0], truth[n % 4 != 0])
    np.testing.assert_allclose(probabilities(found), reference.predict_proba(x), rtol=0, atol=1e-6)
    y = np.array([u.dimensions["arousal"] for u in manifest])
    ridge = Ridge(alpha=1).fit(x[n % 4 != 1], y[n % 4 != 1])
    np.testing.assert_allclose(values(found), ridge.predict(x), rtol=0, atol=1e-6)


def test_dimensions_alone_and_classes_alone_can_be_learnt():
    features, manifest, space = example()
    for part in (LabelSpace(CLASSES), LabelSpace((), space.dimensions)):
        fitted = fit_linear(features[:, 1], manifest, part, inverse_regularisation=1.0)
        row = predict_linear(fitted, features[:, 1], manifest, part).rows[0]
        assert set(row.probabilities) == set(part.classes)
        assert set(row.dimensions) == set(part.dimensions)


def test_a_class_or_a_dimension_without_examples_is_an_error():
    features, manifest, space = example()
    without = manifest.replace_utterances([dataclasses.replace(u, emotion="anger") for u in manifest])
    with pytest.raises(CorpusError, match="No training utterance of class happiness, neutral"):
        fit_linear(features[:, 1], without, space, inverse_regularisation=1.0)
    bare = manifest.replace_utterances([dataclasses.replace(u, dimensions={}) for u in manifest])
    with pytest.raises(CorpusError, match="dimension 'arousal'"):
        fit_linear(features[:, 1], bare, space, inverse_regularisation=1.0)


def thirds(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    part = np.arange(size) // (size // 3)
    return part == 0, part == 1, part == 2


def test_the_best_layer_on_development_is_chosen():
    features, manifest, space = example(speakers=6)
    train, development, _ = thirds(len(features))
    choice = linear.choose(features, manifest, train, development, space, grid=GRID, score=UAR)
    assert choice.layer == 1
    assert set(choice.scores) == {(layer, strength) for layer in range(3) for strength in GRID}
    assert choice.score == max(choice.scores.values()) == choice.scores[(1, choice.inverse_regularisation)]
    part = manifest.replace_utterances([u for u, there in zip(manifest, train, strict=True) if there])
    held_out = manifest.replace_utterances([u for u, there in zip(manifest, development, strict=True) if there])
    fitted = fit_linear(features[train, 1], part, space, inverse_regularisation=0.1)
    assert choice.scores[(1, 0.1)] == UAR(held_out, predict_linear(fitted, features[development, 1], held_out, space))


def test_of_equal_scores_the_lowest_layer_is_chosen_and_then_the_strongest_regularisation():
    features, manifest, space = example(speakers=6)
    train, development, _ = thirds(len(features))

    def equal_above(layer: int):
        """A score that cannot tell the layers from one on apart, but for rounding, and prefers weak regularisation."""
        calls = iter([(one, strength) for one in range(3) for strength in GRID])

        def score(_manifest, _predictions) -> float:
            one, strength = next(calls)
            return 0.5 if one < layer or (one == layer and strength == min(GRID)) else 1.0 - 1e-12 * (3 - one)

        return score

    choice = linear.choose(features, manifest, train, development, space, grid=GRID, score=equal_above(1))
    assert (choice.layer, choice.inverse_regularisation) == (1, sorted(GRID)[1])
    assert choice.tied_layers == [1, 2]
    choice = linear.choose(features, manifest, train, development, space, grid=GRID, score=equal_above(0))
    assert choice.layer == 0
    nothing = linear.choose(features, manifest, train, development, space, grid=GRID, score=lambda *_: float("nan"))
    assert (nothing.layer, nothing.inverse_regularisation) == (0, min(GRID))


def test_the_choice_never_sees_test_rows():
    features, manifest, space = example(speakers=6)
    train, development, test = thirds(len(features))
    expected = linear.choose(features, manifest, train, development, space, grid=GRID, score=UAR)
    features[test] = np.nan
    rows = [dataclasses.replace(u, emotion=None, dimensions={}) if test[n] else u for n, u in enumerate(manifest)]
    found = linear.choose(features, manifest.replace_utterances(rows), train, development, space, grid=GRID, score=UAR)
    assert found == expected


def test_of_equal_scores_the_stronger_regularisation_wins():
    features, manifest, space = example(speakers=6)
    train, development, _ = thirds(len(features))
    choice = linear.choose(features, manifest, train, development, space, grid=GRID, score=lambda *_: 0.5)
    assert (choice.layer, choice.inverse_regularisation) == (0, 0.01)


def held_out(features, manifest, space):
    groups = [u.speaker for u in manifest]
    return leave_groups_out(features, manifest, groups, space, grid=[0.01, 1.0], score=UAR)


def of(speaker: str, manifest: Manifest) -> np.ndarray:
    return np.array([u.speaker == speaker for u in manifest])


def test_predictions_for_a_speaker_do_not_know_that_speakers_labels():
    features, manifest, space = example()
    predictions, choices = held_out(features, manifest, space)
    generator = np.random.default_rng(0)
    for speaker in ("s0", "s3"):
        own = np.flatnonzero(of(speaker, manifest))
        shuffled = dict(zip(own, generator.permutation(own), strict=True))
        rows = [
            dataclasses.replace(
                u,
                emotion=manifest.utterances[shuffled.get(n, n)].emotion,
                dimensions=manifest.utterances[shuffled.get(n, n)].dimensions,
            )
            for n, u in enumerate(manifest)
        ]
        assert [u.emotion for u in manifest] != [u.emotion for u in rows]
        others, other_choices = held_out(features, manifest.replace_utterances(rows), space)
        assert other_choices[speaker] == choices[speaker]
        np.testing.assert_array_equal(probabilities(others)[own], probabilities(predictions)[own])
        np.testing.assert_array_equal(values(others)[own], values(predictions)[own])
        rest = ~of(speaker, manifest)
        assert not np.array_equal(probabilities(others)[rest], probabilities(predictions)[rest])


def test_predictions_for_an_utterance_do_not_know_the_other_features_of_its_speaker():
    features, manifest, space = example()
    predictions, _ = held_out(features, manifest, space)
    changed = features.copy()
    own = np.flatnonzero(of("s1", manifest))
    changed[own[1:]] += 100
    others, _ = held_out(changed, manifest, space)
    np.testing.assert_allclose(probabilities(others)[own[0]], probabilities(predictions)[own[0]], rtol=0, atol=1e-12)


def test_leaving_groups_out_is_a_plain_nested_loop():
    features, manifest, space = example()
    predictions, choices = held_out(features, manifest, space)
    truth = np.array([CLASSES.index(u.emotion) for u in manifest])
    speakers = np.array([u.speaker for u in manifest])

    def fitted(train: np.ndarray, layer: int, strength: float, test: np.ndarray) -> np.ndarray:
        scaler = StandardScaler().fit(features[train, layer])
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=5000)
        model.fit(scaler.transform(features[train, layer]), truth[train])
        return model.predict_proba(scaler.transform(features[test, layer]))

    for speaker in sorted(set(speakers)):
        rest, scores = speakers != speaker, {}
        for layer in range(3):
            for strength in (0.01, 1.0):
                answer = np.zeros(len(truth), dtype=int)
                for inner in set(speakers[rest]):
                    test = speakers == inner
                    answer[test] = fitted(rest & ~test, layer, strength, test).argmax(axis=1)
                recalls = [(answer[rest & (truth == label)] == label).mean() for label in range(3)]
                scores[(layer, strength)] = np.mean(recalls)
        choice = choices[speaker]
        assert scores[(choice.layer, choice.inverse_regularisation)] == pytest.approx(max(scores.values()))
        expected = fitted(rest, choice.layer, choice.inverse_regularisation, ~rest)
        np.testing.assert_allclose(probabilities(predictions)[~rest], expected, rtol=0, atol=1e-6)


def test_leaving_one_out_needs_three_groups():
    features, manifest, space = example(speakers=2)
    with pytest.raises(CorpusError, match="at least 3 groups, got 2"):
        held_out(features, manifest, space)
