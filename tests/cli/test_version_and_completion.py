"""`emotune --version`, and what a shell asks to complete a command line."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version

import emotune

RUN = "import sys; sys.argv = ['emotune', *sys.argv[1:]]; from emotune.cli import main; main()"


def run(*arguments, **environment):
    command = [sys.executable, "-c", RUN, *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_the_versions_are_shown_without_importing_torch(emotune_command):
    ended = emotune_command("--version")
    assert ended.code == 0
    assert ended.out.strip() == (
        f"emotune {emotune.__version__}, Python {platform.python_version()}, PyTorch {version('torch')}"
    )
    check = "import sys; from emotune.cli.version import versions; versions(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_a_shell_gets_its_completion_script():
    ended = run(_EMOTUNE_COMPLETE="source_bash")
    assert ended.returncode == 0, ended.stderr
    assert "complete -o default -F _emotune_completion emotune" in ended.stdout


def test_commands_are_completed():
    ended = run(_EMOTUNE_COMPLETE="complete_bash", COMP_WORDS="emotune comp", COMP_CWORD="1")
    assert ended.stdout.split() == ["compare"]
