"""Settings of a client, and what they make of each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
        threshold: least confidence of an answer, in place of a coverage.
        key: where the server asks for one; white space around it is no part of it.
        timeout_s: longest wait for an answer.
        patience_s: longest time in all to ask again of a server that is busy, or not there yet.

    Raises:
        ConfigError: for what is no address, a key that no header can carry, or both a coverage and a threshold.
    """

    url: str
    model: str | None = None
    coverage: float | None = None
    threshold: float | None = None
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 150.0
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        if self.coverage is not None and self.threshold is not None:
            raise ConfigError("coverage and threshold say the same in two ways: leave out one of them.")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError(f"'{self.url}' is no address of a server, expected one such as http://127.0.0.1:8000.")
        key = self._key
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(
                "The key (key=, or EMOTUNE_KEY of the command line) holds a line break or a sign that is not ASCII:"
                " give the one line that `emotune serve` was told of."
            )

    @property
    def _key(self) -> str:
        return (self.key or "").strip()

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of each question."""
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def query(self, **options: Any) -> Mapping[str, Any]:
        """Options that are not None, with those of all questions."""
        given = {"model": self.model, "coverage": self.coverage, "threshold": self.threshold, **options}
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
