"""The list of commands is made without them, and says what they say."""

import subprocess
import sys

import pytest
import typer

from emotune.cli import app
from emotune.cli.commands import SENTENCES
from emotune.errors import ConfigError


@pytest.fixture(scope="module")
def group():
    return typer.main.get_command(app)


def test_every_command_begins_its_help_with_its_sentence_in_the_list(group):
    assert [*group.commands] == [*SENTENCES]
    for name, sentence in SENTENCES.items():
        command = group.commands[name]
        assert " ".join((command.help or "").split()).startswith(sentence.rstrip(".")), name


@pytest.mark.parametrize("name", ["corpus", "import", "new", "recipes"])
def test_a_group_has_no_options_of_completion(group, name):
    assert [
        option for parameter in group.commands[name].params for option in parameter.opts if "completion" in option
    ] == []


def test_the_list_of_commands_imports_none_of_them():
    program = "import sys; sys.argv = ['emotune', '--help']; import atexit; from emotune.cli import main; " + (
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(name in ended.stdout for name in SENTENCES)
    own = {name for name in ended.stderr.split() if name.startswith("emotune.cli.")}
    assert own == {"emotune.cli.commands", "emotune.cli.console", "emotune.cli.version"}
    assert "numpy" not in ended.stderr.split()


def own_commands(group):
    for name, command in group.commands.items():
        yield from own_commands(command) if hasattr(command, "commands") else [(name, command)]


def test_an_option_of_one_value_is_refused_when_it_is_given_twice(group):
    tried = 0
    for name, command in own_commands(group):
        for option in command.params:
            if option.param_type_name == "option" and not option.multiple and not option.is_flag:
                words = [option.opts[0], *["1"] * option.nargs, option.opts[-1], *["2"] * option.nargs]
                with pytest.raises(ConfigError, match=f"{option.opts[-1]} is given twice"):
                    command.make_context(name, words)
                tried += 1
    assert tried > 150


def test_an_option_that_takes_a_list_and_a_flag_may_be_given_again(emotune_command, tmp_path):
    asked = ("-o", tmp_path / "a.csv", "-o", tmp_path / "a.json", "--column", "x=y", "--column", "x=z")
    assert "'x' is given twice" in emotune_command("timeline", "mini", "a.wav", *asked).err
    assert emotune_command("env", "--json", "--json").code == 0


def test_a_command_that_was_registered_otherwise_is_listed_and_runs(emotune_command, monkeypatch):
    def spoken() -> None:
        """Speaks."""
        sys.stdout.write("spoken\n")

    monkeypatch.setattr(app, "registered_commands", [])
    app.command("speak")(spoken)
    assert "Speaks." in emotune_command("--help").out
    assert emotune_command("speak").out == "spoken\n"
