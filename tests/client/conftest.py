"""A server that the tests of this folder ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("httpx2", reason="needs the extra client")
pytest.importorskip("onnx", reason="writes models with the package onnx")

from builders.served import Served, loudness_model, served


@pytest.fixture(scope="session")
def loudness(tmp_path_factory) -> Path:
    """Folder of a model that hears loudness."""
    return loudness_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def server(loudness) -> Iterator[Served]:
    """Server of that model."""
    with served(f"loudness={loudness}", seconds=60, channels=3, job_seconds=100) as running:
        yield running
