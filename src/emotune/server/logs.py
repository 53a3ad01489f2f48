"""Logs of the service: a line of JSON for each event, without recordings, their names, or who sent them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("emotune.server")
_FIELDS = "fields"
TOLD = "told"


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; what a library says goes under ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields: Mapping[str, Any] = getattr(record, _FIELDS, None) or {"message": record.getMessage()}
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **fields,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log(event: str, *, level: int = logging.INFO, fault: BaseException | None = None, **fields: Any) -> None:
    """Logs an event with its fields."""
    LOGGER.log(level, event, exc_info=fault, extra={_FIELDS: {"event": event, **fields}})


def tell(scope: MutableMapping[str, Any], **fields: Any) -> None:
    """Adds fields to the line that a request will be in the log."""
    scope["state"].setdefault(TOLD, {}).update(fields)


def log_as_json() -> None:
    """Sends what the service, and libraries that warn, have to say to standard error, as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.getLogger().handlers = [handler]
    LOGGER.handlers, LOGGER.propagate = [handler], False
    LOGGER.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what it warns of is the client's fault
