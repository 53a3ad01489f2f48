"""Comparing systems: each figure against one worked out apart, and nothing compared that does not fit."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from builders.manifests import manifest_of, utterance
from builders.predictions import failing, predictions_of, said
from emotune.cli.compare import print_comparison
from emotune.errors import ConfigError, CorpusError, ModelError, TableError
from emotune.evaluation import evaluate
from emotune.evaluation.comparing.compare import compare, detectable_difference
from emotune.evaluation.comparing.line_up import System
from emotune.evaluation.comparing.shared_classes import on_shared_classes
from emotune.evaluation.statistics.bootstrap import draws, expanded_tail
from emotune.evaluation.statistics.permutation import holm, swap_test
from emotune.metrics.dimensions import ccc
from emotune.report.comparison_page import page
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions

CLASSES = ("anger", "happiness", "neutral")
SCALE = {"arousal": Scale(1, 7)}


def corpus(speakers: int = 6, each: int = 12, *, known: bool = True) -> Manifest:
    generator = np.random.default_rng(5)
    rows = (
        utterance(
            f"s{speaker}-{n}",
            CLASSES[(n + speaker) % 3],
            speaker=f"s{speaker}" if known else None,
            dimensions={"arousal": float(generator.uniform(1, 7))},
            split="test",
        )
        for speaker in range(speakers)
        for n in range(each)
    )
    return manifest_of(*rows, classes=CLASSES, dimensions=SCALE)


def answers(manifest: Manifest, skill: float, seed: int, classes=CLASSES) -> Predictions:
    """Right with some probability, by speakers who differ in it; else any class."""
    generator = np.random.default_rng(seed)
    bonus = {u.speaker: generator.normal(0, 0.15) for u in manifest}
    rows = []
    for u in manifest:
        right = generator.random() < skill + bonus[u.speaker]
        answer = u.emotion if right else classes[generator.integers(len(classes))]
        arousal = np.clip(u.dimensions["arousal"] + generator.normal(0, 1.5 - skill), 1, 7)
        rows.append(said(u.utterance_id, answer, 0.6, classes=classes, dimensions={"arousal": float(arousal)}))
    return predictions_of(*rows, classes=classes, dimensions=SCALE)


def labels(manifest: Manifest, predictions: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    by_id = predictions.by_id()
    truth = np.array([u.emotion for u in manifest])
    return truth, np.array([by_id[u.utterance_id].emotion for u in manifest]), np.array([u.speaker for u in manifest])


TRUTH = corpus()
GOOD, POOR = answers(TRUTH, 0.8, 1), answers(TRUTH, 0.5, 2)


def both(manifest=TRUTH, first=POOR, second=GOOD, **options):
    return compare(manifest, [System("poor", (first,)), System("good", (second,))], **options)


def balanced(truth, answer) -> float:
    return float(sklearn.metrics.recall_score(truth, answer, average="macro"))


def test_scores_are_those_of_evaluate():
    found = both(resamples=300, seed=3, metrics=["uar", "macro_f1", "accuracy", "ccc", "pearson.arousal"])
    alone = evaluate(TRUTH, GOOD, resamples=300, seed=3)
    for metric, scores in found.scores.items():
        ours, theirs = scores["good"], alone.overall[metric]
        assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high))


def test_p_is_that_of_going_through_all_swaps_by_hand():
    truth, good, speaker = labels(TRUTH, GOOD)
    poor = labels(TRUTH, POOR)[1]
    observed = abs(balanced(truth, good) - balanced(truth, poor))
    extreme = 0
    for chosen in itertools.product([False, True], repeat=6):
        swapped = np.isin(speaker, [f"s{n}" for n in range(6) if chosen[n]])
        a, b = np.where(swapped, poor, good), np.where(swapped, good, poor)
        extreme += abs(balanced(truth, a) - balanced(truth, b)) >= observed - 1e-12
    (difference,) = both(metrics=["uar"]).differences
    assert difference.p == extreme / 64
    assert difference.smallest_p == 1 / 32


def test_p_of_a_mean_is_that_of_scipy():
    first, second = np.random.default_rng(0).normal([0.4, 0.0], 1, size=(8, 2)).T
    expected = scipy.stats.permutation_test(
        (first, second), lambda a, b: a.mean() - b.mean(), permutation_type="samples", n_resamples=np.inf
    )
    assert swap_test(first, second, lambda sums: sums / 8) == pytest.approx(expected.pvalue)


def test_random_swaps_come_near_all_swaps_and_are_never_zero():
    first = np.arange(12.0)[:, None]
    assert swap_test(first, first - 1, lambda s: s[..., 0], resamples=999, seed=1) == pytest.approx(1 / 1000, abs=2e-3)
    noisy = first + np.random.default_rng(2).normal(0, 3, size=(12, 1))
    exact = swap_test(first, noisy, lambda s: s[..., 0])
    assert swap_test(first, noisy, lambda s: s[..., 0], resamples=4000) == pytest.approx(exact, abs=0.03)


def test_swaps_of_a_dimension_keep_to_the_values_themselves():
    speaker = labels(TRUTH, GOOD)[2]
    truth = np.array([u.dimensions["arousal"] for u in TRUTH])
    good, poor = (np.array([row.dimensions["arousal"] for row in table]) for table in (GOOD, POOR))
    observed = abs(ccc(truth, good) - ccc(truth, poor))
    extreme = 0
    for chosen in itertools.product([False, True], repeat=6):
        swapped = np.isin(speaker, [f"s{n}" for n in range(6) if chosen[n]])
        a, b = np.where(swapped, poor, good), np.where(swapped, good, poor)
        extreme += abs(ccc(truth, a) - ccc(truth, b)) >= observed - 1e-9
    (difference,) = both(metrics=["ccc"]).differences
    assert difference.p == extreme / 64


def test_the_interval_of_a_difference_is_that_of_a_slow_bootstrap_on_the_same_draws():
    truth, good, speaker = labels(TRUTH, GOOD)
    poor = labels(TRUTH, POOR)[1]
    slow = []
    for counts in np.concatenate(list(draws(6, resamples=200, seed=4))):
        rows = np.concatenate([np.repeat(np.flatnonzero(speaker == f"s{n}"), k) for n, k in enumerate(counts)])
        slow.append(balanced(truth[rows], good[rows]) - balanced(truth[rows], poor[rows]))
    tail = expanded_tail(6)
    (difference,) = both(metrics=["uar"], resamples=200, seed=4).differences
    assert (difference.estimate.low, difference.estimate.high) == pytest.approx(
        tuple(np.quantile(slow, [tail, 1 - tail]))
    )
    error = np.std(slow, ddof=1) * math.sqrt(6 / 5)
    factor = scipy.stats.t.ppf(0.975, 5) + scipy.stats.t.ppf(0.8, 5)
    assert difference.detectable == pytest.approx(factor * error)


def test_many_speakers_detect_2_8_standard_errors():
    assert detectable_difference(1.0, 10**6) == pytest.approx(2.802, abs=1e-3)
    normal = scipy.stats.norm.ppf
    assert detectable_difference(1.0, 10**6, comparisons=3) == pytest.approx(normal(1 - 0.025 / 3) + normal(0.8))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert np.array_equal(holm([math.nan, 0.02]), [math.nan, 0.02], equal_nan=True)


def test_p_is_corrected_over_all_differences_by_a_metric():
    systems = [System("poor", (POOR,)), System("good", (GOOD,)), System("other", (answers(TRUTH, 0.6, 9),))]
    found = compare(TRUTH, systems, all_pairs=True, metrics=["uar", "accuracy"], resamples=200)
    assert [(item.system, item.baseline) for item in found.differences[:3]] == [
        ("good", "poor"),
        ("other", "poor"),
        ("other", "good"),
    ]
    assert len(found.differences) == 6
    for three in (found.differences[:3], found.differences[3:]):
        assert [item.corrected_p for item in three] == holm([item.p for item in three])


def test_a_system_and_itself_do_not_differ():
    for item in both(second=POOR, resamples=200).differences:
        assert (item.estimate.value, item.estimate.low, item.estimate.high, item.p) == (0, 0, 0, 1)
        assert "score the same" in item.verdict


def test_turning_the_systems_round_turns_the_sign_alone():
    there = both(resamples=200).differences
    back = compare(TRUTH, [System("good", (GOOD,)), System("poor", (POOR,))], resamples=200).differences
    for one, other in zip(there, back, strict=True):
        assert one.estimate.value == pytest.approx(-other.estimate.value)
        assert (one.estimate.low, one.estimate.high) == pytest.approx((-other.estimate.high, -other.estimate.low))
        assert one.p == other.p


def test_a_clear_difference_and_one_too_small_are_said_in_words():
    manifest = corpus(speakers=24)
    strong, weak = answers(manifest, 0.9, 1), answers(manifest, 0.3, 2)
    (difference,) = both(manifest, weak, strong, metrics=["uar"]).differences
    assert difference.verdict.startswith("good scores higher than poor by 0.")
    (difference,) = both(manifest, answers(manifest, 0.6, 4), answers(manifest, 0.6, 3), metrics=["uar"]).differences
    shown = f"this test set would have shown a difference of {difference.detectable:.3f}."
    assert difference.verdict == f"good and poor cannot be told apart; {shown}"


def test_with_few_speakers_the_verdict_promises_nothing_that_p_cannot_show():
    manifest = corpus(speakers=4)
    found = both(manifest, answers(manifest, 0.1, 1), answers(manifest, 0.95, 2), metrics=["uar"])
    assert found.differences[0].p == 0.125
    assert "no two systems could have been: corrected p cannot be below 0.125" in found.differences[0].verdict
    assert any("2^-3 = 0.125" in note for note in found.notes)


def test_one_speaker_gives_scores_and_no_more():
    manifest = corpus(speakers=1)
    (difference,) = both(manifest, answers(manifest, 0.3, 1), answers(manifest, 0.9, 2), metrics=["uar"]).differences
    assert math.isnan(difference.p)
    assert "one or two speakers" in difference.verdict


def test_two_speakers_give_no_interval_and_nothing_is_printed_as_nan(capsys):
    manifest = corpus(speakers=2)
    found = both(manifest, answers(manifest, 0.3, 1), failing(answers(manifest, 0.9, 2), "s0-0"), metrics=["uar"])
    assert not any(score.has_interval for score in found.scores["uar"].values())
    print_comparison(found)
    assert "nan" not in "".join([*capsys.readouterr(), *found.notes, found.differences[0].verdict])
    assert any("there are no intervals, for which they are too few" in note for note in found.notes)


def test_utterances_without_speakers_are_clusters_of_their_own():
    manifest = corpus(known=False)
    found = both(manifest, answers(manifest, 0.5, 1), answers(manifest, 0.8, 2), resamples=200)
    assert (found.speakers, found.clusters) == (0, 72)
    assert any("72 of 72 compared utterances have no known speaker" in note for note in found.notes)


def test_what_failed_in_one_system_is_left_out_of_both_named_and_weighed():
    found = both(second=failing(GOOD, "s0-0", "s1-1"), resamples=200, metrics=["accuracy"])
    rest = TRUTH.filter(lambda u: u.utterance_id not in ("s0-0", "s1-1"))
    alone = both(rest, resamples=200, metrics=["accuracy"])
    assert found.scores == alone.scores
    assert (found.compared, found.utterances) == (70, 72)
    assert [(item.reason, item.count) for item in found.left_out] == [("good: the prediction failed", 2)]
    truth, good, _ = labels(TRUTH, GOOD)
    failed = np.isin([u.utterance_id for u in TRUTH], ["s0-0", "s1-1"])
    hits = np.mean((truth == good) & ~failed) - np.mean(truth == labels(TRUTH, POOR)[1])
    assert found.failures_wrong[0].estimate.value == pytest.approx(hits)
    assert any(note.startswith("Failed predictions counted as wrong") for note in found.notes)


def test_a_failed_prediction_is_wrong_in_macro_f1_and_no_class_of_its_own():
    found = both(second=failing(GOOD, "s0-0", "s1-1"), resamples=200, metrics=["macro_f1"])
    truth, good, _ = labels(TRUTH, GOOD)
    ids = np.array([u.utterance_id for u in TRUTH])
    answered = np.where(np.isin(ids, ["s0-0", "s1-1"]), "nothing", good)
    f1s = [
        sklearn.metrics.f1_score(truth, said, labels=np.unique(truth), average="macro")
        for said in (answered, labels(TRUTH, POOR)[1])
    ]
    assert found.failures_wrong[0].estimate.value == pytest.approx(f1s[0] - f1s[1])


@pytest.mark.parametrize("single", [False, True])
def test_seeds_of_a_system_are_scored_by_their_mean_and_swapped_together(single):
    seeds = [answers(TRUTH, 0.7, seed) for seed in (11, 12)]
    others = [answers(TRUTH, 0.5, seed) for seed in ((13, 13) if single else (13, 14))]
    found = compare(
        TRUTH, [System("a", tuple(others[: 1 if single else 2])), System("b", tuple(seeds))], metrics=["uar"]
    )
    of = [balanced(*labels(TRUTH, table)[:2]) for table in (*seeds, *others)]
    (difference,) = found.differences
    assert difference.estimate.value == pytest.approx(np.mean(of[:2]) - np.mean(of[2:]))
    truth, _, speaker = labels(TRUTH, GOOD)
    said = [labels(TRUTH, table)[1] for table in (*seeds, *others)]
    extreme = 0
    for chosen in itertools.product([False, True], repeat=6):
        swapped = np.isin(speaker, [f"s{n}" for n in range(6) if chosen[n]])
        gap = sum(
            balanced(truth, np.where(swapped, b, a)) - balanced(truth, np.where(swapped, a, b))
            for a, b in zip(said[:2], said[2:], strict=True)
        )
        extreme += abs(gap) / 2 >= abs(difference.estimate.value) - 1e-12
    assert difference.p == extreme / 64


def test_unequal_numbers_of_seeds_go_by_the_interval_and_that_is_said():
    found = compare(TRUTH, [System("a", (POOR,) * 2), System("b", (GOOD, GOOD, answers(TRUTH, 0.8, 5)))], resamples=200)
    assert all(math.isnan(item.p) and item.estimate.has_interval for item in found.differences)
    assert any("not equally many" in note for note in found.notes)


def test_classes_in_another_order_are_the_same_classes():
    turned = dataclasses.replace(GOOD, label_space=LabelSpace(CLASSES[::-1], SCALE))
    assert both(second=turned, resamples=200).scores == both(resamples=200).scores


def test_what_does_not_fit_is_an_error_that_names_it():
    fewer = dataclasses.replace(GOOD, rows=GOOD.rows[2:])
    with pytest.raises(TableError, match="good has no prediction of 2 of 72 utterances with a truth: 's0-0', 's0-1'"):
        both(second=fewer)
    with pytest.raises(
        CorpusError, match=r"different classes: anger, happiness, neutral; anger, fear.*--shared-classes"
    ):
        both(second=answers(TRUTH, 0.5, 0, ("anger", "fear")))
    with pytest.raises(ConfigError, match=r"'f1' cannot be compared here. There are: uar, macro_f1"):
        both(metrics=["f1"])
    with pytest.raises(ConfigError, match="different names, got: a, a"):
        compare(TRUTH, [System("a", (GOOD,)), System("a", (POOR,))])
    with pytest.raises(ModelError, match="good: None of 72 predictions"):
        both(second=failing(GOOD, *(u.utterance_id for u in TRUTH)))


def test_shared_classes_drop_the_rest_and_bring_probabilities_to_one():
    known = LabelSpace(("anger", "neutral", "fear"))
    row = Prediction("s0-0", {"anger": 0.2, "neutral": 0.3, "fear": 0.5})
    manifest, restricted, note = on_shared_classes(
        dataclasses.replace(
            TRUTH,
            utterances=tuple(dataclasses.replace(u, dimensions={}) for u in TRUTH),
            label_space=LabelSpace(CLASSES),
        ),
        Predictions((row, Prediction("s0-1", {"anger": 0, "neutral": 0, "fear": 1})), known),
    )
    assert {u.emotion for u in manifest} == {"anger", "neutral"}
    assert restricted.rows[0].probabilities == pytest.approx({"anger": 0.4, "neutral": 0.6})
    assert all(math.isnan(value) for value in restricted.rows[1].probabilities.values())
    assert manifest.label_space.classes == restricted.label_space.classes == ("anger", "neutral")
    assert "24 utterances (happiness 24)" in note
    assert "probabilities of fear were removed" in note


def test_an_utterance_of_another_class_keeps_its_dimensions():
    manifest, _, _ = on_shared_classes(TRUTH, answers(TRUTH, 0.5, 0, ("anger", "neutral")))
    assert len(manifest) == 72
    assert sum(u.emotion is None for u in manifest) == 24


def test_one_shared_class_is_too_few():
    with pytest.raises(CorpusError, match="Only 1 classes are shared"):
        on_shared_classes(TRUTH, answers(TRUTH, 0.5, 0, ("anger", "fear")))


def test_equal_systems_are_told_apart_as_seldom_as_promised():
    """Two systems alike in skill, 8 speakers: p below .05 in 5 % of the cases, and 0 in the interval in 95 %."""
    generator = np.random.default_rng(1)
    trials, told, held = 250, 0, 0
    for trial in range(trials):
        skill = 1 / (1 + np.exp(-generator.normal(0.5, 1, size=(8, 1)) - generator.normal(0, 0.7, size=(8, 2))))
        hits = generator.binomial(20, skill)
        sums = np.stack([hits, np.full((8, 2), 20)], axis=-1)
        told += swap_test(sums[:, 0], sums[:, 1], lambda s: s[..., 0] / s[..., 1]) < 0.05
        drawn = np.concatenate(list(draws(8, resamples=300, seed=trial))) @ (hits[:, 0] - hits[:, 1])
        low, high = np.quantile(drawn, [expanded_tail(8), 1 - expanded_tail(8)])
        held += low <= 0 <= high
    assert 0.02 <= told / trials <= 0.08
    assert 0.90 <= held / trials <= 0.98


def guessed(manifest: Manifest, seed: int) -> Predictions:
    """Answers that know nothing of the truth."""
    generator = np.random.default_rng(seed)
    rows = []
    for u in manifest:
        given = dict(zip(CLASSES, generator.dirichlet(np.ones(3)).tolist(), strict=True))
        rows.append(Prediction(u.utterance_id, given, {"arousal": float(generator.uniform(1, 7))}))
    return predictions_of(*rows, classes=CLASSES, dimensions=SCALE)


@pytest.mark.parametrize("metrics", [["uar"], ["macro_f1"]])
def test_that_nothing_beats_chance_is_said_first(metrics, capsys):
    manifest = corpus(speakers=12)
    found = both(manifest, guessed(manifest, 1), guessed(manifest, 2), metrics=metrics, resamples=500)
    (sentence,) = found.below_chance
    best = max(balanced(*labels(manifest, guessed(manifest, seed))[:2]) for seed in (1, 2))
    assert sentence.startswith("No system is shown to beat chance: UAR 0.333 is what guessing gives")
    assert f"with {best:.3f} [" in sentence
    print_comparison(found)
    assert capsys.readouterr().out.startswith(sentence)
    html = page(found)
    assert html.index("No system is shown") < html.index("cannot be told apart")


def test_where_one_system_beats_chance_the_other_is_named_in_a_note():
    manifest = corpus(speakers=12)
    found = both(manifest, guessed(manifest, 1), answers(manifest, 0.8, 2), resamples=500)
    assert found.below_chance == ()
    assert found.notes[0].startswith("Not shown to beat chance (UAR 0.333 is what guessing gives): poor (0.")
    assert found.notes[1].startswith("Not shown to beat chance (CCC 0.000 is what guessing gives): poor (")


def test_systems_better_than_chance_need_no_word_of_it():
    found = both(resamples=500)
    assert found.below_chance == ()
    assert not any("chance" in note for note in found.notes)
