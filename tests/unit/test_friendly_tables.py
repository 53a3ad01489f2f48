"""Small kindnesses to people with tables of their own."""

import pytest

from emotune.errors import TableError
from emotune.manifest import Manifest
from emotune.tables import read_rows


def test_a_table_separated_by_semicolons_is_named_as_such(tmp_path):
    (tmp_path / "own.csv").write_text("file;label\na.wav;anger\n")
    with pytest.raises(TableError, match="is separated by semicolons"):
        read_rows(tmp_path / "own.csv")


def test_dev_is_short_for_development_in_shares(tmp_path, tones, emotune_command):
    tones.write(tmp_path / "m.csv")
    shares = ("--share", "train=0.5", "--share", "dev=0.5")
    assert emotune_command("corpus", "split", tmp_path / "m.csv", "-o", tmp_path / "s.csv", *shares).code == 0
    assert {utterance.split for utterance in Manifest.read(tmp_path / "s.csv")} == {"train", "development"}
