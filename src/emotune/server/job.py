"""Job: what a client asked for, where it stands, and what it came to."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from emotune.runtime.progress import Item
from emotune.schema.predictions import Predictions
from emotune.server.cancellation import Cancellation
from emotune.server.options import JobOptions
from emotune.server.uploads import Upload
from emotune.timelines import Timelines

Outcome = Literal["done", "failed", "cancelled"]
Status = Literal["queued", "running", "done", "failed", "cancelled"]
Result = Predictions | Timelines
_ID_BYTES = 18


@dataclass(eq=False)
class Job:
    """A job of a client.

    Args:
        client: whose it is; nobody else sees it.
        model: name of the model.
        options: as they were asked for.
        uploads: recordings; none any more once it is done.
        job_id: unguessable.
        created: seconds since 1970.
        has_begun: whether a thread works on it.
        outcome: how it ended; None while it is not done.
        done: share of the recordings that is answered.
        expires: seconds since 1970 at which it is forgotten; None while it is not done.
        result: what it came to.
        problem: why it failed.
    """

    client: str
    model: str
    options: JobOptions
    uploads: list[Upload]
    job_id: str = field(default_factory=lambda: secrets.token_urlsafe(_ID_BYTES))
    created: float = field(default_factory=time.time)
    has_begun: bool = False
    outcome: Outcome | None = None
    done: float = 0.0
    expires: float | None = None
    result: Result | None = None
    problem: dict[str, Any] | None = None
    cancellation: Cancellation = field(default_factory=Cancellation)

    @property
    def is_active(self) -> bool:
        """Tells that it is still to be done."""
        return self.outcome is None

    @property
    def status(self) -> Status:
        """State of the job."""
        return self.outcome or ("running" if self.has_begun else "queued")

    def to_json(self) -> dict[str, Any]:
        """Status for its client."""
        return {
            "id": self.job_id,
            "kind": self.options.kind,
            "model": self.model,
            "status": self.status,
            "progress": round(self.done, 4),
            "created": _time(self.created),
            "expires": None if self.expires is None else _time(self.expires),
            "error": self.problem,
        }

    def progress(self, items: Iterable[Item], *, total: int, title: str) -> Iterator[Item]:
        """Counts how much of it is done; the ``Progress`` of its recordings, one after another or all at once."""
        before, share = self.done, 1 / len(self.uploads) if self.options.kind == "timeline" else 1.0
        for count, item in enumerate(items, start=1):
            self.done = min(1.0, before + min(1.0, count / total) * share)
            yield item
        self.done = min(1.0, before + share)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
