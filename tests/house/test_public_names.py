"""The package lists the names that it gives, before any of them is used."""

import subprocess
import sys

import emotune


def test_dir_lists_every_public_name_and_nothing_else():
    listed = subprocess.run(
        [sys.executable, "-c", "import emotune; print(*dir(emotune))"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert listed == sorted([*emotune.__all__, "__version__"])
    assert all(getattr(emotune, name) is not None for name in listed)
