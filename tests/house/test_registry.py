"""Tables of names: what is there, what was likely meant, and what third parties add."""

import pytest

from emotune import registry
from emotune.errors import ConfigError
from emotune.registry import Registry, unknown_name_message


class Point:
    """An entry point as importlib.metadata gives it."""

    def __init__(self, name: str, value: object) -> None:
        self.name, self.value = name, value

    def load(self) -> object:
        return self.value


@pytest.fixture
def points(monkeypatch):
    """Entry points by group, as if a third party had installed them."""
    groups: dict[str, list[Point]] = {}
    monkeypatch.setattr(registry, "entry_points", lambda *, group: groups.get(group, []))
    return groups


def test_a_misspelt_name_is_answered_with_the_likely_one_and_all_there_are():
    with pytest.raises(ConfigError) as caught:
        Registry("pooling", {"mean": 1, "attentive_stats": 2})["attentive_stat"]
    assert str(caught.value) == (
        "Unknown pooling 'attentive_stat', did you mean 'attentive_stats'? Known: attentive_stats, mean."
    )


def test_a_name_like_no_other_gets_no_suggestion():
    assert unknown_name_message("loss", "zzz", ["mean"]) == "Unknown loss 'zzz'. Known: mean."


def test_a_table_behaves_as_a_mapping_in_its_own_order(points):
    table = Registry("colour", {"red": 1, "blue": 2})
    assert list(table) == ["red", "blue"]
    assert len(table) == 2
    assert "red" in table
    assert "green" not in table
    assert dict(table.items()) == {"red": 1, "blue": 2}


def test_third_parties_add_entries_under_the_group_of_the_kind(points):
    points["emotune.layer_mix"] = [Point("theirs", 3)]
    table = Registry("layer mix", {"ours": 1})
    assert table["theirs"] == 3
    assert "theirs" in table
    assert list(table) == ["ours", "theirs"]
    assert len(table) == 2
    assert "theirs" not in Registry("loss", {"ours": 1})
    with pytest.raises(ConfigError, match=r"did you mean 'theirs'\? Known: ours, theirs\."):
        table["thiers"]


def test_a_third_party_cannot_replace_an_entry_of_ours(points):
    points["emotune.loss"] = [Point("ours", "theirs")]
    table = Registry("loss", {"ours": "ours"})
    assert table["ours"] == "ours"
    assert list(table) == ["ours"]


def test_a_package_that_cannot_be_loaded_harms_nothing_but_its_own_entry(points):
    class Broken(Point):
        def load(self) -> object:
            raise ImportError("No module named 'theirs'")

    points["emotune.loss"] = [Broken("theirs", "theirs:LOSS"), Point("good", 2)]
    table = Registry("loss", {"ours": 1})
    assert list(table) == ["ours", "theirs", "good"]
    assert "theirs" in table
    assert (table["ours"], table["good"]) == (1, 2)
    with pytest.raises(
        ConfigError, match=r"The loss 'theirs' comes from another package \(theirs:LOSS\), which cannot"
    ):
        table["theirs"]
