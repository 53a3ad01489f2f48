"""Threads that wait for each other go to sleep, unless the user wants them to spin; small fits have one."""

import os
from pathlib import Path

import numpy as np
import pytest

from emotune.runtime.threads import one_thread, spin_briefly


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


def threads_of_blas() -> set[int]:
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="comes with the extra train")
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def test_small_fits_have_one_thread_and_what_follows_has_as_many_as_before(monkeypatch):
    linear_model = pytest.importorskip("sklearn.linear_model", reason="comes with the extra train")
    from emotune.schema.labels import LabelSpace
    from emotune.schema.manifest import Manifest
    from emotune.schema.utterance import Utterance
    from emotune.training.linear import fit_linear

    seen, fit = [], linear_model.LogisticRegression.fit

    def watched(self, *arguments, **options):
        seen.append(threads_of_blas())
        return fit(self, *arguments, **options)

    monkeypatch.setattr(linear_model.LogisticRegression, "fit", watched)
    controller = pytest.importorskip("threadpoolctl").ThreadpoolController()
    space = LabelSpace(("anger", "fear"))
    utterances = [Utterance(f"u{n}", f"u{n}.wav", speaker="s", emotion=("anger", "fear")[n % 2]) for n in range(8)]
    with controller.limit(limits=2, user_api="blas"):
        before = threads_of_blas()
        fit_linear(
            np.random.default_rng(0).standard_normal((8, 3)),
            Manifest(tuple(utterances), space, Path()),
            space,
            inverse_regularisation=1.0,
        )
        assert threads_of_blas() == before
    assert seen == [{1}]


def test_one_thread_is_given_back_after_a_fault():
    pytest.importorskip("sklearn", reason="comes with the extra train")
    before = threads_of_blas()
    with pytest.raises(ZeroDivisionError), one_thread():
        assert threads_of_blas() == {1}
        raise ZeroDivisionError
    assert threads_of_blas() == before
