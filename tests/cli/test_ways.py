"""Options that do nothing in a way of running are refused, by one table that names options that exist."""

import pytest
import typer

from emotune.cli import app
from emotune.cli.ways import SERVES


@pytest.mark.parametrize("command", SERVES)
def test_the_table_names_options_that_the_command_has(command):
    found = typer.main.get_command(app).commands[command]
    assert set(SERVES[command]) <= {parameter.opts[-1] for parameter in found.params}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--server", "http://127.0.0.1:9", "--window", "2"],
            "--window is for a model on this machine: leave it out",
        ),
        (["--server", "http://127.0.0.1:9", "--precision", "int8"], "--precision is for a model on this machine"),
        (["--task", "words"], "--task goes with a sequence model, and mini is none: leave it out."),
        (
            ["--adapter", "a.safetensors", "--vad", "none", "--json"],
            "--vad, --json: this is a sequence model",
        ),
        (["--part-rows", "9", "--hop", "1"], "--window, --hop and --vad go into one table: leave out --part-rows."),
        (["--part-rows", "9", "--adapt", "auto"], "--adapt needs all answers at once, and --part-rows keeps few"),
        (["--retry-errors"], "--part-format and --retry-errors go with --part-rows."),
        (["--engine", "ray"], "--engine ray writes a folder of parts: say how large they are with --part-rows"),
    ],
)
def test_an_option_that_does_nothing_is_refused(emotune_command, tmp_path, options, words):
    ended = emotune_command("predict", "mini", tmp_path / "a.wav", *options)
    assert ended.code == 2 and words in ended.err


def test_an_option_with_its_default_is_no_fault(emotune_command, tmp_path):
    ended = emotune_command(
        "predict", "mini", tmp_path / "a.wav", "--part-rows", 9, "--adapt", "none", "--channel", "mix"
    )
    assert ended.code == 2 and "--part-rows needs a folder for the parts" in ended.err
