"""Answers are those of the library, in every format, whatever a client calls its files."""

import csv
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import numpy as np
import pytest

import emotune
from builders.command import run_command
from builders.recordings import encoded, noise, tone
from builders.served import served, wait_until
from emotune.server.settings import Settings

LOUD, QUIET = encoded(tone(peak=0.9)), encoded(tone(peak=0.01))
SPEECH = encoded(np.concatenate([np.zeros(16000), tone(seconds=5.0, peak=0.5), np.zeros(16000)]))


def files(**recordings: bytes) -> list:
    return [("file", (name, content)) for name, content in recordings.items()]


def test_a_prediction_is_that_of_the_library(server, loudness):
    answer = server.client.post("/v1/predict", files={"file": ("loud.wav", LOUD)})
    assert answer.status_code == 200
    (row,) = answer.json()["predictions"]
    expected = emotune.load(loudness).predict(LOUD)
    assert row["probabilities"] == pytest.approx(dict(expected.probabilities))
    assert row["dimensions"] == pytest.approx(dict(expected.dimensions))
    assert (row["file"], row["emotion"], row["channel"], row["error"]) == ("loud.wav", "anger", None, None)
    assert row["confidence"] == max(row["probabilities"].values())


def test_the_model_is_described_beside_its_answers(server, loudness):
    about = server.client.post("/v1/predict", files={"file": LOUD}).json()["model"]
    assert about["fingerprint"] == emotune.load(loudness).fingerprint
    assert about["classes"] == ["anger", "neutral"]
    assert about["dimensions"] == {"arousal": {"low": 1.0, "high": 7.0}}
    (listed,) = server.client.get("/v1/models").json()["models"]
    assert listed.items() >= about.items()
    assert listed["default"] is True
    assert listed["threshold"]["0.5"] == pytest.approx(0.75)


def test_several_files_keep_their_order_and_a_bad_one_is_a_row_with_its_error(server):
    answer = server.client.post("/v1/predict", files=files(a=QUIET, b=b"no sound", c=LOUD))
    rows = answer.json()["predictions"]
    assert [row["file"] for row in rows] == ["a", "b", "c"]
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert rows[1]["error"].startswith("b cannot be decoded")


def test_a_body_that_is_a_recording_is_answered_like_a_form(server):
    of_form = server.client.post("/v1/predict", files={"file": ("recording", LOUD)}).json()
    plain = server.client.post("/v1/predict", content=LOUD, headers={"Content-Type": "audio/wav"}).json()
    assert plain == of_form
    named = {"Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="call.wav"'}
    answer = server.client.post("/v1/predict", content=LOUD, headers=named).json()
    assert answer["predictions"][0]["file"] == "call.wav"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "C:\\windows\\passwd", "a\x1b[31m/passwd"])
def test_a_clients_name_for_a_file_is_never_a_path(server, name):
    answer = server.client.post("/v1/predict", files={"file": (name, LOUD)}).json()
    assert answer["predictions"][0]["file"] == "passwd"


def test_each_channel_has_an_answer_of_its_own(server):
    stereo = encoded(np.stack([tone(peak=0.9), tone(peak=0.01)], axis=1))
    rows = server.client.post("/v1/predict?channel=each", files={"file": ("a.wav", stereo)}).json()["predictions"]
    assert [(row["file"], row["channel"]) for row in rows] == [("a.wav", 0), ("a.wav", 1)]
    assert rows[0]["probabilities"]["anger"] > rows[1]["probabilities"]["anger"]
    (second,) = server.client.post("/v1/predict?channel=1", files={"file": stereo}).json()["predictions"]
    assert second["probabilities"] == rows[1]["probabilities"]


def test_under_the_threshold_an_answer_is_uncertain(server):
    confidence = server.client.post("/v1/predict", files={"file": QUIET}).json()["predictions"][0]["confidence"]
    for query, uncertain in (
        (f"threshold={confidence + 0.01}", True),
        (f"threshold={confidence - 0.01}", False),
        ("coverage=0.5", confidence < 0.75),
        ("coverage=1", False),
    ):
        (row,) = server.client.post(f"/v1/predict?{query}", files={"file": QUIET}).json()["predictions"]
        assert row["uncertain"] is uncertain, query
        assert (row["emotion"] == "uncertain") is uncertain


def test_tables_of_predictions_hold_the_same(server):
    rows = server.client.post("/v1/predict", files=files(a=QUIET, b=LOUD)).json()["predictions"]
    table = server.client.post("/v1/predict?format=csv", files=files(a=QUIET, b=LOUD))
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    found = list(csv.DictReader(io.StringIO(table.text)))
    assert [float(row["p.anger"]) for row in found] == [row["probabilities"]["anger"] for row in rows]
    lines = server.client.post("/v1/predict?format=jsonl", files=files(a=QUIET, b=LOUD)).text.splitlines()
    assert [json.loads(line)["emotion"] for line in lines] == [row["emotion"] for row in rows]


def test_a_timeline_is_that_of_the_library(server, loudness):
    answer = server.client.post("/v1/timeline?vad=energy", files={"file": ("call.wav", SPEECH)}).json()
    (found,) = answer["timelines"]
    from emotune.inference.timeline.recording import TimelineRule

    expected = emotune.load(loudness).timeline(SPEECH, rule=TimelineRule(vad="energy"))
    assert found["duration_s"] == expected.duration_s == 7.0
    assert [(one["start_ms"] / 1000, one["end_ms"] / 1000) for one in found["segments"]] == [
        (one.start_s, one.end_s) for one in expected.segments
    ]
    assert found["segments"][0]["probabilities"] == dict(expected.segments[0].probabilities)
    assert found["silences"][0].items() >= {"start_ms": 0, "emotion": "no speech"}.items()
    assert sum(voice["speech_s"] for voice in found["summary"]["voices"]) == pytest.approx(
        sum(one.duration_s for one in expected.segments)
    )
    assert answer["settings"]["vad"] == "energy"


FORMATS = {"rttm": "SPEAKER", "textgrid": "ooTextFile", "txt": "\t", "vtt": "WEBVTT", "eaf": "ANNOTATION_DOCUMENT"}


def test_the_document_of_a_timeline_has_one_shape_in_a_file_and_over_http(server, loudness, tmp_path, monkeypatch):
    (tmp_path / "call.wav").write_bytes(SPEECH)
    monkeypatch.chdir(tmp_path)
    run_command("timeline", loudness, "call.wav", "--vad", "energy", "-o", "call.json")
    written = json.loads((tmp_path / "call.json").read_text("utf-8"))
    answer = server.client.post("/v1/timeline?vad=energy", files={"file": ("call.wav", SPEECH)}).json()
    assert answer["model"].items() >= written["model"].items()
    for document in (written, answer):
        del document["model"]
    assert written == answer


@pytest.mark.parametrize("form", [*FORMATS, "csv", "jsonl"])
def test_a_timeline_comes_in_every_format_that_files_have(server, loudness, tmp_path, form):
    answer = server.client.post(f"/v1/timeline?vad=energy&format={form}", files={"file": ("call.wav", SPEECH)})
    assert answer.status_code == 200
    assert FORMATS.get(form, "") in answer.text
    from emotune.inference.timeline.recording import TimelineRule

    expected = emotune.load(loudness).timeline({"bytes": SPEECH, "path": "call.wav"}, rule=TimelineRule(vad="energy"))
    expected.write(tmp_path / f"call.{form}")
    assert answer.text == (tmp_path / f"call.{form}").read_text(encoding="utf-8")


@pytest.mark.parametrize("route", ["predict", "timeline", "jobs"])
def test_a_table_for_spreadsheets_runs_no_formula(server, route):
    def table(query: str):
        if route != "jobs":
            return server.client.post(f"/v1/{route}?{query}", files={"file": ("=1+1.wav", LOUD)})
        place = server.client.post("/v1/jobs?vad=none", files={"file": ("=1+1.wav", LOUD)}).headers["location"]
        wait_until(lambda: server.client.get(place).json()["status"] == "done")
        return server.client.get(f"{place}/result?{query}")

    assert "\n=1+1.wav," in table("format=csv").text
    assert "\n'=1+1.wav," in table("format=csv&spreadsheet_safe=true").text
    refused = table("format=jsonl&spreadsheet_safe=true")
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "query.spreadsheet_safe"
    assert "format=csv" in refused.json()["detail"]


def test_a_format_of_one_recording_refuses_several_before_any_work(server):
    answer = server.client.post("/v1/timeline?format=vtt", files=files(a=SPEECH, b=SPEECH))
    assert answer.status_code == 422
    assert "json, csv or rttm" in answer.json()["detail"]


def test_noise_in_which_nobody_speaks_is_one_silence(server):
    silence = encoded(noise(16000 * 3) * 1e-4)
    (found,) = server.client.post("/v1/timeline", files={"file": silence}).json()["timelines"]
    assert found["segments"] == []
    assert found["silences"] == [{"start_ms": 0, "end_ms": 3000, "channel": None, "emotion": "no speech"}]


def test_answers_out_of_batches_that_clients_share_are_those_of_clips_alone(tiny_model):
    generator = np.random.default_rng(0)
    clips = [encoded(noise(int(length), seed=seed)) for seed, length in enumerate(generator.integers(8000, 40000, 24))]
    alone = emotune.load(tiny_model, device="cpu")
    settings = Settings(workers=1, batch_wait_s=0.1, device="cpu")
    with served(f"tiny={tiny_model}", settings=settings) as server, ThreadPoolExecutor(8) as pool:

        def asked(clip: bytes) -> dict:
            return httpx.post(f"{server.url}/v1/predict", files={"file": clip}, trust_env=False).json()["predictions"][
                0
            ]

        for clip, row in zip(clips, pool.map(asked, clips), strict=True):
            expected = alone.predict(clip)
            assert row["probabilities"] == pytest.approx(dict(expected.probabilities), abs=1e-5)
            assert row["dimensions"] == pytest.approx(dict(expected.dimensions), abs=1e-4)
        runs, clips_run = (
            float(
                re.findall(
                    rf'emotune_batch_clips_{name}{{model="tiny"}} (\S+)', server.service.metrics.text().decode()
                )[0]
            )
            for name in ("count", "sum")
        )
    assert clips_run == 24
    assert runs < 20
