"""Descriptions of the routes for OpenAPI: bodies, answers and problems, and examples that tests run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from emotune.server.options import PredictionFormat, TimelineFormat
from emotune.server.problems import MEDIA_TYPE, TITLES
from emotune.server.rendering import JSON, MEDIA_TYPES
from emotune.server.schemas import JobAnswer, PredictAnswer, ProblemAnswer, TimelineAnswer
from emotune.timelines.formats.json_document import SCHEMA

URL = "http://127.0.0.1:8000"
"""Address of the server in examples."""

_MODEL = {
    "name": "mini",
    "fingerprint": "84e599fd910e1bfb26fa6a1868646724e3fa3a3d0ec1e61c896cf28c072ffff5",
    "licence": "cc-by-nc-sa-4.0",
    "classes": ["anger", "happiness", "sadness", "neutral"],
    "dimensions": {},
    "conditions": [],
    "max_duration_s": 30.0,
    "preprocessing": {"sampling_rate_hz": 16000},
}
_EMOTION = {
    "emotion": "neutral",
    "confidence": 0.69,
    "uncertain": False,
    "probabilities": {"anger": 0.03, "happiness": 0.07, "sadness": 0.21, "neutral": 0.69},
    "dimensions": {},
}
_PREDICTION = {
    "file": "clip.wav",
    "channel": None,
    **_EMOTION,
    "conditions_used": None,
    "warning": None,
    "error": None,
}
_RECORDING = {
    "file": "call.wav",
    "duration_s": 3.437,
    "channels": [None],
    "segments": [{"start_ms": 924, "end_ms": 2628, "channel": None, "speaker": None, **_EMOTION}],
    "silences": [{"start_ms": 0, "end_ms": 924, "channel": None, "emotion": "no speech"}],
    "errors": [],
    "summary": {
        "voices": [
            {
                "channel": None,
                "speaker": None,
                "speech_s": 1.704,
                "silence_s": 1.733,
                "shares": {"anger": 0.0, "happiness": 0.0, "sadness": 0.0, "neutral": 1.0},
                "uncertain": 0.0,
                "changes": 0,
                "changes_a_minute": 0.0,
                "most": "neutral",
                "dimensions": {},
            }
        ]
    },
    "error": None,
}
_SETTINGS = {"window_s": 2.0, "hop_s": 1.0, "vad": "silero", "change_cost": 0.5, "uncertain_below": 0.0}
_JOB = {
    "id": "R4Jc3nQzTn2oQb8wS1yUeT0a",
    "kind": "timeline",
    "model": "mini",
    "status": "queued",
    "progress": 0.0,
    "created": "2026-11-28T11:49:34.100+00:00",
    "expires": None,
    "error": None,
}

_SOUND = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD: Mapping[str, Any] = {
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
        **dict.fromkeys(("application/octet-stream", "audio/*", "video/*"), _SOUND),
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Descriptions of answers that are problems."""
    return {
        status: {
            "description": "; ".join(title for code, title in TITLES.values() if code == status),
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemAnswer.__name__}"}}},
        }
        for status in statuses
    }


OF_CLIENTS = problems(401, 403)
"""Problems of every route that asks who the client is."""

_OF_UPLOADS = problems(400, 401, 403, 408, 413, 415, 422, 429, 503)


def _in_formats(answer: type[BaseModel], formats: Any) -> dict[str, Any]:
    """Description of an answer that comes in other formats too."""
    texts = sorted({MEDIA_TYPES[form] for form in get_args(formats)} - {JSON})
    content: dict[str, Any] = {form: {"schema": {"type": "string"}} for form in texts}
    return {"model": answer, "description": "Answers", "content": content}


def _upload(sample: str) -> dict[str, Any]:
    return {"requestBody": _UPLOAD, **_sample(sample)}


def _sample(command: str) -> dict[str, Any]:
    """Example of a request, as a command that tests run."""
    return {"x-codeSamples": [{"lang": "Shell", "source": command}]}


PREDICT: dict[str, Any] = {
    "openapi_extra": _upload(f"curl -F file=@clip.wav '{URL}/v1/predict?channel=mix'"),
    "responses": _OF_UPLOADS | {200: _in_formats(PredictAnswer, PredictionFormat)},
}
TIMELINE: dict[str, Any] = {
    "openapi_extra": _upload(f"curl -F file=@call.wav '{URL}/v1/timeline?vad=energy&coverage=1'"),
    "responses": _OF_UPLOADS | {200: _in_formats(TimelineAnswer, TimelineFormat)},
}
BEGIN_JOB: dict[str, Any] = {
    "openapi_extra": _upload(f"curl -F file=@call.wav '{URL}/v1/jobs?kind=timeline'"),
    "responses": _OF_UPLOADS | {202: {"model": JobAnswer, "description": "The job; Location is its address"}},
}
LOOK_AT_JOB: dict[str, Any] = {
    "openapi_extra": _sample(f"curl {URL}/v1/jobs/ID"),
    "responses": problems(401, 403, 404) | {200: {"model": JobAnswer}},
}
RESULT_OF_JOB: dict[str, Any] = {
    "openapi_extra": _sample(f"curl '{URL}/v1/jobs/ID/result?format=json'"),
    "responses": problems(401, 403, 404, 409, 413, 422, 500, 503) | {200: _in_formats(TimelineAnswer, TimelineFormat)},
}
END_JOB: dict[str, Any] = {
    "openapi_extra": _sample(f"curl -X DELETE {URL}/v1/jobs/ID"),
    "responses": problems(401, 403, 404),
}
LIST_MODELS: dict[str, Any] = {"openapi_extra": _sample(f"curl {URL}/v1/models"), "responses": OF_CLIENTS}

_PREDICTED = {"model": _MODEL, "predictions": [_PREDICTION]}
_FOLLOWED = {"schema": SCHEMA, "model": _MODEL, "timelines": [_RECORDING], "settings": _SETTINGS}
_LISTED = {"models": [_MODEL | {"default": True, "threshold": {"0.8": 0.52}}]}
_EXAMPLES: Mapping[tuple[str, str, str], Any] = {
    ("/v1/predict", "post", "200"): _PREDICTED,
    ("/v1/timeline", "post", "200"): _FOLLOWED,
    ("/v1/jobs", "post", "202"): _JOB,
    ("/v1/jobs/{job_id}", "get", "200"): _JOB,
    ("/v1/jobs/{job_id}/result", "get", "200"): _FOLLOWED,
    ("/v1/models", "get", "200"): _LISTED,
}
"""Answers by path, method and status; FastAPI would leave out what is null in them."""


def described(api: dict[str, Any]) -> dict[str, Any]:
    """Description as FastAPI makes it, with examples, and without its own shape of problems."""
    for (path, method, status), example in _EXAMPLES.items():
        api["paths"][path][method]["responses"][status]["content"][JSON]["example"] = example
    for methods in api["paths"].values():
        for operation in methods.values():
            if JSON in operation["responses"].get("422", {}).get("content", ()):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        api["components"]["schemas"].pop(name, None)
    return api
