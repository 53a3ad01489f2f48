"""A server that the tests of this folder share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("onnx", reason="writes models with the package onnx")

from builders.served import Served, loudness_model, served


@pytest.fixture(scope="session")
def loudness(tmp_path_factory) -> Path:
    """Folder of a model that hears loudness."""
    return loudness_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def server(loudness) -> Iterator[Served]:
    """Server of that model, with small limits."""
    limits = {"upload_mb": 2, "memory_mb": 0.1, "seconds": 60, "channels": 3, "files": 4, "job_seconds": 300}
    with served(f"loudness={loudness}", **limits) as running:
        yield running
