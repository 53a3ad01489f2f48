"""Descriptions of the routes for OpenAPI: bodies, answers, problems, and examples that tests run."""

from __future__ import annotations

from typing import Any

from emotune.server.problems import MEDIA_TYPE, TITLES

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:emotune:problem:too-large"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Descriptions of answers that are problems."""
    return {
        status: {
            "description": "; ".join(title for code, title in TITLES.values() if code == status),
            "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
        }
        for status in statuses
    }


_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "Recordings, or videos with sound; the field may be given again.",
                        }
                    },
                    "additionalProperties": False,
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "audio/*": {"schema": {"type": "string", "format": "binary"}},
            "video/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_REFUSED = problems(400, 401, 408, 413, 415, 422, 429, 503)

DESCRIBED_PREDICT: dict[str, Any] = {"openapi_extra": _UPLOAD, "responses": _REFUSED}
DESCRIBED_TIMELINE: dict[str, Any] = {"openapi_extra": _UPLOAD, "responses": _REFUSED}
DESCRIBED_JOB: dict[str, Any] = {"openapi_extra": _UPLOAD, "responses": _REFUSED}
