"""No message is longer than a screen, and none loses its beginning or its cure."""

import re
import sys
from pathlib import Path

import pytest

from emotune.cli import console, main
from emotune.errors import ConfigError, EmotuneError, TableError, on_a_screen, quoted
from emotune.io.cells import number_or_none, text_or_none

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("error", [EmotuneError, ConfigError, TableError])
def test_a_message_of_a_million_letters_keeps_its_beginning_and_its_cure(error):
    message = str(error("table.csv, row 3: " + "x" * 970_000 + " Give it with --audio-root."))
    assert len(message) <= 24 * 80
    assert message.startswith("table.csv, row 3: xxx")
    assert message.endswith("Give it with --audio-root.")
    assert " characters left out " in message


def test_a_message_of_a_thousand_lines_says_how_many_are_left_out():
    lines = on_a_screen("\n".join(f"fault {number}" for number in range(1000))).splitlines()
    assert len(lines) == 24
    assert lines[:18] == [f"fault {number}" for number in range(18)]
    assert lines[18] == "... 977 lines left out ..."
    assert lines[19:] == [f"fault {number}" for number in range(995, 1000)]


@pytest.mark.parametrize("message", ["", "one line", "\n".join(["a line"] * 24), "x" * 1900, "ends with a line\n"])
def test_a_message_that_fits_a_screen_stays_as_it_is(message):
    assert on_a_screen(message) == message
    assert str(ConfigError(message)) == message


def test_a_quoted_value_is_short_however_long_or_deep_it_is():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value in ("x" * 970_000, b"\0" * 970_000, {"bytes": b"\0" * 970_000}, ["x"] * 10_000, 10**4000, deep):
        assert len(quoted(value)) < 400
    assert [quoted(value) for value in ("soon", "", {}, [1, 2], None)] == ["'soon'", "''", "{}", "[1, 2]", "None"]


def test_fields_quote_what_they_refuse_and_keep_the_cure():
    with pytest.raises(TableError, match=r"^row 1, age: expected a number, got 'xxx.*xxx'\.$") as caught:
        number_or_none("x" * 970_000, "row 1, age")
    assert len(str(caught.value)) < 400
    with pytest.raises(TableError, match=r"^row 1, file: expected text, got .*\. One value a field\.$") as caught:
        text_or_none({"bytes": b"\0" * 970_000, "path": "a.wav"}, "row 1, file")
    assert len(str(caught.value)) < 400


def test_what_the_system_says_and_what_is_warned_of_fits_a_screen_too(monkeypatch, capsys):
    def refuse() -> None:
        raise OSError(36, "File name too long", "x" * 970_000)

    monkeypatch.setattr("emotune.cli.app", refuse)
    monkeypatch.setattr(sys, "argv", ["emotune"])
    with pytest.raises(SystemExit):
        main()
    assert len(capsys.readouterr().err) < 2000
    with console.err.capture() as shown:
        console.warn_all(["y" * 970_000])
    assert len(shown.get()) < 2000


def test_every_page_and_heading_that_the_code_names_is_there():
    named = {
        link
        for path in (ROOT / "src").rglob("*.*")
        if path.suffix in (".py", ".yaml")
        for link in re.findall(r"docs/[\w/-]+\.md(?:#[\w-]+)?", path.read_text(encoding="utf-8"))
    }
    assert "docs/how-to/sweeps.md" in named and "docs/how-to/errors.md#models" in named
    for link in named:
        page, _, heading = link.partition("#")
        titles = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert not heading or heading in anchors, link
