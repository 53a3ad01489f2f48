"""Tables of names: what is there, what was likely meant, and what third parties add."""

import math
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal

import pytest

from emotune.attacks import ATTACKS
from emotune.conditions import CONDITIONS
from emotune.config.tasks import TASKS
from emotune.corpora import CORPORA
from emotune.data.augmentations import AUGMENTATIONS
from emotune.errors import ConfigError
from emotune.evaluation.robustness.degradations import DEGRADATIONS
from emotune.losses import LOSSES
from emotune.metrics import METRICS
from emotune.models.adapters import ADAPTERS
from emotune.models.aggregations import LAYER_MIXES, POOLINGS
from emotune.models.backbones import BACKBONES
from emotune.models.conditions import JOINS
from emotune.models.heads import HEADS
from emotune.models.published import FORMATS
from emotune.models.views import VIEWS
from emotune.registry import Registry, unknown_name_message
from emotune.section import Section

TABLES = [
    *(ADAPTERS, ATTACKS, AUGMENTATIONS, BACKBONES, CONDITIONS, CORPORA, DEGRADATIONS, FORMATS, HEADS),
    *(JOINS, LAYER_MIXES, LOSSES, METRICS, POOLINGS, TASKS, VIEWS),
]


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
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: groups.get(group, []))
    return groups


def test_a_misspelt_name_is_answered_with_the_likely_one_and_all_there_are():
    with pytest.raises(ConfigError) as caught:
        Registry("pooling", {"mean": 1, "attentive_stats": 2})["attentive_stat"]
    assert str(caught.value) == (
        "Unknown pooling 'attentive_stat', did you mean 'attentive_stats'? Known: attentive_stats, mean."
    )


def test_beside_a_likely_name_a_long_list_of_others_is_left_out():
    many = [f"corpus/recipe_{number}" for number in range(50)]
    assert unknown_name_message("recipe", "corpus/recipe7", many).endswith(", did you mean 'corpus/recipe_7'?")
    assert unknown_name_message("recipe", "x", many).count("corpus/") == 50


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
    table = Registry("loss", {"ours": 1})
    assert table["ours"] == 1
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


def test_an_entry_and_its_options_are_imported_when_they_are_asked_for(points):
    table = Registry("constant", {"pi": ("math:pi", "decimal:Decimal"), "e": "math:e", "gone": "emotune_gone:X"})
    assert list(table) == ["pi", "e", "gone"]
    assert (table["pi"], table["e"]) == (math.pi, math.e)
    assert (table.options("pi"), table.options("e"), table.options("gone")) == (Decimal, None, None)
    points["emotune.constant"], points["emotune.constant.options"] = [Point("tau", math.tau)], [Point("tau", int)]
    assert table.options("tau") is int
    with pytest.raises(ConfigError, match="Unknown constant 'taau', did you mean 'tau'"):
        table.options("taau")


def test_what_is_not_installed_is_named_with_the_extra_that_brings_it():
    table = Registry("loss", {"mine": "no_such_package.losses:Mine"}, extra="train")
    with pytest.raises(ConfigError, match=r"The loss 'mine' needs 'no_such_package', .*pip install 'emotune\[train\]'"):
        table["mine"]


def test_an_entry_is_made_by_its_name_or_with_options_of_its_own():
    table = Registry("number", {"fraction": "fractions:Fraction"})
    assert table.make("fraction", 3) == 3
    assert table.make({"name": "fraction", "denominator": 4}, 3) == 0.75
    with pytest.raises(ConfigError, match="The number 'fraction' cannot be built with denominatr: "):
        table.make({"name": "fraction", "denominatr": 4}, 3)
    with pytest.raises(ConfigError, match=r"A number lacks its name\. Known: fraction\."):
        table.make({"denominator": 4}, 3)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.kind)
def test_every_entry_of_ours_and_its_options_are_where_the_table_says(table):
    for name in table.own:
        assert table[name] is not None
        options = table.options(name)
        assert options is None or isinstance(options, Mapping) or issubclass(options, Section)


def test_the_tables_and_their_options_are_read_without_torch():
    tell = (
        "import sys; from emotune.config.reading import load_recipe; from emotune.config.keys import recipe_keys;"
        " assert recipe_keys(); print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
