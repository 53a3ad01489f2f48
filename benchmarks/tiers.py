"""What each tier of the installation weighs, and how soon it predicts: a fresh environment each, no network afterwards.

    python benchmarks/tiers.py [TIER ...] [--model FOLDER] [--clip FILE] [--keep FOLDER] [--json FILE]

A tier is `base`, an extra, or several such as `tables,media`. The prediction is by --model, by default `mini`, which is
installed beside the others after they were weighed.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
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
            print(
                f"| {tier} | {count} | {megabytes:.0f} | {heaviest} | {used['wall']:.2f} | {used['cpu']:.2f}"
                f" | {used['memory']:.0f} |",
                flush=True,
            )
    print(f"\nimported by a prediction: {', '.join(rows[options.tiers[0]]['modules'])}")
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
