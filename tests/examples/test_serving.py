"""Examples around a server: the tool through its protocol, the stage in a made-up host, the migration."""

import asyncio
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from builders.recordings import encoded, noise, tone

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("httpx2", reason="needs the extra client")
pytest.importorskip("onnx", reason="writes models with the package onnx")

ROOT = Path(__file__).parents[2]
RATE = 16000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from builders.served import loudness_model, served

    with served(f"loudness={loudness_model(tmp_path_factory.mktemp('models'))}") as running:
        yield running


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / "serving" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def calls(tmp_path):
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "loud.wav").write_bytes(encoded(tone(seconds=3, peak=0.9)))
    (tmp_path / "calls" / "broken.wav").write_bytes(b"no sound")
    (tmp_path / "secret.wav").write_bytes(encoded(tone()))
    return tmp_path / "calls"


def test_an_assistant_asks_the_tool(server, calls, monkeypatch):
    mcp = pytest.importorskip("mcp", reason="needs the package mcp")
    tool = example("mcp_tool").tool_server(server.url, calls)

    async def asks(*names: str):
        async with mcp.Client(tool) as client:
            (offered,) = (await client.list_tools()).tools
            answers = [await client.call_tool(offered.name, {"name": name}) for name in names]
            return [json.loads(answer.content[0].text) for answer in answers]

    found, outside, broken = asyncio.run(asks("loud.wav", "../secret.wav", "broken.wav"))
    assert found["duration_s"] == 3.0
    assert all(one["emotion"] in ("anger", "neutral") for one in found["segments"])
    assert outside == {"error": "There is no recording '../secret.wav'.", "recordings": ["broken.wav", "loud.wav"]}
    assert "cannot be decoded" in broken["error"]


@dataclass(frozen=True)
class SoundFrame:
    """Frame of sound, as hosts hand them on."""

    audio: bytes
    sample_rate: int


@dataclass(frozen=True)
class TextFrame:
    """Frame of something else."""

    text: str


class Host:
    """Host that hands frames to a stage as they come and collects what the stage pushes."""

    def __init__(self, url: str, **options) -> None:
        self.pushed: list = []
        self.stage = example("pipeline_stage").EmotionStage(url, push=self.push_frame, **options)

    async def push_frame(self, frame) -> None:
        self.pushed.append(frame)

    def run(self, frames) -> list:
        async def runs() -> None:
            await self.stage.start()
            for frame in frames:
                await self.stage.process_frame(frame)
                await asyncio.sleep(0.002)
            await self.stage.stop()

        asyncio.run(runs())
        return self.pushed


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_a_pipelines_frames_go_on_and_emotions_come_beside_them(server, rate):
    sound = (np.clip(3 * noise(3 * rate), -1, 1) * 32767).astype("<i2").tobytes()
    step = rate // 50 * 2
    frames = [SoundFrame(sound[at : at + step], rate) for at in range(0, len(sound), step)]
    frames.insert(40, TextFrame("hello"))
    host = Host(server.url, vad="none", hop_s=0.5)
    pushed = host.run(frames)
    emotions = [frame for frame in pushed if hasattr(frame, "emotion")]
    assert [frame for frame in pushed if not hasattr(frame, "emotion")] == frames
    assert emotions[-1].emotion == "anger"
    assert sum(emotions[-1].probabilities.values()) == pytest.approx(1)
    assert all(frame.error is None for frame in emotions)
    assert host.stage.dropped == 0


def test_a_pipeline_goes_on_without_a_server(monkeypatch):
    from emotune.client import failures, streams

    monkeypatch.setattr(streams, "Patience", lambda seconds, timeout_s: failures.Patience(1, timeout_s))
    frames = [SoundFrame(bytes(640), RATE)] * 10
    pushed = Host("http://127.0.0.1:9", patience_s=1.0).run(frames)
    assert [frame for frame in pushed if isinstance(frame, SoundFrame)] == frames
    (failed,) = [frame for frame in pushed if hasattr(frame, "error")]
    assert "does not answer" in failed.error


def blocks_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_code_of_the_migration_page_reads_our_answers(server, calls, monkeypatch, capsys):
    upload, batch = blocks_of("migrating-from-hume.md")
    monkeypatch.chdir(calls)
    (calls / "call.wav").write_bytes(
        encoded(np.concatenate([noise(3 * RATE), 0 * noise(RATE), 0.05 * noise(2 * RATE)]))
    )
    exec(upload, {"url": f"{server.url}/v1/timeline?format=hume&vad=energy"})
    lines = capsys.readouterr().out.splitlines()
    segments = server.client.post("/v1/timeline?vad=energy", files={"file": (calls / "call.wav").read_bytes()}).json()[
        "timelines"
    ][0]["segments"]
    assert [line.split()[:3] for line in lines] == [
        [str(one["start_ms"]), str(one["end_ms"]), one["emotion"]] for one in segments
    ]
    assert len(lines) >= 2
    files = [("file", (name, (calls / name).read_bytes())) for name in ("call.wav", "broken.wav")]
    predictions = server.client.post("/v1/timeline?format=hume-batch&vad=energy", files=files).json()
    exec(batch, {"predictions": predictions})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["call.wav"] * len(segments)
    assert predictions[1]["results"]["errors"][0]["file"] == "broken.wav"


def test_the_answer_that_the_migration_page_shows_has_the_fields_of_ours(server, calls):
    page = (ROOT / "docs" / "how-to" / "migrating-from-hume.md").read_text(encoding="utf-8")
    shown = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    content = encoded(tone(seconds=3, peak=0.9))
    found = server.client.post("/v1/timeline?format=hume&vad=none", files={"file": content}).json()
    assert {name: set(rows[0]) for name, rows in found.items()} == {name: set(rows[0]) for name, rows in shown.items()}
