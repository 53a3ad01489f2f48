"""Commands in a process that has the packages of tests/third_party."""

import json
import os
import subprocess
import sys
from pathlib import Path

from builders.command import Ended

TESTS = Path(__file__).parents[1]
PACKAGES = TESTS / "third_party"
_RUN_EACH = """
import dataclasses, json, sys
sys.path.append(sys.argv[1])
from builders.command import run_command
print(json.dumps([dataclasses.asdict(run_command(*arguments)) for arguments in json.loads(sys.argv[2])]))
"""


def with_packages(folder: Path, *commands: list[str]) -> list[Ended]:
    """Runs commands in a folder, one after the other in one process."""
    paths = os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", _RUN_EACH, str(TESTS), json.dumps(commands)]
    environment = {**os.environ, "PYTHONPATH": paths}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return [Ended(**told) for told in json.loads(ended.stdout)]
