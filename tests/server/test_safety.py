"""Keys, origins, headers, logs and metrics: who may ask, and what is told of it."""

import json
import logging
import re

import pytest

from builders.recordings import encoded, tone
from builders.served import refused, served, wait_until
from emotune.errors import ConfigError
from emotune.server import keys
from emotune.server.logs import JsonLines
from emotune.server.routes import page
from emotune.server.serve import named_on
from emotune.server.settings import Settings, settings_of

LOUD = encoded(tone(peak=0.9))


def test_who_has_no_key_is_refused_and_who_has_one_is_answered(loudness):
    key, hashed = keys.new_key()
    with served(f"loudness={loudness}", settings=Settings(keys=(keys.new_key()[1], hashed))) as server:
        for header in ("", "Bearer", f"Bearer {key}x", f"Basic {key}", hashed, f"Bearer {hashed}"):
            given = {"Authorization": header} if header else {}
            answer = server.client.post("/v1/predict", files={"file": LOUD}, headers=given)
            refused(answer, "key-needed")
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/models", "/metrics", "/v1/jobs/x"):
            assert server.client.get(path).status_code == 401
        given = {"Authorization": f"bearer {key}"}
        assert server.client.post("/v1/predict", files={"file": LOUD}, headers=given).status_code == 200
        for path in ("/health", "/ready", "/openapi.json"):
            assert server.client.get(path).status_code == 200


def test_keys_are_read_from_a_file_and_the_environment(tmp_path):
    (one, first), (_, second), (_, third) = (keys.new_key() for _ in range(3))
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{first}  # the page\n\n{second}\n")
    found = keys.read_keys(file, {keys.VARIABLE: f"{third},{first}"})
    assert found == (first, second, third)
    assert keys.client_of(one, found) == first[7:15]
    assert keys.client_of("", found) is None


@pytest.mark.parametrize("content", ["", "# nothing\n", "sha256:abc\n", "emotune-plain-key\n"])
def test_what_is_no_file_of_hashes_is_refused_and_no_key_is_shown(tmp_path, content):
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(ConfigError, match="--new-key") as error:
        keys.read_keys(file, {})
    assert "plain-key" not in str(error.value)
    with pytest.raises(ConfigError, match=keys.VARIABLE):
        keys.read_keys(None, {keys.VARIABLE: content or "word"})


def test_pages_from_elsewhere_may_not_ask_unless_they_are_allowed(server, loudness):
    own = {"Origin": server.url}
    assert server.client.post("/v1/predict", files={"file": LOUD}, headers=own).status_code == 200
    for origin in ("https://elsewhere.example", "null", "http://127.0.0.1:1"):
        answer = server.client.post("/v1/predict", files={"file": LOUD}, headers={"Origin": origin})
        refused(answer, "origin-refused")
        assert "access-control-allow-origin" not in answer.headers
    with served(f"loudness={loudness}", settings=Settings(origins=("https://page.example",))) as other:
        allowed = {"Origin": "https://page.example"}
        answer = other.client.post("/v1/predict", files={"file": LOUD}, headers=allowed)
        assert answer.headers["access-control-allow-origin"] == "https://page.example"
        asked = allowed | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        assert other.client.options("/v1/predict", headers=asked).status_code == 200
        assert other.client.options("/v1/predict", headers=asked | {"Origin": "https://x.example"}).status_code == 400


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://page.example/", "https://page.example"),
        ("HTTPS://Page.example:443", "https://page.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
    ],
)
def test_an_origin_is_taken_as_browsers_send_it(given, sent):
    assert settings_of({}, origins=(given,)).origins == (sent,)


@pytest.mark.parametrize(
    "given", ["page.example", "*", "null", "", "https://page.example/app", "https://a b", "ftp://a"]
)
def test_what_is_no_origin_is_refused(given):
    with pytest.raises(ConfigError, match=r"^--origin .*such as https://example\.org"):
        settings_of({}, origins=(given,))


def test_a_server_of_this_machine_alone_is_asked_by_its_own_names(loudness):
    assert named_on(Settings(), "0.0.0.0", "0.0.0.0").hosts == ()
    assert named_on(Settings(keys=("x",)), "localhost", "127.0.0.1").hosts == ()
    assert {"here.example", "localhost"} < set(named_on(Settings(), "Here.example", "127.0.0.1").hosts)
    with served(f"loudness={loudness}", settings=named_on(Settings(), "127.0.0.1", "127.0.0.1")) as server:
        for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000"):
            own = {"Host": host, "Origin": f"http://{host}"}
            assert server.client.get("/v1/models", headers=own).status_code == 200, host
        for host in ("example.org", "example.org:8000", "localhost.example.org", "127.0.0.1@example.org"):
            other = {"Host": host, "Origin": f"http://{host}"}
            refused(server.client.get("/v1/models", headers=other), "host-refused")
            refused(server.client.post("/v1/predict", files={"file": LOUD}, headers=other), "host-refused")


def test_head_is_answered_as_get_without_the_body(server):
    for path in ("/", "/health", "/ready", "/v1/models", "/openapi.json", "/v1/jobs/none", "/static/none"):
        got, head = server.client.get(path), server.client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-type"] == got.headers["content-type"]
    for path, allowed in (
        ("/v1/predict", "POST"),
        ("/v1/jobs/none", "DELETE, GET, HEAD"),
        ("/health", "GET, HEAD"),
        ("/", "GET, HEAD"),
        ("/static/none", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
    ):
        answer = server.client.put(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path
    assert server.client.head("/v1/predict").status_code == 405
    assert server.client.get("/health").text


def test_every_answer_carries_its_id_and_safe_headers(server):
    for path in ("/health", "/v1/models", "/nothing"):
        answer = server.client.get(path, headers={"X-Request-ID": "mine-1"})
        assert answer.headers["x-request-id"] == "mine-1"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
    made_up = server.client.get("/health", headers={"X-Request-ID": "a b\tc"}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{16}", made_up)


def test_logs_are_lines_of_json_without_recordings_names_or_addresses(server, caplog):
    with caplog.at_level(logging.INFO, "emotune.server"):
        server.client.post(
            "/v1/predict?channel=0", files={"file": ("ada-lovelace.wav", LOUD)}, headers={"X-Request-ID": "r-1"}
        )
        server.client.post("/v1/predict", files={"file": ("ada-lovelace.wav", b"broken")})
        server.client.get("/v1/ada-lovelace")
        wait_until(lambda: len(caplog.records) >= 3)
    lines = [JsonLines().format(record) for record in caplog.records if record.name == "emotune.server"]
    first, *_ = told = [json.loads(line) for line in lines]
    assert [line["status"] for line in told] == [200, 422, 404]
    assert first.items() >= {"route": "/v1/predict", "request_id": "r-1", "files": 1, "bytes": len(LOUD)}.items()
    assert "ada" not in "".join(lines) and "127.0.0.1" not in "".join(lines)


def test_a_fault_of_ours_is_a_problem_with_its_traceback_in_the_log(loudness, caplog):
    with served(f"loudness={loudness}") as server:
        server.service.models.default.scheduler.engine.run = None
        with caplog.at_level(logging.INFO, "emotune.server"):
            answer = server.client.post("/v1/predict", files={"file": LOUD})
        refused(answer, "fault")
        assert "NoneType" not in answer.text
        wait_until(lambda: caplog.records)  # the answer comes first
        (record,) = caplog.records
        assert "TypeError" in json.loads(JsonLines().format(record))["traceback"]


def test_metrics_count_answers_clips_and_seconds(loudness):
    with served(f"loudness={loudness}") as server:
        for _ in range(3):
            server.client.post("/v1/predict", files={"file": LOUD})
        server.client.post("/v1/predict", files={"file": b"broken"})
        text = server.client.get("/metrics").text
    values = dict(re.findall(r"^(\S+) (\S+)$", text, re.MULTILINE))
    assert float(values['emotune_requests_total{route="/v1/predict",status="200"}']) == 3
    assert float(values['emotune_requests_total{route="/v1/predict",status="422"}']) == 1
    assert float(values['emotune_clips_total{model="loudness"}']) == 3
    assert float(values['emotune_audio_seconds_total{model="loudness"}']) == pytest.approx(3)
    assert float(values["emotune_requests_taken"]) == 0
    assert float(values["process_resident_memory_bytes"]) > 1e6


def test_the_page_is_served_under_a_strict_policy(server, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "STATIC", tmp_path / "static")
    assert "no page" in refused(server.client.get("/"), "not-found")["detail"]
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").write_text("<!doctype html>")
    (tmp_path / "static" / "page.js").write_text("1")
    (tmp_path / "secret").write_text("2")
    found = server.client.get("/")
    assert (found.text, found.headers["content-type"]) == ("<!doctype html>", "text/html; charset=utf-8")
    policy = found.headers["content-security-policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy and "media-src 'self' blob:" in policy
    script = server.client.get("/static/page.js")
    assert script.headers["content-type"].startswith("text/javascript")
    known = {"If-None-Match": script.headers["etag"]}
    assert server.client.get("/static/page.js", headers=known).status_code == 304
    (tmp_path / "static" / "page.js").write_text("3")
    assert server.client.get("/static/page.js", headers=known).text == "3"
    for path in ("../secret", "..%2fsecret", "%2e%2e/secret", "", "/etc/passwd", "a%00b", "index.html"):
        assert server.client.get(f"/static/{path}").status_code == 404, path


def test_a_limit_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match=r"no limit 'byte'.*upload_mb"):
        settings_of({"byte": 1})
    for value, words in (
        (0.5, "a whole number, not '0.5'"),
        (float("nan"), "a number, not 'nan'"),
        (0, "at least 1, not '0'"),
    ):
        with pytest.raises(ConfigError, match=f"--limit files: expected {words}"):
            settings_of({"files": value})
    with pytest.raises(ConfigError, match="--limit seconds: expected a finite number, not 'inf'"):
        settings_of({"seconds": float("inf")})
