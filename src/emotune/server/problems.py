"""Problems: errors as answers, all in the one shape of RFC 9457.

Reference:
    Nottingham, Wilde, Dalal (2023), RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from emotune.errors import AudioError, ConfigError, EmotuneError, ModelError
from emotune.inference.engine import EngineError
from emotune.io.tables import to_json
from emotune.server.faults import words_of

MEDIA_TYPE = "application/problem+json"

TITLES: Mapping[str, tuple[int, str]] = {
    "malformed-body": (400, "The body is malformed"),
    "key-needed": (401, "A key is needed"),
    "origin-refused": (403, "The page's origin is not allowed"),
    "host-refused": (403, "The server has another name"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "The method is not allowed"),
    "upload-too-slow": (408, "The upload took too long"),
    "stream-idle": (408, "No sound came"),
    "stream-unread": (408, "The answers are not read"),
    "job-not-done": (409, "The job is not done"),
    "too-large": (413, "The upload is too large"),
    "media-type": (415, "The media type is not supported"),
    "option": (422, "An option is wrong"),
    "recording": (422, "The recording cannot be used"),
    "model": (422, "The model cannot do this"),
    "too-many": (429, "Too many requests"),
    "fault": (500, "The server is at fault"),
    "no-room": (503, "There is not enough room"),
    "took-too-long": (503, "The answer took too long"),
    "ending": (503, "The server is about to end"),
}
"""Kind of problem -> status and title."""


class Problem(Exception):  # noqa: N818 (the word of RFC 9457)
    """Error that becomes an answer.

    Args:
        kind: one of ``TITLES``.
        detail: what was wrong, what was expected, and the cure.
        errors: places of the fault: ``field`` and ``message`` of each.
        retry_after_s: after which the client may ask again.
        headers: further ones of the answer.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.errors = kind, detail, list(errors)
        self.status, self.title = TITLES[kind]
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after_s)))

    def to_json(self, request_id: str) -> dict[str, Any]:
        """The same as the body of an answer."""
        return {
            "type": f"urn:emotune:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            **({"errors": self.errors} if self.errors else {}),
        }

    def response(self, request_id: str) -> Response:
        """The answer."""
        body = to_json(self.to_json(request_id), indent=None).encode(errors="backslashreplace")
        return Response(body, self.status, headers=self.headers, media_type=MEDIA_TYPE)


def no_room(error: OSError) -> Problem:
    """Problem where the server's disk refuses what it should hold."""
    return Problem("no-room", f"The server cannot hold the upload ({error.strerror or error}).", retry_after_s=60)


def option_problem(faults: Sequence[Mapping[str, Any]], *place: str, known: Sequence[str] = ()) -> Problem:
    """Problem of options that pydantic refuses, each with its place; ``known`` are those that there are."""
    errors = [{"field": ".".join(map(str, (*place, *one["loc"]))), "message": words_of(one, known)} for one in faults]
    told = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
    return Problem("option", f"{told[:1000]}.", errors=errors)


def check_given_once(given: Iterable[tuple[str, str]]) -> None:
    """Refuses options that are given twice, since one of them would be passed over.

    Raises:
        Problem: that names them.
    """
    counts = Counter(name for name, _ in given)
    errors = [
        {"field": f"query.{name[:100]}", "message": f"given {count} times, expected once"}
        for name, count in counts.items()
        if count > 1
    ]
    if errors:
        told = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
        raise Problem("option", f"{told[:1000]}.", errors=errors)


def problem_of(error: EmotuneError) -> Problem:
    """Problem that an error of emotune is to a client."""
    if isinstance(error, EngineError):
        return Problem("no-room", str(error), retry_after_s=5)
    if isinstance(error, AudioError):
        return Problem("recording", str(error))
    if isinstance(error, ConfigError):
        return Problem("option", str(error))
    if isinstance(error, ModelError):
        return Problem("model", str(error))
    return Problem("fault", str(error))
