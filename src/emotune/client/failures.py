"""Failures of requests: which are tried again and when, and what errors the others are here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import httpx2

from emotune.errors import AudioError, ConfigError, EmotuneError, ServerError

AGAIN = (429, 503)
"""Statuses of a server that is busy or about to end."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_IN_VAIN = (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol)
_OUTLASTS = ("too-large", "took-too-long")
_KINDS: Mapping[str, type[EmotuneError]] = {"recording": AudioError, "too-large": AudioError, "option": ConfigError}


def unreachable(url: str, error: httpx2.HTTPError) -> ServerError:
    """Error for a server that does not answer."""
    reason = str(error) or type(error).__name__
    return ServerError(f"{url} does not answer ({reason}). Is `emotune serve` running there?")


class Patience:
    """Waits before a question is asked again, of a server that is busy, not there, or lost the connection.

    Args:
        seconds: of all waits together.
        timeout_s: that an attempt without an answer has taken.
    """

    def __init__(self, seconds: float, timeout_s: float) -> None:
        self._left_s = seconds
        self._timeout_s = timeout_s
        self._following_s = _FIRST_WAIT_S

    def wait_s(self, came: httpx2.Response | httpx2.HTTPError) -> float | None:
        """Seconds to wait before the next attempt; None where that would be in vain, or too long.

        Args:
            came: the answer, or the error in its place.
        """
        stated = ""
        if isinstance(came, httpx2.Response):
            if came.status_code not in AGAIN or outlasts_request(came):
                return None
            stated = came.headers.get("retry-after", "")
        elif not isinstance(came, httpx2.TransportError) or isinstance(came, _IN_VAIN):
            return None
        spent_s = self._timeout_s if isinstance(came, httpx2.TimeoutException) else 0.0
        return self.next_s(float(stated) if stated.isdecimal() else None, spent_s=spent_s)

    def next_s(self, stated_s: float | None = None, *, spent_s: float = 0.0) -> float | None:
        """Seconds to wait before the next attempt; None when patience ends.

        Args:
            stated_s: seconds that the server states.
            spent_s: seconds that the attempt took in vain.
        """
        wait_s = min(self._following_s if stated_s is None else stated_s, _LONGEST_WAIT_S)
        self._following_s *= 2
        self._left_s -= wait_s + spent_s
        return wait_s if self._left_s >= 0 else None


def outlasts_request(came: httpx2.Response | httpx2.HTTPError) -> bool:
    """Tells that the server would rather take the recording as a job."""
    if isinstance(came, httpx2.HTTPError) or came.status_code not in (413, 503):
        return False
    try:
        return _kind_of(came.json()) in _OUTLASTS
    except (ValueError, AttributeError):  # somebody else's answer
        return False


def body_of(came: httpx2.Response | httpx2.HTTPError, url: str) -> dict[str, Any]:
    """Body of the answer that came in the end.

    Raises:
        EmotuneError: when none came, or as ``checked_json`` has it.
    """
    if isinstance(came, httpx2.HTTPError):
        raise unreachable(url, came) from came
    return checked_json(came)


def checked_json(answer: httpx2.Response) -> dict[str, Any]:
    """Body of an answer.

    Raises:
        AudioError: when the server cannot use the recording.
        ConfigError: when it does not know an option.
        ServerError: for any other failure, and for what is no answer of emotune.
    """
    if answer.status_code == 204:
        return {}
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ServerError(
            f"{answer.url} answers {answer.status_code}, and no JSON. Is it the address of emotune serve?"
        )
    if answer.is_success:
        return cast(dict[str, Any], body)
    raise error_of(cast(dict[str, Any], body))


def error_of(problem: Mapping[str, Any]) -> EmotuneError:
    """Error that a problem of RFC 9457 is here; a fault of the server comes with the id that its log knows."""
    words = str(problem.get("detail") or problem.get("title") or problem)
    if problem.get("status") == 500:
        words += f" The request was {problem.get('request_id')}."
    return _KINDS.get(_kind_of(problem), ServerError)(words)


def _kind_of(problem: Mapping[str, Any]) -> str:
    return str(problem.get("type")).rpartition(":")[2]
