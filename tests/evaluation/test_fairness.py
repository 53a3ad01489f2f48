"""For whom it works: known gaps are found as a slow computation has them, chance is told apart, the unknown is said."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from builders.manifests import manifest_of, utterance, utterances
from builders.predictions import predictions_of, said
from emotune.evaluation import evaluate
from emotune.evaluation.fairness import Fairness
from emotune.evaluation.groups import age_band
from emotune.evaluation.result import Evaluation
from emotune.evaluation.speaker_spread import deals, uars
from emotune.evaluation.statistics.bootstrap import ClusterBootstrap, Estimate
from emotune.evaluation.statistics.group_differences import difference_of_groups
from emotune.metrics.division import ratio
from emotune.report.fairness_words import conclusions
from emotune.schema.labels import Scale
from emotune.schema.predictions import Prediction
from emotune.schema.utterance import Utterance

CLASSES = ("anger", "neutral", "sadness")
RESAMPLES, SEED = 400, 3


def right_of(utterance: Utterance) -> float:
    """How likely a clip is to be right: sadness is hard to find in men."""
    return 0.3 if utterance.gender == "male" and utterance.emotion == "sadness" else 0.85


def corpus(speakers: int = 24, clips: int = 18, **known) -> list[Utterance]:
    """Women have even numbers; ages rise with the number."""
    return [
        utterance(
            f"s{speaker}-{n}",
            CLASSES[n % 3],
            speaker=f"s{speaker:02d}",
            **{
                "gender": ("female", "male")[speaker % 2],
                "age": 20.0 + 2 * speaker,
                "duration_s": 2.5,
                **known,
            },
        )
        for speaker in range(speakers)
        for n in range(clips)
    ]


def scored(rows: list[Utterance], right=right_of, seed: int = 0) -> tuple[Evaluation, list[str]]:
    """The evaluation and the answers, which are right as often as ``right`` says."""
    generator = np.random.default_rng(seed)
    answers = []
    for row in rows:
        wrong = [name for name in CLASSES if name != row.emotion]
        answers.append(str(row.emotion) if generator.random() < right(row) else wrong[int(generator.integers(2))])
    table = (said(row.utterance_id, answer, 0.8, classes=CLASSES) for row, answer in zip(rows, answers, strict=True))
    manifest, predictions = manifest_of(*rows, classes=CLASSES), predictions_of(*table, classes=CLASSES)
    return evaluate(manifest, predictions, resamples=RESAMPLES, seed=SEED), answers


def fairness_in(found: Evaluation) -> Fairness:
    assert found.fairness is not None
    return found.fairness


def test_a_known_gap_between_women_and_men_is_as_a_slow_computation_has_it():
    rows = corpus()
    found, answers = scored(rows)
    (comparison,) = fairness_in(found).compared_by("gender")
    truth, said = np.array([row.emotion for row in rows]), np.array(answers)
    women = np.array([row.gender == "female" for row in rows])
    speaker = np.array([int(str(row.speaker)[1:]) for row in rows])

    def recalls(weights: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.asarray(
            sklearn.metrics.recall_score(
                truth[of], said[of], average=None, labels=CLASSES, sample_weight=weights[of], zero_division=np.nan
            )
        )

    def welch(of: Callable[[np.ndarray], float]) -> tuple[float, float, float]:
        """The difference of women and men in a figure of recalls, with its interval, speaker after speaker left out."""
        values, variances = [], []
        for group in (women, ~women):
            values.append(of(recalls(np.ones(len(rows)), group)))
            without = [of(recalls((speaker != one).astype(float), group)) for one in np.unique(speaker[group])]
            variances.append(np.var(without) * (len(without) - 1))
        degrees = sum(variances) ** 2 / sum(v**2 / 11 for v in variances)
        reach = scipy.stats.t.ppf(0.975, math.floor(degrees + 1e-9)) * math.sqrt(sum(variances))
        gap = values[0] - values[1]
        return gap, gap - reach, gap + reach

    def of_estimate(found: Estimate) -> tuple[float, float, float]:
        return found.value, found.low, found.high

    assert of_estimate(comparison.difference) == pytest.approx(welch(np.mean))
    for n, item in enumerate(comparison.classes):
        assert item.name == CLASSES[n]
        assert of_estimate(item.recall_gap) == pytest.approx(welch(lambda each, place=n: each[place]))
        assert item.said == pytest.approx((np.mean(said[women] == item.name), np.mean(said[~women] == item.name)))
        assert item.true == pytest.approx((1 / 3, 1 / 3))
        assert item.said_gap.value == pytest.approx(item.said[0] - item.said[1])
    assert comparison.difference.low < 0.55 / 3 < comparison.difference.high
    assert (comparison.first.name, comparison.second.name, comparison.speakers) == ("female", "male", 12)
    assert fairness_in(found).worst is not None
    assert fairness_in(found).worst[:2] == ("gender", "male")  # pyright: ignore[reportOptionalSubscript]


def simulated(generator: np.random.Generator, speakers: tuple[int, int]) -> np.ndarray:
    """Hits and clips of three classes by speakers who differ, shape (speakers, 2, 3, 2); the groups are alike."""
    count = sum(speakers)
    odds = 0.6 + generator.normal(0, 1, (count, 1)) + generator.normal(0, 0.6, (count, 3))
    hits = generator.binomial(12, 1 / (1 + np.exp(-odds)))
    counts = np.stack([hits, np.full_like(hits, 12)], axis=-1)
    first = np.arange(count) < speakers[0]
    return np.stack([counts * side[:, None, None] for side in (first, ~first)], axis=1)


def uar_gap(sums: np.ndarray) -> np.ndarray:
    each = ratio(sums[..., 0], sums[..., 1]).mean(axis=-1)
    return (each[..., 0] - each[..., 1])[..., None]


@pytest.mark.parametrize(("speakers", "least"), [((3, 21), 0.89), ((4, 20), 0.91), ((12, 12), 0.925)])
def test_intervals_of_group_differences_hold_the_truth_though_one_group_is_small(speakers, least):
    generator = np.random.default_rng(0)
    held = joint = 0
    for _ in range(600):
        sums = simulated(generator, speakers)
        (found,) = difference_of_groups(sums, uar_gap, present=sums[..., 1].sum(axis=-1) > 0)
        held += found.low <= 0 <= found.high
        together = ClusterBootstrap(sums, resamples=200, seed=1).estimate(lambda total: uar_gap(total)[..., 0])
        joint += together.low <= 0 <= together.high
    assert held / 600 >= least
    assert held > joint or speakers == (12, 12)  # what resampling all speakers together would hold


def test_two_speakers_in_a_group_get_no_interval_and_no_conclusion():
    rows = [row for row in corpus() if row.gender == "female" or row.speaker in ("s01", "s03")]
    found, _ = scored(rows)
    (comparison,) = fairness_in(found).compared_by("gender")
    assert comparison.speakers == 2
    assert not comparison.difference.has_interval
    assert not any(item.recall_gap.has_interval for item in comparison.classes)
    sentences = " ".join(conclusions(fairness_in(found), scored=found.scored))
    assert "fewer than 3 speakers in a group allow no interval, so no conclusion" in sentences
    assert "nan" not in sentences


def test_speakers_who_are_in_both_groups_are_left_out_of_both_at_once():
    generator = np.random.default_rng(1)
    ease = generator.normal(0, 1, (12, 1, 1))  # the same of a speaker in both languages
    chance = 1 / (1 + np.exp(-ease))
    hits = generator.binomial(400, np.broadcast_to(chance, (12, 2, 3)))
    sums = np.stack([hits, np.full_like(hits, 400)], axis=-1)
    (paired,) = difference_of_groups(sums, uar_gap, present=np.ones((12, 2), dtype=bool))
    each = uar_gap(sums)[:, 0]
    expected = scipy.stats.ttest_1samp(each, 0).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((expected.low, expected.high))


def test_a_shown_gap_is_said_with_its_class():
    found, _ = scored(corpus(age=None))
    sentences = " ".join(conclusions(fairness_in(found), scored=found.scored))
    assert "higher for female than for male" in sentences
    assert "sadness 0." in sentences
    assert "anger 0." not in sentences
    assert "about these people" not in sentences


def test_where_no_gap_is_shown_the_largest_that_would_fit_is_said():
    found, _ = scored(corpus(6), right=lambda _: 0.8)
    (comparison,) = fairness_in(found).compared_by("gender")
    sentences = " ".join(conclusions(fairness_in(found), scored=found.scored))
    largest = max(abs(comparison.difference.low), abs(comparison.difference.high))
    assert f"one of up to {largest:.3f} would fit" in sentences
    assert "With 3 speakers in the smaller group, it may be about these people rather than about gender." in sentences
    assert "By gender and class nothing can be concluded" in sentences


def test_groups_are_compared_over_the_classes_that_both_have():
    rows = [row for row in corpus() if not (row.gender == "male" and row.emotion == "anger")]
    found, answers = scored(rows)
    (comparison,) = fairness_in(found).compared_by("gender")
    assert [item.name for item in comparison.classes] == ["neutral", "sadness"]
    women = [(row.emotion, said) for row, said in zip(rows, answers, strict=True) if row.gender == "female"]
    shares = [np.mean([said == name for truth, said in women if truth == name]) for name in ("neutral", "sadness")]
    assert comparison.first.uar.value == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("gender", [None, "unknown"])
def test_an_unknown_gender_is_said_and_has_no_figure(gender):
    found, _ = scored(corpus(4, gender=gender), right=lambda _: 0.8)
    assert fairness_in(found).compared_by("gender") == ()
    assert fairness_in(found).unknown["gender"] == found.scored
    sentences = conclusions(fairness_in(found), scored=found.scored)
    assert "No gender is known: whether the model works alike for women and men cannot be said." in sentences


def test_a_gender_that_is_neither_is_known_and_scored_but_not_compared():
    rows = corpus(8) + [
        Utterance(f"x{n}", "a.wav", speaker=f"x{n % 3}", emotion=CLASSES[n % 3], gender="other") for n in range(9)
    ]
    found, _ = scored(rows)
    assert "gender" not in fairness_in(found).unknown
    assert fairness_in(found).other_gender == 9
    assert [group.name for group in found.groups_by("gender")] == ["female", "male", "other"]
    sentences = " ".join(conclusions(fairness_in(found), scored=found.scored))
    assert "9 of 153 utterances are of speakers whose gender is given as 'other'" in sentences
    assert "gender of" not in sentences


def test_the_only_group_of_its_kind_is_not_called_the_worst():
    found, _ = scored(corpus(8, gender="male", age=None))
    assert fairness_in(found).worst is None
    assert "Worst group" not in " ".join(conclusions(fairness_in(found), scored=found.scored))
    by_age, _ = scored(corpus(24, gender="male"), right=lambda row: 0.4 if (row.age or 0) >= 60 else 0.9)
    assert fairness_in(by_age).worst[:2] == ("age", "60 and more")  # pyright: ignore[reportOptionalSubscript]


def test_groups_that_fare_alike_have_no_worst():
    found, _ = scored(corpus(8, age=None), right=lambda _: 1.1)
    assert fairness_in(found).worst is None


def test_a_p_below_a_thousandth_is_not_printed_as_zero():
    hard, _ = scored(corpus(8), right=lambda row: 0.0 if row.speaker == "s05" else 1.1)
    sentences = " ".join(conclusions(fairness_in(hard), scored=hard.scored))
    assert "(p < 0.001)" in sentences
    assert "0.000)" not in sentences


def test_some_unknown_genders_are_counted():
    rows = corpus(4) + [Utterance(f"x{n}", "a.wav", speaker="x", emotion=CLASSES[n % 3]) for n in range(5)]
    found, _ = scored(rows)
    sentences = conclusions(fairness_in(found), scored=found.scored)
    assert "The gender of 5 of 77 utterances is unknown; they are in no comparison." in sentences


def test_ages_are_compared_by_band_each_with_all_others():
    found, _ = scored(corpus(), right=lambda row: 0.4 if (row.age or 0) >= 60 else 0.9)
    names = ["under 30", "30 to 44", "45 to 59", "60 and more"]
    assert [group.name for group in found.groups_by("age")] == names
    compared = fairness_in(found).compared_by("age")
    assert [(item.first.name, item.second.name) for item in compared] == [(name, "all others") for name in names]
    assert sum(item.first.utterances for item in compared) == found.scored
    assert all(item.first.utterances + item.second.utterances == found.scored for item in compared)
    assert compared[-1].difference.high < 0
    assert fairness_in(found).worst[:2] == ("age", "60 and more")  # pyright: ignore[reportOptionalSubscript]


@pytest.mark.parametrize(("age", "band"), [(29.9, "under 30"), (45, "45 to 59"), (60, "60 and more"), (None, None)])
def test_an_age_falls_into_its_band(age, band):
    assert age_band(Utterance("a", "a.wav", age=age)) == band


def test_languages_make_groups_only_where_there_are_several():
    one, _ = scored(corpus(4, language="en"))
    assert one.groups_by("language") == ()
    rows = corpus(4, language="en") + [
        Utterance(f"d{n}", "a.wav", speaker=f"d{n % 2}", language="de", emotion=CLASSES[n % 3]) for n in range(12)
    ]
    two, _ = scored(rows)
    assert [(group.name, group.utterances) for group in two.groups_by("language")] == [("de", 12), ("en", 72)]
    assert len(fairness_in(two).compared_by("language")) == 1


def test_the_spread_between_speakers_is_that_of_their_own_scores():
    rows = corpus(9)
    found, answers = scored(rows)
    spread = fairness_in(found).spread
    assert spread is not None
    each = {}
    for name in sorted({str(row.speaker) for row in rows}):
        own = [n for n, row in enumerate(rows) if row.speaker == name]
        truth = [str(rows[n].emotion) for n in own]
        each[name] = sklearn.metrics.balanced_accuracy_score(truth, [answers[n] for n in own])
    values = np.array(list(each.values()))
    assert spread.deviation == pytest.approx(np.std(values, ddof=1))
    assert (spread.low, spread.high) == pytest.approx(tuple(np.quantile(values, [0.1, 0.9])))
    assert spread.worst[1] == pytest.approx(values.min()) == pytest.approx(each[spread.worst[0]])
    assert spread.best[1] == pytest.approx(values.max()) == pytest.approx(each[spread.best[0]])
    assert (spread.speakers, spread.clips) == (9, 18)


def test_what_chance_gives_is_the_variance_of_the_hypergeometric_distribution():
    clips = np.array([[4, 9], [6, 0], [10, 5]])
    hits = np.array([[1, 8], [5, 0], [7, 2]])
    dealt = deals(hits, clips, shuffles=40000, seed=1)
    np.testing.assert_array_equal(dealt.sum(axis=1), np.tile(hits.sum(axis=0), (40000, 1)))
    assert (dealt <= clips).all()
    for speaker, own in enumerate(clips):
        for n, count in enumerate(own):
            if not count:
                assert not dealt[:, speaker, n].any()
                continue
            law = scipy.stats.hypergeom(clips[:, n].sum(), hits[:, n].sum(), count)
            assert dealt[:, speaker, n].mean() == pytest.approx(law.mean(), abs=0.03)
            assert dealt[:, speaker, n].var() == pytest.approx(law.var(), abs=0.05)
    np.testing.assert_allclose(uars(hits, clips), [(1 / 4 + 8 / 9) / 2, 5 / 6, (7 / 10 + 2 / 5) / 2])


def test_speakers_that_are_alike_are_not_called_different_and_a_hard_voice_is_found():
    p_values = []
    for seed in range(20):
        alike, _ = scored(corpus(8), right=lambda _: 0.7, seed=seed)
        spread = fairness_in(alike).spread
        assert spread is not None
        p_values.append(spread.p_value)
    assert sum(p <= 0.05 for p in p_values) <= 4  # of 20, one expected; more than 4 in 3 of 1000
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.25)
    hard, _ = scored(corpus(8), right=lambda row: 0.1 if row.speaker == "s05" else 0.8)
    spread = fairness_in(hard).spread
    assert spread is not None
    assert spread.p_value < 0.01
    assert spread.worst[0] == "s05"
    assert spread.chance_share < 0.5
    assert "some voices are truly harder" in " ".join(conclusions(fairness_in(hard), scored=hard.scored))


def test_one_speaker_has_no_spread_and_dimensions_alone_no_fairness():
    alone, _ = scored(corpus(1))
    assert fairness_in(alone).spread is None
    assert fairness_in(alone).comparisons == ()
    scale = {"arousal": Scale(0, 1)}
    rows = utterances(9, speaker="s{}".format, dimensions=lambda n: {"arousal": n / 9})
    table = (Prediction(f"u{n}", dimensions={"arousal": n / 10}) for n in range(9))
    found = evaluate(manifest_of(*rows, dimensions=scale), predictions_of(*table, dimensions=scale), resamples=10)
    assert found.fairness is None


def test_the_json_holds_the_comparisons_and_the_spread():
    found, _ = scored(corpus())
    data = found.to_json()["fairness"]
    assert isinstance(data, dict)
    comparison = next(item for item in data["comparisons"] if item["by"] == "gender")
    gaps = [item["recall_gap"]["value"] for item in comparison["classes"].values()]
    assert comparison["largest_recall_gap"] == pytest.approx(max(map(abs, gaps)))
    assert comparison["first"]["speakers"] == 12
    assert data["unknown"] == {}
    spread = data["speakers"]
    assert spread["chance"]["standard_deviation"] < spread["chance"]["percentile_95"]
    assert math.isfinite(spread["chance"]["p_value"])
