"""Agreement of annotators: against values worked by hand, a published example and the raters one by one."""

import csv
import json
import math
from collections import Counter
from itertools import permutations
from pathlib import Path

import krippendorff
import numpy as np
import pytest

from builders.manifests import manifest_of, utterances
from emotune.schema.labels import LabelSpace, class_noun, in_class_order
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.votes.agreement import agreement_of, nominal_alpha

CREMAD = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}


def manifest(*votes: dict[str, float], emotion: str | None = "anger") -> Manifest:
    return manifest_of(*utterances(len(votes), emotion=emotion, votes=list(votes)), classes=("anger", "sadness"))


def alpha_of_pairs(ballots: list[dict[str, float]]) -> float:
    """Observed against expected disagreement, counted over ordered pairs of single votes."""
    units = [[name for name, n in ballot.items() for _ in range(int(n))] for ballot in ballots]
    units = [unit for unit in units if len(unit) > 1]
    observed = sum(sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    every = Counter(vote for unit in units for vote in unit)
    total = sum(every.values())
    expected = sum(every[a] * every[b] for a in every for b in every if a != b) / (total - 1)
    return 1 - observed / expected


def test_alpha_is_the_one_worked_by_hand():
    # Two raters, ten units (Krippendorff 2011, section A: 0/1 data): ones and zeros agree in six units, differ in four.
    rows = [(0, 0), (1, 0), (0, 1), (0, 0), (0, 0), (0, 0), (0, 0), (1, 0), (1, 0), (0, 0)]
    ballots = [dict(Counter("anger" if vote else "sadness" for vote in row)) for row in rows]
    # 20 values, 4 of them ones; 8 mismatching ordered pairs observed, 2 * 4 * 16 / 19 expected.
    assert nominal_alpha(ballots) == pytest.approx(1 - 8 / (2 * 4 * 16 / 19))


@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_that_of_pairs_counted_one_by_one(seed):
    generator = np.random.default_rng(seed)
    names = ["anger", "sadness", "frustration", "contempt"]
    ballots = [dict(zip(names, row.tolist(), strict=True)) for row in generator.integers(0, 3, size=(40, 4))]
    assert nominal_alpha(ballots) == pytest.approx(alpha_of_pairs(ballots))


@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_that_of_the_library_of_that_name(seed):
    counts = np.random.default_rng(seed).integers(0, 4, size=(30, 5))
    ballots = [dict(zip("abcde", map(float, row), strict=True)) for row in counts.tolist()]
    expected = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    assert nominal_alpha(ballots) == pytest.approx(expected)


def test_alpha_is_undefined_where_nothing_could_disagree():
    assert math.isnan(nominal_alpha([{"anger": 3}, {"anger": 2}]))
    assert math.isnan(nominal_alpha([{"anger": 1}, {"sadness": 1}]))
    assert math.isnan(nominal_alpha([{"anger": 1.5, "sadness": 0.5}, {"sadness": 2}]))
    assert nominal_alpha([{"anger": 3}, {"sadness": 2}]) == 1.0


def test_everything_that_is_shown_is_counted_right():
    found = agreement_of(
        manifest(
            {"anger": 3, "sadness": 1},
            {"anger": 2},
            {"anger": 2, "sadness": 2},
            {"frustration": 2, "anger": 1, "sadness": 1},
            {"sadness": 1},
            {},
        )
    )
    assert found is not None
    assert (found.with_votes, found.compared, found.votes) == (5, 4, (1, 4, 4))
    assert (found.tied, found.without_majority, found.without_emotion) == (1, 2, 0)
    assert [(c.name, c.utterances, c.mean_share) for c in found.by_class] == [
        ("anger", 2, 0.875), ("frustration", 1, 0.5), ("(tied)", 1, 0.5),
    ]  # fmt: skip
    assert found.mean_share == pytest.approx((0.75 + 1 + 0.5 + 0.5) / 4)


def test_without_votes_there_is_no_agreement_to_show(tmp_path, emotune_command):
    assert agreement_of(manifest({}, {"anger": 0})) is None
    manifest({}).write(tmp_path / "m.csv")
    assert "Krippendorff" not in emotune_command("corpus", "show", tmp_path / "m.csv").out
    assert json.loads(emotune_command("corpus", "show", tmp_path / "m.csv", "--json").out)["agreement"] is None


def test_the_command_shows_agreement_in_words_and_as_json(tmp_path, emotune_command):
    manifest({"anger": 3, "sadness": 1}, {"anger": 2}, {"sadness": 2}, emotion=None).write(tmp_path / "m.csv")
    shown = emotune_command("corpus", "show", tmp_path / "m.csv").out
    expected = alpha_of_pairs([{"anger": 3, "sadness": 1}, {"anger": 2}, {"sadness": 2}])
    assert f"Krippendorff's alpha {expected:.3f}" in shown
    told = json.loads(emotune_command("corpus", "show", tmp_path / "m.csv", "--json").out)["agreement"]
    assert told["krippendorff_alpha"] == pytest.approx(expected)
    assert told["by_most_voted_class"]["anger"] == {"utterances": 2, "mean_share": 0.875}
    assert told["without_emotion"] == 3


def test_crema_d_has_more_agreement_on_faces_than_on_voices(shared):
    """The counts of the corpus's own table, by modality: the first digit of a row's number."""
    path = shared / "data" / "cremad_votes" / "tabulatedVotes.csv"
    if not path.exists():
        pytest.skip(f"no votes of CREMA-D at {path}")
    with path.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    found = {}
    for digit, what in (("1", "voice"), ("2", "face"), ("3", "both")):
        part = [row for row in rows if row[""].startswith(digit)]
        ballots = [{class_noun(noun): float(row[letter]) for letter, noun in CREMAD.items()} for row in part]
        utterances = tuple(Utterance(row["fileName"], "a.wav", votes=b) for row, b in zip(part, ballots, strict=True))
        agreement = agreement_of(Manifest(utterances, LabelSpace(in_class_order(CREMAD.values())), Path()))
        assert agreement is not None
        assert agreement.compared == 7442
        assert agreement.mean_share == pytest.approx(np.mean([float(row["agreement"]) for row in part]), abs=2e-3)
        found[what] = agreement.alpha
        table = np.array([list(ballot.values()) for ballot in ballots])
        sizes = table.sum(axis=1)
        disagreeing = ((sizes**2 - (table**2).sum(axis=1)) / (sizes - 1)).sum()
        totals = table.sum(axis=0)
        chance = (totals.sum() ** 2 - (totals**2).sum()) / (totals.sum() - 1)
        assert agreement.alpha == pytest.approx(1 - disagreeing / chance)
    assert found["voice"] < found["face"] < found["both"]
