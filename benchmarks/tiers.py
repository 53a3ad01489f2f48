"""What each tier of the installation weighs, and how soon it predicts: a fresh environment each, no network afterwards.

    python benchmarks/tiers.py [TIER ...] [--model FOLDER] [--clip FILE] [--keep FOLDER] [--json FILE]

A tier is `base`, an extra, or several such as `tables,media`. The prediction is by --model, by default `mini`, which is
installed beside the others after they were weighed. With the extra `serve`, also how soon after its start the service
answers, on the loopback alone.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TIERS = ("base", "mini", "mini-emodb", "media", "tables", "report", "serve", "train", "export")
OF_MODELS = {"mini": "packages/emotune-mini", "mini-emodb": "packages/emotune-mini-emodb"}
OF_THE_ENVIRONMENT = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
RUNS = 5
PREDICTION = """
import re, socket, sys, time

def refused(*_):
    raise OSError("no network here")

socket.socket.connect = socket.getaddrinfo = refused
from emotune.cli import main
sys.argv = ["emotune", "predict", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    if end.code:
        raise
top = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
status = open("/proc/self/status").read()
memory = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) * 1024 / 1e6
print("USED", memory, time.process_time(), *sorted(name for name in top if not name.startswith("_")), file=sys.stderr)
"""


SERVICE = """
import ipaddress, socket, sys

def on_this_machine(own, address, *rest, connect=socket.socket.connect):
    if own.family != socket.AF_UNIX and not ipaddress.ip_address(address[0]).is_loopback:
        raise OSError("no network here")
    return connect(own, address, *rest)

socket.socket.connect = on_this_machine
from emotune.cli import main
sys.argv = ["emotune", "serve", *sys.argv[1:]]
main()
"""


def made(folder: Path, tier: str) -> Path:
    """Python of a new environment with a tier."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    extras = [name for name in tier.split(",") if name != "base" and name not in OF_MODELS]
    project = f"{ROOT}[{','.join(extras)}]" if extras else ROOT
    install(python, project, *(ROOT / OF_MODELS[name] for name in tier.split(",") if name in OF_MODELS))
    return python


def install(python: Path, *what: str | Path) -> None:
    command = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", *what]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def weight(python: Path) -> tuple[float, int, str]:
    """Megabytes in site-packages as du -m counts, number of packages, and the heaviest; without pip and setuptools."""
    packages = next(python.parents[1].glob("lib/python*/site-packages"))
    sizes = {
        own.name: sum(path.stat().st_blocks * 512 for path in (own, *own.rglob("*")) if path.is_file()) / 2**20
        for own in packages.iterdir()
        if not own.name.startswith(OF_THE_ENVIRONMENT)
    }
    heaviest = sorted(sizes.items(), key=lambda pair: -pair[1])[:3]
    count = sum(name.endswith(".dist-info") for name in sizes)
    return sum(sizes.values()), count, ", ".join(f"{name} {megabytes:.0f}" for name, megabytes in heaviest)


def first_prediction(python: Path, model: str, clip: Path) -> dict[str, Any]:
    """Wall time, processor time and peak memory of a prediction in a process of its own: medians of five."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    found = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        ended = subprocess.run(
            [python, "-I", "-c", PREDICTION, model, clip], env=environment, capture_output=True, text=True, check=False
        )
        wall = time.perf_counter() - began
        if ended.returncode:
            raise SystemExit(ended.stderr)
        memory, seconds, *modules = ended.stderr.partition("USED ")[2].split()
        found.append((wall, float(seconds), float(memory), modules))
    wall, seconds, memory, modules = zip(*found[1:], strict=True)  # the first reads everything from the disk
    medians = {name: statistics.median(of) for name, of in (("wall", wall), ("cpu", seconds), ("memory", memory))}
    return {**medians, "modules": modules[0]}


def first_answer(python: Path, model: str, clip: Path) -> dict[str, float]:
    """Seconds from the start of the service to its first answer, and its memory then: medians of five."""
    found = []
    for _ in range(RUNS + 1):
        with socket.create_server(("127.0.0.1", 0)) as bound:
            port = bound.getsockname()[1]
        began = time.perf_counter()
        service = subprocess.Popen(
            [python, "-I", "-c", SERVICE, model, "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url, content = f"http://127.0.0.1:{port}/v1/predict", clip.read_bytes()
        asked = urllib.request.Request(url, content, {"Content-Type": "audio/ogg"}, method="POST")
        try:
            while not (answer := _answered(asked)):
                if service.poll() is not None or time.perf_counter() - began > 60:
                    raise SystemExit(f"emotune serve ended with {service.returncode}, or did not answer in a minute")
                time.sleep(0.02)
            took = time.perf_counter() - began
            assert json.loads(answer)["predictions"][0]["probabilities"], answer
            status = Path(f"/proc/{service.pid}/status").read_text()
            found.append((took, int(status.partition("VmHWM:")[2].split()[0]) / 1000))
        finally:
            service.terminate()
            service.wait(30)
    seconds, memory = zip(*found[1:], strict=True)
    return {"answer_after_start_s": statistics.median(seconds), "serving_mb": statistics.median(memory)}


def _answered(asked: urllib.request.Request) -> bytes:
    """Body of the answer; nothing while nobody answers."""
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.read()
    except OSError:
        return b""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tiers", nargs="*", default=TIERS)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--clip", type=Path, default=ROOT / "examples/demo/corpus/audio/v14-s2-anger.ogg")
    parser.add_argument("--keep", type=Path, help="folder for the environments; default a temporary one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clip = options.clip.resolve()
    rows: dict[str, dict[str, Any]] = {}
    print("| tier | packages | MB | heaviest | first prediction s | processor s | peak MB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for tier in options.tiers:
            python = made((options.keep or Path(temporary)) / tier, tier)
            megabytes, count, heaviest = weight(python)
            model = tier if tier in OF_MODELS else options.model
            if model in OF_MODELS and model not in tier.split(","):
                install(python, ROOT / OF_MODELS[model])
            used = first_prediction(python, model if model in OF_MODELS else str(Path(model).resolve()), clip)
            rows[tier] = {"packages": count, "megabytes": megabytes, "heaviest": heaviest, **used}
            if "serve" in tier.split(","):
                rows[tier] |= first_answer(python, model if model in OF_MODELS else str(Path(model).resolve()), clip)
            print(
                f"| {tier} | {count} | {megabytes:.0f} | {heaviest} | {used['wall']:.2f} | {used['cpu']:.2f}"
                f" | {used['memory']:.0f} |",
                flush=True,
            )
    for tier, row in rows.items():
        if "answer_after_start_s" in row:
            said = f"its first answer after {row['answer_after_start_s']:.2f} s, {row['serving_mb']:.0f} MB then"
            print(f"\n{tier}: emotune serve {row['megabytes']:.0f} MB on disk, {said}")
    print(f"\nimported by a prediction: {', '.join(rows[options.tiers[0]]['modules'])}")
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
