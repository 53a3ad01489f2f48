"""Turns of a diarisation: rows with their speakers, by whom answers are adapted."""

import csv

import pytest

from builders.command import run_command
from builders.recordings import write_recording
from emotune.errors import ConfigError, TableError
from emotune.inference.inputs import Inputs
from emotune.inference.items import Item
from emotune.inference.turn_items import items_of_turns
from emotune.runtime.listener import Listener

RTTM = """SPEAKER a 1 0.50 1.00 <NA> <NA> ann <NA> <NA>
SPEAKER a 1 1.20 45.00 <NA> <NA> bob <NA> <NA>
SPEAKER a 1 0.50 1.00 <NA> <NA> cyd <NA> <NA>
SPEAKER b 1 0.00 0.80 <NA> <NA> ann <NA> <NA>
"""


@pytest.fixture
def rttm(tmp_path):
    path = tmp_path / "calls.rttm"
    path.write_text(RTTM)
    return path


def test_each_turn_is_an_item_and_long_ones_are_parted(rttm, tmp_path):
    write_recording(tmp_path / "a.wav", seconds=47)
    items = list(items_of_turns([Item("a.wav", tmp_path / "a.wav"), Item("b.wav", tmp_path / "b.wav")], rttm))
    assert [(one.speaker, one.start_s, one.end_s) for one in items] == [
        ("ann of a.wav", 0.5, 1.5),
        ("cyd of a.wav", 0.5, 1.5),
        ("bob of a.wav", 1.2, 16.2),
        ("bob of a.wav", 16.2, 31.2),
        ("bob of a.wav", 31.2, 46.2),
        ("ann of b.wav", 0.0, 0.8),
    ]
    assert items[2].extra == {"start_s": 1.2, "end_s": 16.2, "speaker": "bob"}


def test_a_turn_that_ends_behind_its_recording_is_one_row_with_its_error(rttm, tmp_path):
    write_recording(tmp_path / "a.wav", seconds=2)
    rttm.write_text(RTTM + "SPEAKER a 1 1.50 9e9 <NA> <NA> dan <NA> <NA>\n")
    errors = {one.speaker: one.error for one in items_of_turns([Item("a.wav", tmp_path / "a.wav")], rttm)}
    assert [name for name, error in errors.items() if error is None] == ["ann of a.wav", "cyd of a.wav"]
    assert "a.wav: it ends at 2 s, and a turn of bob in" in errors["bob of a.wav"]
    assert "calls.rttm at 46.2 s. Is it the diarisation of another recording?" in errors["bob of a.wav"]
    assert "9e+09 s" in errors["dan of a.wav"]


def test_what_has_no_turns_is_a_row_with_its_error(rttm, tmp_path):
    segment, other = Item("a.wav", b"", start_s=1.0), Item("c.wav", b"")
    found = list(items_of_turns([segment, other, Item("b.wav", b"", error="broken row")], rttm))
    assert [one.error.partition(":")[0] for one in found[:1]] == ["a.wav is a segment already"]
    assert "has no turns of 'c'" in found[1].error and found[2].error == "broken row"
    with pytest.raises(TableError, match="holds no speaker turns"):
        empty = tmp_path / "empty.rttm"
        empty.touch()
        Inputs([write_recording(tmp_path / "a.wav")], speakers=empty).listed(Listener())
    with pytest.raises(ConfigError, match="leave out --speakers"):
        Inputs([tmp_path], channel="each", speakers=rttm)


def test_answers_are_adapted_by_the_speakers_of_a_diarisation(tiny_model, tmp_path):
    write_recording(tmp_path / "a.wav", seconds=3)
    turns = [f"SPEAKER a 1 {at * 0.5:.2f} 0.50 <NA> <NA> {'ab'[at % 2]}" for at in range(6)]
    (tmp_path / "a.rttm").write_text("\n".join(turns))
    given = (tmp_path / "a.wav", "--speakers", tmp_path / "a.rttm")
    ended = run_command("predict", tiny_model, *given, "--adapt", "speaker", "-o", tmp_path / "rows.csv")
    assert ended.code == 0, ended.err
    rows = list(csv.DictReader((tmp_path / "rows.csv").open(encoding="utf-8")))
    assert [(row["speaker"], row["start_s"]) for row in rows[:3]] == [("a", "0.0"), ("b", "0.5"), ("a", "1.0")]
    assert len(rows) == 6 and all("adapted_by" in row for row in rows)
    ended = run_command("adapt", tiny_model, *given, "-o", tmp_path / "adapted")
    assert ended.code == 0, ended.err
    assert "speaker a of " in ended.out and "speaker b of " in ended.out
    ended = run_command("predict", tiny_model, *given, "--part-rows", 2, "-o", tmp_path / "parts")
    assert ended.code == 2 and "leave out --part-rows" in ended.err
