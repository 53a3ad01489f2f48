"""Settings of a client, and what they make of each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from emotune.errors import ConfigError

TOGETHER = 4
"""Recordings that are asked about at a time."""


@dataclass(frozen=True)
class ClientSettings:
    """Settings of a client.

    Args:
        url: of the server, such as ``http://127.0.0.1:8000``.
        model: name of one of its models; None = its first.
        coverage: share that is answered, the others being uncertain; see ``emotune.load``.
        key: where the server asks for one.
        timeout_s: longest wait for an answer.
        patience_s: longest time in all to ask again of a server that is busy, or not there yet.

    Raises:
        ConfigError: for what is no address.
    """

    url: str
    model: str | None = None
    coverage: float | None = None
    key: str | None = None
    timeout_s: float = 150.0
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError(f"'{self.url}' is no address of a server, expected one such as http://127.0.0.1:8000.")

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of each question."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    def query(self, **options: Any) -> Mapping[str, Any]:
        """Options that are not None, with those of all questions."""
        given = {"model": self.model, "coverage": self.coverage, **options}
        return {name: value for name, value in given.items() if value is not None}

    def chosen(self, models: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Description of the model that answers.

        Raises:
            ConfigError: when the server has none of its name.
        """
        for model in models:
            if self.model in (model["name"], None):
                return model
        known = ", ".join(model["name"] for model in models)
        raise ConfigError(f"{self.url} has no model '{self.model}', but {known}.")

    def stream_url(self, **options: Any) -> str:
        """Address of a stream."""
        base = "ws" + self.url.rstrip("/").removeprefix("http")
        return f"{base}/v1/stream?{urlencode(self.query(**options))}"
