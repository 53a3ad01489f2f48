"""What programs read of the command line: JSON, quiet, standard input, links of errors, the environment, recipes."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from builders.recordings import write_recording
from emotune import errors
from emotune.cli.console import err
from emotune.config.reading import load_recipe
from emotune.errors import EmotuneError
from emotune.runtime import environment as room
from emotune.runtime.environment import Extra, extras_of

ROOT = Path(__file__).parents[2]
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EmotuneError)]


def piped(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_rows_are_lines_of_json(emotune_command, tiny_model, tmp_path):
    write_recording(tmp_path / "a.wav")
    ended = emotune_command("predict", tiny_model, tmp_path / "a.wav", tmp_path / "no.wav", "--json")
    good, bad = (json.loads(line) for line in ended.out.splitlines())
    assert ended.code == 1
    assert good["p.anger"] + good["p.neutral"] == pytest.approx(1)
    assert bad["p.anger"] is None and "no.wav" in bad["error"]
    refused = emotune_command("predict", tiny_model, tmp_path / "a.wav", "--json", "-o", tmp_path / "out.csv")
    assert refused.code == 2 and not (tmp_path / "out.csv").exists()


def test_a_timeline_is_printed_as_the_document_that_a_file_holds(emotune_command, tiny_model, tmp_path):
    write_recording(tmp_path / "a.wav")
    asked = ("timeline", tiny_model, tmp_path / "a.wav", tmp_path / "no.wav", "--vad", "none", "--json")
    printed = emotune_command(*asked)
    assert printed.code == 1 and [bool(one["error"]) for one in json.loads(printed.out)["timelines"]] == [False, True]
    written = emotune_command(*asked, "-o", tmp_path / "a.json")
    assert written.out == printed.out == (tmp_path / "a.json").read_text("utf-8")


def test_a_recording_from_standard_input_has_the_answer_of_the_file(emotune_command, tiny_model, tmp_path, monkeypatch):
    write_recording(tmp_path / "a.wav")
    file = json.loads(emotune_command("predict", tiny_model, tmp_path / "a.wav", "--json").out)
    piped(monkeypatch, (tmp_path / "a.wav").read_bytes())
    given = json.loads(emotune_command("predict", tiny_model, "-", "--json").out)
    assert given["utterance_id"] == "-"
    assert [given[name] for name in ("p.anger", "arousal")] == [file[name] for name in ("p.anger", "arousal")]
    piped(monkeypatch, b"")
    assert "nothing came from standard input" in emotune_command("predict", tiny_model, "-").err


def test_quiet_says_errors_alone_wherever_it_stands(emotune_command, tiny_model, tmp_path):
    write_recording(tmp_path / "a.wav")
    (tmp_path / "notes.md").write_text("x")
    named = ("predict", tiny_model, tmp_path, "-o", tmp_path / "out.csv")
    assert "passed over in folders" in emotune_command(*named).err
    for words in (("--quiet", *named), (*named, "--quiet")):
        assert emotune_command(*words).err == ""
    ended = emotune_command("predict", tiny_model, tmp_path / "no.wav", "--quiet")
    assert ended.code == 1 and ended.err.startswith("error: ")
    emotune_command("--version")
    assert emotune_command(*named).err and not err.errors_alone


def test_an_error_names_the_page_that_explains_it(emotune_command):
    ended = emotune_command("predict", "mini", "nothing.csv")
    file, _, heading = ended.err.splitlines()[-1].removeprefix("more: ").partition(", ")
    assert heading == "tables" and "`TableError`" in Path(file).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_an_error_has_its_heading(kind):
    page, _, heading = kind.page.partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.M)
    }
    assert heading in anchors or kind is EmotuneError
    assert kind is EmotuneError or f"`{kind.__name__}`" in text


def test_the_environment_is_shown_and_is_json(emotune_command, monkeypatch):
    monkeypatch.setattr(room, "_caches", lambda: [("cache", 1.5)])
    shown = emotune_command("env").out
    assert "1.5" in shown and "extras" in shown
    found = json.loads(emotune_command("env", "--json").out)
    assert found["usable_cores"] >= 1 and found["versions"]["numpy"]
    assert {one["name"] for one in found["extras"]} >= {"train", "serve", "media"}
    assert all(one["complete"] != bool(one["missing"] or one["too_old"]) for one in found["extras"])


def test_an_extra_is_missing_half_there_or_too_old(monkeypatch):
    monkeypatch.setattr(room, "_has_portaudio", lambda: True)
    wanted = [
        "no-such-thing>=1; extra == 'a'",
        "numpy>=1.0; extra == 'a'",
        "numpy>=999; extra == 'b'",
        "emotune[a]; extra == 'c'",
    ]
    half, old = extras_of(wanted)
    assert (half.name, half.missing, half.complete) == ("a", ["no-such-thing"], False)
    assert old.missing == [] and old.too_old and not old.complete
    cures = {
        lack.what.partition(",")[0]: lack.cure for lack in room._lacks([half, old], ["H200"], {"torch": "2.13.0+cpu"})
    }
    assert cures["extra a"] == "pip install 'emotune[a]'" and cures["extra b"] == "pip install -U 'emotune[b]'"
    assert "a GPU is here and PyTorch is a build for processors" in cures
    shared = [Extra("x", {"y": None, "numpy": "2", "soxr": "1"}), Extra("z", {"soxr": "1"})]
    assert list(room._lacks(shared, [], {"emotune-mini": "1"}, ["numpy"])) == []  # nobody asked for x


def test_a_new_recipe_reads_as_the_one_it_starts_from(emotune_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = ("new", "recipe", "calls.yaml", "--from", "demo/tiny_wavlm", "data.manifest=m.csv", "train.epochs=3")
    assert emotune_command(*made).code == 0
    assert "whole number from 1" in Path("calls.yaml").read_text("utf-8")
    assert yaml.safe_load(Path("calls.yaml").read_text("utf-8"))["name"] == "calls"
    first = load_recipe("demo/tiny_wavlm", ["data.manifest=m.csv", "train.epochs=3", "name=calls"])
    assert load_recipe("calls.yaml").model_copy(update={"description": first.description}) == first
    assert "is there already" in emotune_command(*made).err
    wrong = emotune_command("new", "recipe", "other.yaml", "--from", "demo/tiny_wavlm", "train.epoch=3")
    assert "did you mean 'train.epochs'" in wrong.err and not Path("other.yaml").exists()
    assert "ends with .yaml" in emotune_command("new", "recipe", "other").err


def test_no_color_is_honoured():
    command = [sys.executable, "-c", "from emotune.cli.console import err; err.print('warning: x', style='yellow')"]
    said = [
        subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=True).stderr
        for more in ({"FORCE_COLOR": "1", "TERM": "xterm"}, {"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"})
    ]
    assert "\x1b[33m" in said[0] and said[1].strip() == "warning: x"
