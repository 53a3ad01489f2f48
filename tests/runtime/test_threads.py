"""Threads that wait for each other go to sleep, unless the user wants them to spin."""

import os

import pytest

from emotune.runtime.threads import spin_briefly


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_the_user_decides_first_how_long_threads_spin(monkeypatch, given, expected):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    spin_briefly()
    assert os.environ.get("GOMP_SPINCOUNT") == expected


def test_the_command_line_sets_it_before_anything_is_computed(monkeypatch, emotune_command):
    monkeypatch.setenv("GOMP_SPINCOUNT", "")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert emotune_command("recipes").code == 0
    assert os.environ["GOMP_SPINCOUNT"] == "10000"
