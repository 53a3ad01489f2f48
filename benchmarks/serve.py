"""`emotune serve` under load: throughput, memory, overload, its end; beside two servers as people write them.

    python benchmarks/serve.py OUTPUT.json [--model mini] [--seconds 60] [--requests 10000] [--only load peers ...]

Sections: `load` (64 clients), `batches` (a model of PyTorch, shared batches against one clip at a time, 32 clients),
`profile` (of an exported model: processor time of a clip in batches of one to eight, by part of the graph), `memory`
(resident memory over many requests, after a tenth as many that warm it up), `overload` (far more clients than places,
and the time after), `sigterm` (the signal comes under load, 20 times), `peers` (1, 8 and 32 clients on the same clips,
in turn), `streams` (lag of --events events for 1 and 16 streams that speak in real time, RAVDESS where it is there).
All on the loopback. Clients are a process of their own on the same cores; their share of a core is told. Writes JSON,
prints tables.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from serve_load import RATE, clips, lags, loaded
from serve_profile import profile as profiled

from emotune.models.folder import find_model_folder

SERVERS = Path(__file__).with_name("serve_peers.py")
CONTENTS = clips(64)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that would give a server other threads than its users get."""


class Server:
    """A server in a process of its own."""

    def __init__(self, name: str, model: Path, **limits: float) -> None:
        with socket.create_server(("127.0.0.1", 0)) as bound:
            self.port = bound.getsockname()[1]
        given = [f"{key}={value}" for key, value in limits.items()]
        if name == "ours":
            command = ["-m", "emotune", "serve", f"model={model}", "--port", str(self.port)]
            command += [f"--limit={limit}" for limit in given]
        else:
            command = [str(SERVERS), name, str(self.port), str(model), *given]
        environment = {key: value for key, value in os.environ.items() if key not in _THREADS}
        quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        self.process = subprocess.Popen([sys.executable, *command], env=environment, **quiet)
        self.url = f"http://127.0.0.1:{self.port}/v1/predict"
        began = time.monotonic()
        while self._is_closed():
            assert self.process.poll() is None, f"{name} has ended with {self.process.returncode}"
            assert time.monotonic() - began < 120
            time.sleep(0.05)
        self.started_s = time.monotonic() - began

    def _is_closed(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) != 0

    @property
    def rss_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def server(name: str, model: Path, **limits: float) -> Iterator[Server]:
    running = Server(name, model, **limits)
    try:
        loaded(running.url, CONTENTS, clients=2, requests=8)  # warm
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


MANY = {"requests": 256, "client_requests": 256, "client_streams": 16}


def load(model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    with server("ours", model, **MANY) as running:
        used = running.cpu_s()
        found = loaded(running.url, CONTENTS, clients=64, seconds=options.seconds)
        used = running.cpu_s() - used
    return [{"clients": 64, **found.row(), "server_cpu": round(used / found.took_s, 2)}]


def batches(model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = torch_model(model, Path(folder))
        for name in ("ours", "alone"):
            with server(name, made, **MANY) as running:
                found = loaded(running.url, CONTENTS, clients=32, seconds=options.seconds)
            rows.append({"server": "shared batches" if name == "ours" else "one clip at a time", **found.row()})
    gain = rows[0]["a_second"] / rows[1]["a_second"]
    return [*rows, {"server": "gain", "a_second": round(gain, 2)}]


def torch_model(model: Path, folder: Path) -> Path:
    """Model of PyTorch with the same encoder and random weights."""
    import torch

    from emotune.audio.preprocessing import Preprocessing
    from emotune.io.tables import read_json
    from emotune.models.backbones import BACKBONES
    from emotune.models.emotion_model import EmotionModel
    from emotune.models.store import save_model
    from emotune.schema.labels import LabelSpace

    about = read_json(model / "config.json", "config")
    torch.manual_seed(0)
    shape = {name: value for name, value in about["backbone"].items() if name != "model_type"}
    backbone = BACKBONES[about["backbone"]["model_type"]].from_config(shape)
    made = EmotionModel(backbone, LabelSpace(tuple(about["classes"])), layer_mix="last", pooling="mean").eval()
    save_model(folder / "model", made, Preprocessing(backbone.normalize, min_samples=backbone.min_samples))
    return folder / "model"


def profile(model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    return profiled(model, 5)


def memory(model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    short = clips(64, shortest_s=0.5, longest_s=1.5, seed=1)
    tenth = max(1, options.requests // 10)
    with server("ours", model, **MANY) as running:
        rows = []
        for done in range(-tenth, options.requests, tenth):
            found = loaded(running.url, short, clients=16, requests=tenth)
            rows.append({"requests": done + tenth, "rss_mb": round(running.rss_mb, 1), **found.row()})
    highest = max(row["rss_mb"] for row in rows)
    first, last = rows[0]["rss_mb"], rows[-1]["rss_mb"]
    return [*rows, {"requests": f"last/first {last / first:.3f}, highest/first {highest / first:.3f}"}]


def overload(model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    with server("ours", model, requests=16, client_requests=16) as running:
        alone = loaded(running.url, CONTENTS, clients=1, seconds=min(5.0, options.seconds))
        found = loaded(running.url, CONTENTS, clients=128, seconds=options.seconds)
        after = loaded(running.url, CONTENTS, clients=1, seconds=min(5.0, options.seconds))
    named = (("1 client before", alone), ("128 clients, 16 places", found), ("1 client after", after))
    return [{"load": name, **row.row()} for name, row in named]


def sigterm(model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for number in range(options.signals):
        running = Server("ours", model, **MANY)
        loaded(running.url, CONTENTS, clients=2, requests=4)
        wait_s = 0.5 + 0.13 * (number % 7) + 1.0  # the clients' process takes a second to begin
        timer = threading.Timer(wait_s, running.process.send_signal, [signal.SIGTERM])
        timer.start()
        found = loaded(running.url, CONTENTS, clients=16, seconds=wait_s + 2.0)
        status = running.process.wait(60)
        row = found.row()
        rows.append({"exit": status, "answered": row["answered"], "others": row["others"], "lost": row["lost"]})
    whole = sum(row["lost"] == 0 and row["exit"] == 0 and row["answered"] > 0 for row in rows)
    return [*rows, {"exit": f"{whole} of {len(rows)} without loss"}]


def peers(model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    names = {
        "ours": "emotune serve",
        "pipeline": "FastAPI + transformers' pipeline",
        "onnxruntime": "FastAPI + onnxruntime",
    }
    rows = []
    for name, title in names.items():
        with server(name, model, **(MANY if name == "ours" else {})) as running:
            for clients in (1, 8, 32):
                found = loaded(running.url, CONTENTS, clients=clients, seconds=options.seconds)
                rows.append({"server": title, "clients": clients, **found.row(), "rss_mb": round(running.rss_mb)})
    ours = {row["clients"]: row["a_second"] for row in rows if row["server"] == names["ours"]}
    for row in rows:
        row["ours_is"] = round(ours[row["clients"]] / row["a_second"], 2) if row["a_second"] else None
    return rows


def streams(model: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with server("ours", model, **MANY) as running:
        for events, every_s in (("estimates", 0.5), ("segments", 2.5)):
            for count in (1, 16):
                spoken_s = min(600.0, max(20.0, 1.1 * options.events * every_s / count))
                sound = voices(options.recordings, spoken_s)
                used, began = running.cpu_s(), time.monotonic()
                url = f"{running.url.replace('http', 'ws').replace('predict', 'stream')}?events={events}"
                found, clients_cpu = lags(url, sound, streams=count)
                kind = events.rstrip("s")
                quantiles = np.quantile(found[kind], [0.5, 0.95]) if found[kind] else [np.nan] * 2
                rows.append(
                    {
                        "events": events,
                        "streams": count,
                        "spoken_s": round(spoken_s),
                        "count": len(found[kind]),
                        "lag_p50_ms": round(1000 * float(quantiles[0])),
                        "lag_p95_ms": round(1000 * float(quantiles[1])),
                        "server_cpu": round((running.cpu_s() - used) / (time.monotonic() - began), 2),
                        "clients_cpu": round(clients_cpu, 3),
                    }
                )
    return rows


RAVDESS = Path(os.environ.get("EMOTUNE_SHARED", "../shared")) / "data" / "ravdess" / "audio"
PAUSE_S = 0.7


def voices(recordings: list[Path], seconds: float) -> np.ndarray:
    """Speech with pauses, shape (samples,): of the recordings given, of RAVDESS, or else of the demo corpus."""
    from emotune import audio

    corpus = Path(__file__).parents[1] / "examples" / "demo" / "corpus" / "audio"
    acted = sorted(path for path in RAVDESS.rglob("*") if path.suffix in (".wav", ".flac", ".ogg", ".opus"))
    paths = recordings or acted or sorted(corpus.glob("*.ogg"))
    pause = np.zeros(round(PAUSE_S * RATE), dtype=np.float32)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * RATE:
        for number in np.random.default_rng(len(parts)).permutation(len(paths)):
            parts += [audio.trim_silence(audio.clip(paths[number]).samples, threshold_db=30.0), pause]
            if sum(map(len, parts)) >= seconds * RATE:
                break
    return np.concatenate(parts)[: round(seconds * RATE)]


SECTIONS = {
    function.__name__: function for function in (load, batches, profile, memory, overload, sigterm, peers, streams)
}


def table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(str(row.get(name, '')) for name in columns)} |" for row in rows)])


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--signals", type=int, default=20)
    parser.add_argument("--events", type=int, default=250, help="of each kind in `streams`, about")
    parser.add_argument("--recordings", type=Path, nargs="*", default=[], help="spoken in `streams`")
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    options = parser.parse_args()
    model = find_model_folder(options.model).folder
    cores = len(os.sched_getaffinity(0))
    found: dict[str, Any] = {
        "processor": f"{processor()}, {cores} cores",
        "load": os.getloadavg()[0],
        "model": options.model,
    }
    print(f"{found['processor']}, load {found['load']:.1f}, {options.model}, {options.seconds:g} s")
    for name in options.only:
        found[name] = SECTIONS[name](model, options)
        print(f"\n## {name}\n\n{table(found[name])}", flush=True)
        options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
