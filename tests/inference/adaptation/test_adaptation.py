"""Adaptation of tables of answers: which groups, which rows move, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.special import softmax

from emotune.errors import ConfigError, ModelError
from emotune.inference import Item
from emotune.inference.adaptation.adaptation import COLUMN, Adaptation, adaptation_to
from emotune.inference.adaptation.groups import group_of
from emotune.inference.adaptation.rule import Shift
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.predictions import Prediction, Predictions

SPACE = LabelSpace(("anger", "happiness", "sadness", "neutral"), {"arousal": Scale(1, 7)})


def collection(speakers: int = 3, each: int = 12) -> tuple[Predictions, list[Item]]:
    """Speakers who show all emotions, the model hearing each one's way as another emotion; the last one clip more."""
    generator = np.random.default_rng(0)
    rows, items = [], []
    for number in range(speakers * each + 1):
        speaker = min(number // each, speakers - 1)
        scores = 2 * np.eye(4)[number % 4] + 1.5 * np.eye(4)[speaker % 4] + generator.normal(0, 0.3, 4)
        probabilities = dict(zip(SPACE.classes, softmax(scores).tolist(), strict=True))
        rows.append(Prediction(f"u{number}", probabilities, {"arousal": 3.0}, extra={"file": f"u{number}.wav"}))
        items.append(Item(f"u{number}", f"u{number}.wav", speaker=f"s{speaker}", corpus="calls"))
    return Predictions(tuple(rows), SPACE, "model"), items


def test_all_that_moves_is_classes_and_the_rows_say_what_moved_them():
    plain, items = collection()
    adaptation = adaptation_to(plain, items)
    moved = adaptation.answers(plain, items)
    assert set(adaptation.groups) == {"speaker s0", "speaker s1", "speaker s2"}
    assert adaptation.corpus is not None
    assert adaptation.corpus.clips == len(plain)
    assert moved.model_fingerprint is None
    for row, before in zip(moved, plain, strict=True):
        assert row.dimensions == before.dimensions
        assert sum(row.probabilities.values()) == pytest.approx(1)
        assert row.extra["file"] == before.extra["file"]
        assert row.extra[COLUMN].startswith("speaker s")
    assert moved.rows[0].extra[COLUMN].startswith("speaker s0 (")
    right = [
        np.mean([row.most_probable == SPACE.classes[n % 4] for n, row in enumerate(table)]) for table in (plain, moved)
    ]
    assert right[1] > right[0]


def test_a_single_clip_is_the_plain_answer_to_the_bit():
    plain, items = collection()
    for number in range(5):
        rows, only = dataclasses.replace(plain, rows=plain.rows[number : number + 1]), items[number : number + 1]
        moved = adaptation_to(rows, only).answers(rows, only)
        assert moved.rows[0].probabilities == plain.rows[number].probabilities
        assert moved.rows[0].extra[COLUMN] == "nothing"


def test_the_order_of_clips_changes_no_answer():
    plain, items = collection()
    order = np.random.default_rng(1).permutation(len(items))
    other, others = dataclasses.replace(plain, rows=tuple(plain.rows[n] for n in order)), [items[n] for n in order]
    one = adaptation_to(plain, items).answers(plain, items).by_id()
    assert adaptation_to(other, others).answers(other, others).by_id() == one


def test_given_the_statistics_a_clip_alone_is_a_clip_in_the_batch():
    plain, items = collection()
    stored = Adaptation.from_json(json.loads(json.dumps(adaptation_to(plain, items).to_json())))
    together = adaptation_to(plain, items).answers(plain, items)
    for row, item, expected in zip(plain, items, together, strict=True):
        assert stored.answer(row, item) == expected


def test_failed_rows_stay_and_count_for_nothing():
    plain, items = collection()
    failed = Prediction("broken", error="broken: no sound")
    rows = dataclasses.replace(plain, rows=(failed, *plain.rows))
    found = adaptation_to(rows, [Item("broken", "b.wav", speaker="s0"), *items])
    assert found == adaptation_to(plain, items)
    assert found.answers(rows, [Item("broken", "b.wav", speaker="s0"), *items]).rows[0] == failed


def test_abstaining_follows_the_moved_confidence():
    plain, items = collection()
    confident = adaptation_to(plain, items).answers(plain, items, answered_from=0.6)
    assert {row.uncertain for row in confident} == {True, False}
    assert all(row.uncertain == (max(row.probabilities.values()) < 0.6) for row in confident)


@pytest.mark.parametrize(
    ("item", "by", "group"),
    [
        (Item("a", "call.wav", speaker="s1"), "auto", "speaker s1"),
        (Item("a", "call.wav", speaker="s1"), "speaker", "speaker s1"),
        (Item("a", "call.wav", speaker="s1"), "recording", "recording call.wav"),
        (Item("a#ch1", "call.wav", channel=1), "auto", "recording call.wav#ch1"),
        (Item("a", "call.wav"), "speaker", None),
        (Item("clip_1", b"RIFF"), "auto", "recording clip_1"),
    ],
)
def test_groups_are_speakers_where_known_else_recordings_and_their_channels(item, by, group):
    assert group_of(item, by) == group


def test_a_speaker_who_is_not_known_stops_the_adapting_by_speaker():
    plain, items = collection()
    with pytest.raises(ConfigError, match=r"u3: no speaker is known.*--column speaker"):
        adaptation_to(plain, [*items[:3], dataclasses.replace(items[3], speaker=None), *items[4:]], by="speaker")


def test_one_name_in_two_corpora_is_refused():
    plain, items = collection()
    with pytest.raises(ConfigError, match="'s0' stands in two corpora, other and calls, and may be two people"):
        adaptation_to(plain, [dataclasses.replace(items[0], corpus="other"), *items[1:]])


def test_an_unknown_way_and_a_model_without_classes_are_refused():
    plain, items = collection()
    with pytest.raises(ConfigError, match="Unknown way to adapt 'speakers', did you mean 'speaker'"):
        adaptation_to(plain, items, by="speakers")
    dimensions = dataclasses.replace(plain, label_space=LabelSpace((), {"arousal": Scale(1, 7)}))
    with pytest.raises(ConfigError, match="no classes"):
        adaptation_to(dimensions, items)


def test_a_table_keeps_the_statistics_beside_it(tmp_path):
    plain, items = collection()
    moved = adaptation_to(plain, items).answers(plain, items)
    moved.write(tmp_path / "t.csv")
    assert Predictions.read(tmp_path / "t.csv").adaptation == moved.adaptation
    plain.write(tmp_path / "plain.csv")
    assert Predictions.read(tmp_path / "plain.csv").adaptation is None


@pytest.mark.parametrize(
    "change",
    [
        {"by": "nobody"},
        {"groups": {"speaker a": {"clips": 3, "mean": [0.0], "strength": 0.5}}},
        {"groups": {"speaker a": {"clips": 3, "mean": [0, 0, 0, float("nan")], "strength": 0.5}}},
        {"groups": {"speaker a": {"clips": 3, "mean": [0, 0, 0, 0], "strength": 1.5}}},
        {"groups": {"speaker a": {"clips": 0, "mean": [0, 0, 0, 0], "strength": 0}}},
        {"groups": ["speaker a"]},
        {"corpus": 3},
    ],
)
def test_damaged_statistics_are_refused(change):
    whole = Adaptation("auto", SPACE.classes, {"speaker a": Shift(3, (0.0,) * 4, 0.5)}, None).to_json()
    with pytest.raises(ModelError):
        Adaptation.from_json(whole | change)
