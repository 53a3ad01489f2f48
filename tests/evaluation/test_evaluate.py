"""Scoring: every figure against one worked out apart, and nothing left out in silence."""

import json
import math
from functools import partial
from pathlib import Path

import audmetric
import numpy as np
import pytest
import sklearn.metrics

import builders.predictions
from builders.manifests import manifest_of, utterance
from builders.predictions import predictions_of
from emotune.cli.train import print_evaluation
from emotune.errors import CorpusError, ModelError, TableError
from emotune.evaluation import evaluate, scores
from emotune.io.tables import to_json
from emotune.metrics.dimensions import ccc, rmse
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.predictions import Prediction, Predictions

CLASSES = ("anger", "happiness", "sadness", "neutral")
SCALES = {"arousal": Scale(1, 7), "valence": Scale(1, 7)}
manifest, predictions = partial(manifest_of, classes=CLASSES), partial(predictions_of, classes=CLASSES)
said = partial(builders.predictions.said, classes=CLASSES)


def test_an_evaluation_is_shown_in_a_line():
    shown = repr(evaluate(*small()[:2], resamples=0))
    assert shown.startswith("Evaluation(uar 0.") and shown.endswith("; 12 utterances, 3 speakers)")
    assert "\n" not in shown and len(shown) < 200


def small(speaker=lambda n: f"s{n % 3}"):
    """Twelve utterances, every third one wrong."""
    truth = [CLASSES[n % 4] for n in range(12)]
    answer = [label if n % 3 else "neutral" for n, label in enumerate(truth)]
    rows = [
        utterance(f"u{n}", label, speaker=speaker(n), gender="female" if n % 2 else "male", duration_s=1.0 + n)
        for n, label in enumerate(truth)
    ]
    return manifest(*rows), predictions(*(said(f"u{n}", label) for n, label in enumerate(answer))), truth, answer


def test_overall_figures_are_those_of_scikit_learn():
    truth_table, prediction_table, truth, answer = small()
    found = scores(truth_table, prediction_table)
    assert found["uar"] == pytest.approx(sklearn.metrics.balanced_accuracy_score(truth, answer))
    assert found["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(truth, answer, average="macro"))
    assert found["micro_f1"] == pytest.approx(sklearn.metrics.f1_score(truth, answer, average="micro"))
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(truth, answer))
    assert set(found) == {"uar", "macro_f1", "macro_f1_true_classes", "micro_f1", "accuracy"}


@pytest.mark.parametrize(("speakers", "said_of_them"), [(1, "of one speaker"), (2, "of 2 speakers, too few")])
def test_too_few_speakers_give_figures_without_an_interval_and_without_nan(speakers, said_of_them, capsys):
    truth_table, prediction_table, truth, answer = small(speaker=lambda n: f"s{n % speakers}")
    found = evaluate(truth_table, prediction_table, resamples=50)
    assert not any(score.has_interval for score in found.overall.values())
    print_evaluation(found, "test", Path("run"))
    shown = capsys.readouterr()
    assert f"test uar {sklearn.metrics.balanced_accuracy_score(truth, answer):.3f}\n" in shown.out
    assert "nan" not in shown.out + shown.err
    assert said_of_them in shown.err


def test_a_class_that_is_only_answered_counts_in_macro_f1_as_scikit_learn_has_it_and_a_note_says_so():
    truth, answer = ["anger", "anger", "neutral"], ["anger", "sadness", "neutral"]
    truth_table = manifest(*(utterance(f"u{n}", label, speaker=f"s{n}") for n, label in enumerate(truth)))
    found = evaluate(truth_table, predictions(*(said(f"u{n}", label) for n, label in enumerate(answer))), resamples=0)
    assert found.overall["macro_f1"].value == pytest.approx(sklearn.metrics.f1_score(truth, answer, average="macro"))
    assert found.overall["macro_f1_true_classes"].value == pytest.approx((2 / 3 + 1) / 2)
    (note,) = [note for note in found.notes if note.startswith("Answered all the same: sadness")]
    assert "(macro_f1_true_classes) it is 0.833" in note
    assert f"would be {audmetric.unweighted_average_recall(truth, answer):.3f}" in note


def test_scores_are_the_values_that_evaluate_gives():
    truth_table, prediction_table, _, _ = small()
    overall = evaluate(truth_table, prediction_table, resamples=50).overall
    assert {name: score.value for name, score in overall.items()} == scores(truth_table, prediction_table)
    assert all(score.low <= score.value <= score.high for score in overall.values())


def test_the_confusion_matrix_and_class_scores_fit_each_other():
    truth_table, prediction_table, truth, answer = small()
    found = evaluate(truth_table, prediction_table, resamples=50)
    np.testing.assert_equal(found.confusion, sklearn.metrics.confusion_matrix(truth, answer, labels=CLASSES))
    assert [item.support for item in found.per_class] == [3, 3, 3, 3]
    assert [item.predicted for item in found.per_class] == found.confusion.sum(axis=0).tolist()
    assert found.chance == 0.25


def test_the_order_of_predictions_does_not_matter():
    truth_table, prediction_table, _, _ = small()
    turned = Predictions(prediction_table.rows[::-1], prediction_table.label_space)
    assert scores(truth_table, turned) == scores(truth_table, prediction_table)


def test_groups_hold_every_utterance_once_and_speakers_have_no_interval():
    truth_table, prediction_table, _, _ = small()
    found = evaluate(truth_table, prediction_table, resamples=50)
    for by in ("gender", "speaker", "duration"):
        assert sum(group.utterances for group in found.groups_by(by)) == 12
    assert [group.name for group in found.groups_by("gender")] == ["female", "male"]
    assert [group.name for group in found.groups_by("duration")] == [
        "under 2 s",
        "2 to 4 s",
        "4 to 8 s",
        "8 s and more",
    ]
    assert all(group.scores["uar"].has_interval for group in found.groups_by("gender"))
    assert not any(group.scores["uar"].has_interval for group in found.groups_by("speaker"))


def test_a_group_is_scored_as_if_it_were_all_there_is():
    truth_table, prediction_table, _, _ = small()
    women = evaluate(truth_table, prediction_table, resamples=50).groups_by("gender")[0]
    alone = scores(truth_table.filter(lambda u: u.gender == "female"), prediction_table)
    assert women.scores["uar"].value == alone["uar"]
    assert women.scores["accuracy"].value == alone["accuracy"]


def test_failed_predictions_are_left_out_counted_named_and_weighed_in_a_note():
    truth_table = manifest(*(utterance(f"u{n}", "anger" if n < 2 else "sadness", speaker=f"s{n}") for n in range(4)))
    rows = [said("u0", "anger"), Prediction("u1", error="cannot decode"), said("u2", "sadness"), said("u3", "anger")]
    found = evaluate(truth_table, predictions(*rows), resamples=20)
    assert found.overall["uar"].value == pytest.approx((1 + 0.5) / 2)
    assert found.scored == 3
    assert [(item.reason, item.count) for item in found.not_scored] == [("the prediction failed", 1)]
    assert found.not_scored[0].examples == ("u1 (cannot decode)",)
    assert any("UAR of 0.500" in note and "accuracy of 0.500" in note for note in found.notes)


def test_utterances_without_truth_are_counted_and_need_no_prediction():
    truth_table = manifest(utterance("u0", "anger", speaker="a"), utterance("u1", speaker="b"))
    found = evaluate(truth_table, predictions(said("u0", "anger")), resamples=0)
    assert [(item.reason, item.count) for item in found.not_scored] == [("no truth in the manifest", 1)]


def test_a_prediction_that_is_no_number_is_not_scored():
    rows = [said("u0", "anger"), Prediction("u1", dict.fromkeys(CLASSES, math.nan))]
    found = evaluate(manifest(utterance("u0", "anger"), utterance("u1", "anger")), predictions(*rows), resamples=0)
    assert found.scored == 1
    assert found.not_scored[0].examples == ("u1",)


def test_a_model_whose_predictions_all_failed_is_an_error_that_says_why():
    rows = [Prediction("u0", error="cannot decode")]
    with pytest.raises(ModelError, match=r"None of 1 .* u0 \(cannot decode\)"):
        scores(manifest(utterance("u0", "anger")), predictions(*rows))


@pytest.mark.parametrize("rows", [(), (utterance("u0"),)])
def test_nothing_to_score_is_an_error_not_a_zero(rows):
    with pytest.raises(CorpusError, match="Score a split that has utterances and labels"):
        scores(manifest(*rows), predictions(said("u0", "anger")))


def test_a_missing_prediction_is_an_error():
    with pytest.raises(TableError, match="have no prediction, such as 'u1'"):
        scores(manifest(utterance("u0", "anger"), utterance("u1", "anger")), predictions(said("u0", "anger")))


def test_a_class_that_the_model_does_not_know_is_named_with_the_cure():
    truth_table = manifest(utterance("u0", "boredom"), classes=("boredom",))
    with pytest.raises(CorpusError, match=r"'boredom' \(1 utterances\).*`map`.*`drop`"):
        scores(truth_table, predictions(said("u0", "anger")))


def test_a_listed_class_without_utterances_does_not_stop_the_scoring():
    truth_table = manifest(utterance("u0", "anger"), classes=("anger", "boredom"))
    assert scores(truth_table, predictions(said("u0", "anger")))["uar"] == 1.0


def test_classes_absent_from_the_truth_are_noted_and_not_averaged():
    rows = [utterance("u0", "anger", speaker="a"), utterance("u1", "sadness", speaker="b")]
    found = evaluate(manifest(*rows), predictions(said("u0", "anger"), said("u1", "neutral")), resamples=0)
    assert found.overall["uar"].value == 0.5
    assert any("happiness, neutral" in note and "undefined" in note for note in found.notes)
    assert any(note.startswith("Never predicted: sadness") for note in found.notes)
    assert math.isnan(found.per_class[3].recall.value)


def test_one_speaker_means_no_intervals_and_a_note():
    truth_table, prediction_table, _, _ = small(speaker=lambda n: "only")
    found = evaluate(truth_table, prediction_table)
    assert not found.overall["uar"].has_interval
    assert any("one speaker" in note for note in found.notes)


def test_unknown_speakers_are_clusters_of_their_own_and_that_is_said():
    truth_table, prediction_table, _, _ = small(speaker=lambda n: None)
    found = evaluate(truth_table, prediction_table, resamples=50)
    assert (found.speakers, found.clusters) == (0, 12)
    assert found.overall["uar"].has_interval
    assert found.groups_by("speaker") == ()
    assert any("12 of 12 scored utterances have no known speaker" in note for note in found.notes)


def test_speakers_of_the_same_name_in_two_corpora_are_two():
    rows = [utterance(f"u{n}", "anger", speaker="1", corpus=f"c{n}") for n in range(2)]
    found = evaluate(manifest(*rows), predictions(said("u0", "anger"), said("u1", "anger")), resamples=10)
    assert [group.name for group in found.groups_by("speaker")] == ["c0/1", "c1/1"]


def of_two_corpora():
    """Eight speakers of a large corpus, mostly right, and four of a small one without anger, mostly wrong."""
    generator = np.random.default_rng(3)
    rows, answers = [], []
    for corpus, speakers, right, classes in (("large", 8, 0.8, CLASSES), ("small", 4, 0.3, CLASSES[1:])):
        for n in range(speakers * 12):
            name, label = f"{corpus}{n}", classes[n % len(classes)]
            answer = label if generator.random() < right else CLASSES[generator.integers(4)]
            rows.append(utterance(name, label, corpus=corpus, speaker=f"{corpus}/{n % speakers}"))
            answers.append(said(name, answer))
    return manifest(*rows), predictions(*answers)


def test_corpora_are_scored_alone_and_their_mean_counts_each_as_much(capsys):
    truth_table, prediction_table = of_two_corpora()
    found = evaluate(truth_table, prediction_table, resamples=300)
    alone = {
        corpus: evaluate(truth_table.filter(lambda u, c=corpus: u.corpus == c), prediction_table, resamples=300)
        for corpus in ("large", "small")
    }
    for metric in ("uar", "macro_f1", "accuracy"):
        each = [own.overall[metric].value for own in alone.values()]
        assert [group.scores[metric].value for group in found.groups_by("corpus")] == pytest.approx(each)
        mean = found.corpora_mean[metric]
        assert mean.value == pytest.approx(np.mean(each))
        assert mean.low < mean.value < mean.high
    assert found.corpora_mean["uar"].value < found.overall["uar"].value - 0.05
    widths = [score.high - score.low for score in (alone["small"].overall["uar"], found.corpora_mean["uar"])]
    assert widths[1] < widths[0], "two corpora say more than the smaller one"
    assert not alone["small"].corpora_mean
    assert not alone["small"].of_corpora
    print_evaluation(found, "test", Path("run"))
    shown = capsys.readouterr()
    assert f"test uar of small {alone['small'].overall['uar'].value:.3f} [" in shown.out
    assert f"test uar, mean of 2 corpora {found.corpora_mean['uar'].value:.3f} [" in shown.out
    assert "1 of 2 corpus groups lack some of the classes" in shown.err


def test_the_mean_of_corpora_leaves_out_one_without_the_truth_and_has_an_interval_where_all_have_speakers():
    truth_table, prediction_table = of_two_corpora()
    unlabelled = truth_table.replace_utterances(
        [*truth_table, utterance("x", None, corpus="third", dimensions={"arousal": 3.0})]
    )
    answered = predictions(*prediction_table, said("x", "anger"))
    assert evaluate(unlabelled, answered, resamples=0).corpora_mean == pytest.approx(
        evaluate(truth_table, prediction_table, resamples=0).corpora_mean
    )
    few = truth_table.filter(lambda u: u.corpus == "large" or u.speaker in ("small/0", "small/1"))
    assert not evaluate(few, prediction_table, resamples=100).corpora_mean["uar"].has_interval


def test_few_speakers_and_ignored_predictions_are_noted():
    truth_table, prediction_table, _, _ = small()
    more = Predictions((*prediction_table.rows, said("stranger", "anger")), prediction_table.label_space)
    notes = evaluate(truth_table, more, resamples=10).notes
    assert any("rest on 3 speakers" in note for note in notes)
    assert any("'stranger'" in note and "ignored" in note for note in notes)


def test_calibration_bins_hold_every_scored_utterance():
    truth_table, prediction_table, truth, answer = small()
    calibration = evaluate(truth_table, prediction_table, resamples=50).calibration
    assert calibration is not None
    assert sum(item.count for item in calibration.bins) == 12
    share = np.mean(np.array(truth) == np.array(answer))
    assert calibration.expected_calibration_error.value == pytest.approx(abs(share - 0.7))
    assert calibration.negative_log_likelihood.value == pytest.approx(
        -share * math.log(0.7) - (1 - share) * math.log(0.1)
    )


def dimensional(own: Scale = SCALES["arousal"]):
    generator = np.random.default_rng(0)
    truth = generator.uniform(1, 7, size=(30, 2)).round(2)
    answer = np.clip(truth + generator.normal(size=(30, 2)), 1, 7)
    rows, found = [], []
    for n in range(30):
        values = {"arousal": truth[n, 0]} | ({"valence": truth[n, 1]} if n % 2 else {})
        rows.append(utterance(f"u{n}", speaker=f"s{n % 5}", dimensions=values))
        given = {"arousal": own.from_unit((answer[n, 0] - 1) / 6), "valence": float(answer[n, 1])}
        found.append(Prediction(f"u{n}", dimensions=given))
    space = {"arousal": own, "valence": SCALES["valence"]}
    return (
        manifest(*rows, classes=(), dimensions=SCALES),
        predictions(*found, classes=(), dimensions=space),
        truth,
        answer,
    )


def test_dimensions_are_scored_where_the_truth_has_them():
    truth_table, prediction_table, truth, answer = dimensional()
    found = scores(truth_table, prediction_table)
    valence = ccc(truth[1::2, 1], answer[1::2, 1])
    assert found["ccc.arousal"] == pytest.approx(ccc(truth[:, 0], answer[:, 0]))
    assert found["ccc.valence"] == pytest.approx(valence)
    assert found["ccc"] == pytest.approx((found["ccc.arousal"] + valence) / 2)
    assert found["rmse.arousal"] == pytest.approx(rmse(truth[:, 0], answer[:, 0]))
    assert "uar" not in found


def test_a_prediction_on_another_scale_is_brought_to_that_of_the_annotation():
    truth_table, prediction_table, truth, answer = dimensional(own=Scale(-1, 1))
    found = evaluate(truth_table, prediction_table, resamples=20)
    assert found.overall["rmse.arousal"].value == pytest.approx(rmse(truth[:, 0], answer[:, 0]))
    assert any("[-1, 1]" in note and "[1, 7]" in note for note in found.notes)
    assert found.calibration is None
    assert [item.utterances for item in found.dimensions] == [30, 15]
    assert found.overall["ccc"].has_interval


def test_a_dimension_that_only_one_side_has_is_noted():
    truth_table, prediction_table, _, _ = dimensional()
    fewer = Predictions(prediction_table.rows, LabelSpace((), {"arousal": SCALES["arousal"], "dominance": Scale(0, 1)}))
    found = evaluate(truth_table, fewer, resamples=0)
    assert [item.name for item in found.dimensions] == ["arousal"]
    assert any("valence" in note for note in found.notes)
    assert any("dominance" in note for note in found.notes)


def test_the_same_seed_gives_the_same_evaluation_as_valid_json():
    truth_table, prediction_table, _, _ = small()
    first, second = (to_json(evaluate(truth_table, prediction_table, resamples=50, seed=4).to_json()) for _ in range(2))
    assert first == second
    data = json.loads(first)
    assert data["overall"]["uar"].keys() == {"value", "low", "high"}
    assert data["interval"] == {"level": 0.95, "resamples": 50, "seed": 4}


def test_scoring_never_imports_torch_pandas_or_matplotlib():
    import subprocess
    import sys

    program = (
        "import sys, emotune.evaluation, emotune.metrics\n"
        "print([name for name in ('torch', 'pandas', 'matplotlib', 'sklearn') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
