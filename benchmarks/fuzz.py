"""Coverage-guided fuzzing of what reads foreign files: only an EmotuneError may come out, never another exception.

    pip install atheris
    python benchmarks/fuzz.py OUTPUT_FOLDER [--seconds 300] [--targets audio manifest predictions recipe]

Each target starts from a few good files. A crash is written into the folder. Ends with 1 when there is one.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

MANIFEST = (
    "utterance_id,file,start_s,end_s,duration_s,speaker,gender,split,emotion,votes.anger,arousal,mine\n"
    'a,a.wav,,,1.5,s1,female,train,anger,2,4.5,"x, y"\nb,deeper/b.flac,0.5,1.5,1.0,s2,male,test,neutral,,,\n'
)
METADATA = {
    "schema": "emotune-manifest/1",
    "root": "audio",
    "classes": ["anger", "neutral"],
    "dimensions": {"arousal": [1.0, 7.0]},
    "information": {"corpus": "mine"},
    "skipped": [],
}
PREDICTIONS = "utterance_id,emotion,p.anger,p.neutral,arousal,error\na,anger,0.75,0.25,4.5,\nb,,,,,broken\n"
RECIPE = """name: mine
data: {manifest: m.csv, dimensions: [arousal], splits: {train: {speaker: ["01"]}}}
model:
  backbone: {name: wavlm, checkpoint: microsoft/wavlm-large, train: all}
  adapter: {name: lora, rank: 8}
augmentation: {noise: {snr_db: [5, 20]}, band_masks: [2, 300], mix: {alpha: 0.4}}
train: {epochs: 3, encoder_lr: 1.0e-5, unfreeze: {start_epoch: 1}}
"""
SEPARATOR = b"\x00----\x00"  # between a table and its metadata


def encoded(container: str, subtype: str | None = None, rate: int = 16000) -> bytes:
    stream = io.BytesIO()
    noise = 0.1 * np.random.default_rng(0).standard_normal((800, 2))
    soundfile.write(stream, noise, rate, format=container, subtype=subtype)
    return stream.getvalue()


def seeds_of(target: str) -> list[bytes]:
    if target == "audio":
        kinds = [("WAV", None), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("FLAC", None), ("OGG", None), ("AIFF", None)]
        return [encoded(*kind) for kind in [*kinds, ("W64", None), ("CAF", None), ("AU", None), ("MP3", None)]]
    if target == "recipe":
        return [RECIPE.encode()]
    table, metadata = (MANIFEST, METADATA) if target == "manifest" else (PREDICTIONS, PREDICTIONS_METADATA)
    return [table.encode() + SEPARATOR + json.dumps(metadata).encode()]


PREDICTIONS_METADATA = METADATA | {"schema": "emotune-predictions/1"}


def fuzz(target: str, corpus: Path, crashes: Path, seconds: int) -> None:
    """Does not return: the fuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["emotune"], enable_loader_override=False):
        from emotune import audio
        from emotune.config.reading import load_recipe
        from emotune.errors import EmotuneError
        from emotune.schema.manifest import Manifest
        from emotune.schema.predictions import Predictions
    folder = Path(tempfile.mkdtemp())

    def table(data: bytes) -> Path:
        rows, _, metadata = data.partition(SEPARATOR)
        (folder / "t.csv").write_bytes(rows)
        (folder / "t.csv.meta.json").write_bytes(metadata)
        return folder / "t.csv"

    def read(data: bytes) -> None:
        with contextlib.suppress(EmotuneError):
            if target == "audio":
                recording = audio.decode(data)
                recording.mono()
                recording.content_sha256()
            elif target == "manifest":
                Manifest.read(table(data)).fingerprint()
            elif target == "predictions":
                Predictions.read(table(data)).to_rows()
            else:
                (folder / "r.yaml").write_bytes(data)
                load_recipe(folder / "r.yaml")

    limits = [
        f"-max_total_time={seconds}",
        "-max_len=8192",
        "-rss_limit_mb=4096",
        "-timeout=20",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={crashes}/{target}-", str(corpus)], read)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=300, help="a target")
    parser.add_argument("--targets", nargs="+", default=["audio", "manifest", "predictions", "recipe"])
    parser.add_argument("--child", action="store_true")
    arguments = parser.parse_args()
    crashes = arguments.folder / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    if arguments.child:
        (target,) = arguments.targets
        fuzz(target, arguments.folder / target, crashes, arguments.seconds)
    failed = False
    for target in arguments.targets:
        corpus = arguments.folder / target
        corpus.mkdir(exist_ok=True)
        for number, seed in enumerate(seeds_of(target)):
            (corpus / f"seed-{number}").write_bytes(seed)
        command = [sys.executable, __file__, str(arguments.folder), "--child", "--targets", target]
        ended = subprocess.run(
            [*command, "--seconds", str(arguments.seconds)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        (arguments.folder / f"{target}.log").write_text(ended.stdout + ended.stderr)
        found = sorted(path.name for path in crashes.glob(f"{target}-*"))
        lines = (ended.stdout + ended.stderr).splitlines()
        runs = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "?")
        print(f"{target}: {arguments.seconds} s, {runs} inputs, {len(found)} crashes {found}", flush=True)
        failed |= bool(found) or ended.returncode != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
