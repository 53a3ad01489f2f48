"""Checks what is about to be released.

    python tools/release.py metadata DIST
    python tools/release.py extras DIST [EXTRA ...]

`metadata` reads the wheels and source distributions in a folder; `extras` installs emotune's wheel with each extra into
an environment of its own, with the versions of constraints.txt, and runs a first command there.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "examples" / "demo" / "corpus" / "audio" / "v01-s1-anger.ogg"
URLS = ("Source", "Documentation", "Changelog")
FIELDS = ("Name", "Version", "Summary", "License-Expression", "Requires-Python", "Description-Content-Type")
FOR_DEVELOPERS = ("dev", "test", "docs", "all")
MODELS = ("mini", "mini-emodb")
FIRST = {
    "report": "import emotune.report.compare_runs",
    "train": "import emotune.training.fine_tune",
    "export": "import emotune.export.export_model, onnx, onnxscript",
    "serve": "import emotune.server.app",
    "client": "import emotune; emotune.Client",
    "ray": "import ray.data",
    "asr": "import faster_whisper",
    "text": "import sentence_transformers",
    "media": "import av",
    "tables": "import pyarrow.parquet",
    "audformat": "import audformat",
    "mlflow": "import emotune.trackers.mlflow, sqlalchemy, alembic",
    "trackio": "import emotune.trackers.trackio",
    "wandb": "import emotune.trackers.wandb",
    "pandas": "import emotune; emotune.load('mini').predict('clip.ogg')._repr_html_(); import pandas",
    "polars": "import polars",
}
"""A line of Python that an extra must let run, beside `emotune env` and a prediction."""


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(file.read(name).decode())


def faults(about: Message, files: list[str]) -> list[str]:
    """What a distribution's metadata lack.

    >>> about = Parser().parsestr("Name: a\\nLicense-File: LICENSE\\n")
    >>> faults(about, [])[-2:]
    ['License-File LICENSE is not in the wheel', 'no classifier of Python']
    """
    found = [f"no {field}" for field in FIELDS if not about.get(field)]
    licences = about.get_all("License-File") or []
    found += [] if licences else ["no licence file"]
    found += [
        f"License-File {name} is not in the wheel"
        for name in licences
        if not any(path.endswith(f"licenses/{name}") for path in files)
    ]
    if not any(line.startswith("Programming Language :: Python") for line in about.get_all("Classifier") or []):
        found.append("no classifier of Python")
    return found


def check_metadata(folder: Path) -> None:
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise SystemExit(f"error: {folder} has no wheel: make dist builds them.")
    wrong = []
    for wheel in wheels:
        about = metadata_of(wheel)
        with zipfile.ZipFile(wheel) as file:
            named = file.namelist()
        wrong += [f"{wheel.name}: {fault}" for fault in faults(about, named)]
        sources = list(folder.glob(f"{wheel.name.split('-')[0]}-*.tar.gz"))
        wrong += [] if sources else [f"{wheel.name}: no source distribution beside it"]
        there = [line.partition(",")[0] for line in about.get_all("Project-URL") or []]
        if missing := [name for name in URLS if name not in there and wheel.name.startswith("emotune-")]:
            print(f"warning: {wheel.name} names no address for {', '.join(missing)}: name them in project.urls")
        sizes = ", ".join(f"{path.name} {path.stat().st_size / 1e6:.1f} MB" for path in (wheel, *sources))
        print(f"{sizes}: {about['License-Expression']}, {len(about.get_all('License-File') or [])} licence files")
    if wrong:
        sys.exit("\n".join(f"error: {fault}" for fault in wrong))


def extras_in(wheel: Path) -> list[str]:
    """Extras that users ask for; those that are models by themselves come from wheels beside."""
    named = metadata_of(wheel).get_all("Provides-Extra") or []
    return ["", *(name for name in sorted(named) if name not in (*FOR_DEVELOPERS, *MODELS))]


def check_extra(extra: str, wheel: Path, models: list[Path]) -> str:
    """Installs, runs, and says how large the environment is and how long that took.

    Raises:
        SystemExit: with what the step said that failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        venv.create(home / "venv", with_pip=True)
        python = home / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        (home / "clip.ogg").write_bytes(CLIP.read_bytes())
        wanted = [f"{wheel}[{extra}]" if extra else str(wheel), *map(str, models)]
        install = ["-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"), *wanted]
        steps = [install, ["-m", "emotune", "env"], ["-m", "emotune", "predict", "mini", "clip.ogg"]]
        steps += [["-c", FIRST[extra]]] if extra in FIRST else []
        begun = time.monotonic()
        said = ""
        for step in steps:
            command = [str(python), *step]
            ended = subprocess.run(command, cwd=home, env=_plain(), capture_output=True, text=True, check=False)
            if ended.returncode:
                shown = f"{ended.stdout[-500:]}{ended.stderr[-2000:]}"
                raise SystemExit(f"error: extra '{extra}': {' '.join(step[:4])}\n{shown}")
            said = ended.stdout.strip() or said
        megabytes = sum(path.stat().st_size for path in (home / "venv").rglob("*") if path.is_file()) / 1e6
        return f"{megabytes:.0f} MB, {time.monotonic() - begun:.0f} s, {said.splitlines()[-1] if said else ''}"


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def main() -> None:
    what, folder, *chosen = sys.argv[1:]
    if what == "metadata":
        check_metadata(Path(folder))
        return
    (wheel,) = Path(folder).resolve().glob("emotune-*.whl")
    models = sorted(Path(folder).resolve().glob("emotune_mini*.whl"))
    for extra in chosen or extras_in(wheel):
        print(f"{extra or 'no extra'}: {check_extra(extra, wheel, models)}", flush=True)


if __name__ == "__main__":
    main()
