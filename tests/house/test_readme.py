"""The README is short, and names what is there."""

from pathlib import Path

import pytest

from emotune.corpora import CORPORA
from emotune.models.aggregations import LAYER_MIXES, POOLINGS
from emotune.models.backbones import BACKBONES

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_at_most_150_lines():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("family", [CORPORA, BACKBONES, LAYER_MIXES, POOLINGS], ids=lambda family: next(iter(family)))
def test_the_readme_names_every_part_of_a_family(family):
    assert not [name for name in family if f"`{name}`" not in README]
