"""OpenAPI says what is true: its examples are run, and answers fit its schemas."""

import re
import shlex

import httpx2 as httpx
import numpy as np
import pytest

from builders.recordings import encoded, tone
from builders.served import wait_until
from emotune.server import schemas
from emotune.server.app import create_app
from emotune.server.openapi import URL
from emotune.server.problems import TITLES

SOUND = encoded(np.concatenate([np.zeros(8000), tone(seconds=4.0, peak=0.5), np.zeros(16000)]))
FREE = ("probabilities", "dimensions", "shares", "threshold")
"""Mappings whose keys are those of the model."""


@pytest.fixture(scope="module")
def api(server) -> dict:
    return server.client.get("/openapi.json").json()


def operations(api: dict):
    for path, methods in api["paths"].items():
        for method, about in methods.items():
            yield method.upper(), path, about


def check(value: dict, schema: dict) -> None:
    """The value is what the schema says, and holds nothing else."""
    model = getattr(schemas, schema["$ref"].rpartition("/")[2])
    assert model.model_validate(value).model_dump(by_alias=True) == value


def run(command: str, server, job: str) -> httpx.Response:
    """Runs a command of curl's as the documentation prints it."""
    words = shlex.split(command.replace(URL, server.url).replace("/ID", f"/{job}"))
    assert words[0] == "curl"
    method, files, url = "GET", {}, ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-F":
            name, _, file = next(rest).partition("=@")
            method, files = "POST", {name: (file, SOUND)}
        elif word == "-X":
            method = next(rest)
        else:
            url = word
    return server.client.request(method, url, files=files or None)


def shape(value, name: str = ""):
    """Names and kinds of what a value holds, whatever their values."""
    if isinstance(value, dict):
        return {} if name in FREE else {key: shape(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]] if name not in ("classes", "models") else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_every_example_is_answered_as_the_description_shows_it(server, api):
    begun = server.client.post("/v1/jobs?vad=energy", files={"file": ("call.wav", SOUND)}).json()
    wait_until(lambda: server.service.jobs.active == 0)
    run_here = 0
    for method, path, about in sorted(operations(api), key=lambda one: one[0] == "DELETE"):
        for sample in about.get("x-codeSamples", ()):
            answer = run(sample["source"], server, begun["id"])
            described = about["responses"][str(answer.status_code)]
            run_here += 1
            if method == "DELETE":
                continue
            assert answer.is_success, answer.text
            content = described["content"]["application/json"]
            check(answer.json(), content["schema"])
            check(content["example"], content["schema"])
            found, shown = answer.json(), content["example"]
            if "status" in found:  # a job that is done by now
                found, shown = found | {"expires": None}, shown | {"status": found["status"]}
            assert shape(found) == shape(shown), path
    assert run_here == 7


def test_an_unknown_route_and_a_method_that_is_not_answered_name_those_that_are(server):
    lost = server.client.get("/v1/emotion").json()["detail"]
    assert "There is no route /v1/emotion." in lost and "/v1/predict" in lost
    assert "/v1/stream (WebSocket)" in lost
    assert server.client.get("/v1/stream").json()["detail"] == "/v1/stream is a WebSocket."
    assert server.client.get("/v1/predict").json()["detail"] == "GET is not answered here; allowed: POST."


def test_an_answer_is_described_in_the_formats_that_it_has(api):
    def media(path: str) -> set[str]:
        return set(api["paths"][path]["post"]["responses"]["200"]["content"])

    assert media("/v1/predict") == {"application/json", "application/jsonl", "text/csv; charset=utf-8"}
    assert "application/xml" in media("/v1/timeline")


def test_every_route_is_described_with_its_problems(api):
    known = {str(status) for status, _ in TITLES.values()}
    paths = {path for _, path, _ in operations(api)}
    assert paths >= {"/v1/predict", "/v1/timeline", "/v1/models", "/v1/jobs", "/v1/jobs/{job_id}", "/health", "/ready"}
    for method, path, about in operations(api):
        assert about["summary"] and about["description"], path
        refusals = {status for status in about["responses"] if status >= "4"}
        assert refusals <= known, (method, path)
        if method == "POST":
            assert refusals >= {"400", "401", "413", "415", "422", "429", "503"}, path
            assert set(about["requestBody"]["content"]) >= {"multipart/form-data", "audio/*"}
        for status in refusals:
            assert set(about["responses"][status]["content"]) == {"application/problem+json"}, (path, status)


def test_problems_have_the_shape_that_is_described(server, api):
    for answer in (
        server.client.post("/v1/timeline?hop_s=x"),
        server.client.post("/v1/predict", content=b"1", headers={"Content-Type": "text/plain"}),
        server.client.post("/v1/predict", files={"file": b"broken"}),
    ):
        described = api["paths"][answer.request.url.path]["post"]["responses"][str(answer.status_code)]
        assert answer.headers["content-type"] in described["content"]
        problem = answer.json()
        found = schemas.ProblemAnswer.model_validate(problem).model_dump()
        assert found == {"errors": [], **problem}


def test_nothing_of_the_description_is_loaded_from_elsewhere(server, api, loudness):
    for path in ("/docs", "/redoc"):
        assert server.client.get(path).status_code == 404
    app = create_app([f"loudness={loudness}"])
    assert not re.search(r"https?://(?!127\.0\.0\.1)", str(app.openapi()))
