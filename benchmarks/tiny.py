"""Tiny students against their teacher and against the labels alone: size, work, speed, UAR within and across corpora.

    python benchmarks/tiny.py DATA WHISPER_BASE RUNS [--only within|across] [--students small,large]
        [--ways labels,distilled] [--epochs 40] [--seeds 1]

DATA holds ravdess, emodb4 and nemo, of which anger, happiness, neutral and sadness are learnt. Within: taught on the
training speakers of all three that mini has, and tested on its test speakers. Across: taught on two corpora, and tested
on all of the third, which neither teacher nor student has heard. The teacher is a probe as mini is one, without copies;
a student hears the same training speakers and no other. Runs that are finished are kept. Writes RUNS/tiny.json and
RUNS/tiny.md. Speed is of the export in eight bits on one core; say of which processor, and whether it was idle.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

import emotune
from emotune.audio import clip
from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe
from emotune.corpora import CORPORA, ReadingOptions, read_corpus
from emotune.corpora.join import joined
from emotune.evaluation import evaluate
from emotune.export.export_model import export_model
from emotune.models.exported import is_exported
from emotune.models.store import load_model
from emotune.runtime.listener import Listener
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import TEST
from emotune.training.fine_tune import train_run
from emotune.training.probe import probe_run

HERE = Path(__file__).resolve().parent
CLASSES = ("anger", "happiness", "neutral", "sadness")
NAMES = ("ravdess", "emodb", "nemo")
FOLDERS = {"ravdess": "ravdess", "emodb": "emodb4", "nemo": "nemo/labels.csv"}
STUDENTS: Mapping[str, Mapping[str, int]] = {
    "small": {"hidden_size": 72, "intermediate_size": 144},
    "middle": {},
    "large": {"hidden_size": 240, "intermediate_size": 480},
}
WAYS = ("labels", "distilled")


class Told(Listener):
    """Prints the last epoch."""

    def epoch(self, rows: Any) -> None:
        row = rows[-1]
        print(f"  epoch {row['epoch']}: UAR {row['development_uar']:.3f}, {row['seconds']:.0f} s", flush=True)


def joined_corpora(data: Path, runs: Path) -> Manifest:
    """The four classes of all corpora."""
    path = runs / "manifest.csv"
    if not path.exists():
        read = {
            name: read_corpus(CORPORA["table" if name == "nemo" else name], data / FOLDERS[name], ReadingOptions())
            for name in NAMES
        }
        joined(read, classes="shared").write(path)
    return Manifest.read(path)


def splits_of(setting: str, manifest: Manifest) -> dict[str, dict[str, list[str]]]:
    """Speakers of the splits: those of mini, for ``within``, or for the corpus that is left out."""
    own = yaml.safe_load((HERE.parent / "examples" / "mini" / "mini.yaml").read_text(encoding="utf-8"))["data"][
        "splits"
    ]
    if setting == "within":
        return own
    kept = {
        split: {"speaker": [name for name in own[split]["speaker"] if not name.startswith(setting)]}
        for split in ("train", "development")
    }
    others = sorted({str(u.speaker) for u in manifest if u.corpus == setting})
    return {**kept, TEST: {"speaker": others}}


def recipe_of(name: str, data: dict[str, Any], seed: int, **sections: Any) -> Recipe:
    return Recipe.model_validate({"name": name, "seed": seed, "data": data, **sections})


def teacher_recipe(name: str, data: dict[str, Any], encoder: Path, runs: Path) -> Recipe:
    backbone = {"name": "whisper", "checkpoint": str(encoder), "layers": 3, "train": "none"}
    probe = {"pooling": "mean", "inverse_regularisation": [0.01], "cache": str(runs / "features")}
    return recipe_of(name, data, 0, model={"backbone": backbone}, probe=probe)


def student_recipe(
    name: str, data: dict[str, Any], seed: int, student: str, teacher: Path | None, *, epochs: int, runs: Path
) -> Recipe:
    """The bundled recipe of a tiny student, of another size; with labels alone where there is no teacher."""
    distilled = [] if teacher is None else [f"task.teacher={teacher}", f"task.cache={runs / 'answers'}"]
    own = load_recipe(
        "tiny/labels" if teacher is None else "tiny/distilled",
        ["data.manifest=x", *distilled, f"train.epochs={epochs}", f"data.cache={runs / 'decoded'}"],
    ).model_dump(mode="json")
    own["model"]["backbone"]["config"] = dict(STUDENTS[student])
    return Recipe.model_validate(own | {"name": name, "seed": seed, "data": own["data"] | data})


def done(folder: Path, recipe: Recipe, *, probe: bool = False) -> Path:
    """The run, made where it is not there yet."""
    if not RunFolder(folder).finished:
        print(folder.name, flush=True)
        (probe_run if probe else train_run)(recipe, folder, listener=Told())
    return folder


def uar_of(model: Path, manifest: Manifest) -> dict[str, float]:
    predictor = emotune.load(model)
    found = evaluate(manifest, predictor.predict_manifest(manifest)).overall["uar"]
    return {"value": found.value, "low": found.low, "high": found.high}


def exported(run: Path, precision: str) -> Path:
    folder = run.with_name(f"{run.name}-{precision}")
    if not folder.exists():
        export_model(run, folder, precision=precision)
    return folder


def gflop_a_second(run: Path) -> float:
    """Work of products and convolutions for a second of sound, those of the exported spectrogram included."""
    stored = load_model(run / "model").model.eval()
    samples = torch.randn(1, 160000)
    with (
        FlopCounterMode(display=False) as counter,
        torch.no_grad(),
        mock.patch("torch.compiler.is_exporting", lambda: True),
    ):
        stored.pooled(samples, torch.ones_like(samples, dtype=torch.bool))
    return counter.get_total_flops() / 10 / 1e9


def speed_of(model: Path, manifest: Manifest, clips: int = 40) -> float:
    """Real-time factor: seconds of one thread for a second of sound, clip by clip, the median of three rounds."""
    predictor = emotune.load(model, device="cpu", threads=1)
    sounds = [clip(manifest.path_of(u)).samples for u in manifest.utterances[:: max(1, len(manifest) // clips)]]
    total_s, rounds = sum(map(len, sounds)) / 16000, []
    for number in range(4):
        began = time.perf_counter()
        for samples in sounds:
            predictor.predict(samples, 16000)
        rounds += [time.perf_counter() - began] if number else []  # the first warms up
    return statistics.median(rounds) / total_s


def facts_of(run: Path, manifest: Manifest) -> dict[str, float]:
    """Size, work and speed of a model."""
    small = exported(run, "int8")
    weights = sum(parameter.numel() for parameter in load_model(run / "model").model.parameters())
    size = sum(path.stat().st_size for path in small.glob("*.onnx") if path.name == "model.onnx") / 1e6
    assert is_exported(small)
    return {
        "parameters": weights,
        "megabytes": size,
        "gflop": gflop_a_second(run),
        "real_time_factor": speed_of(small, manifest),
    }


def cell(found: Mapping[str, float] | None) -> str:
    return "" if found is None else f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def table(found: Mapping[str, Any]) -> str:
    settings = list(dict.fromkeys(setting for own in found.values() for setting in own["uar"]))
    heads = ["model", "parameters", "MB, int8", "GFLOP a second", "real-time factor", *settings, "int8, within"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, own in found.items():
        facts, uars = own.get("facts"), [cell(own["uar"].get(setting)) for setting in settings]
        sizes = (
            [
                f"{facts['parameters']:,}",
                f"{facts['megabytes']:.2f}",
                f"{facts['gflop']:.3f}",
                f"{facts['real_time_factor']:.4f}",
            ]
            if facts
            else [""] * 4
        )
        lines.append("| " + " | ".join([name, *sizes, *uars, cell(own.get("int8"))]) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "encoder", "runs"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--only", choices=("within", "across"))
    parser.add_argument("--students", default=",".join(STUDENTS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    runs: Path = options.runs
    runs.mkdir(parents=True, exist_ok=True)
    manifest = joined_corpora(options.data, runs)
    settings = {"within": ["within"], "across": list(NAMES), None: ["within", *NAMES]}[options.only]
    found: dict[str, Any] = {}
    for setting in settings:
        title = setting if setting == "within" else f"never heard: {setting}"
        data = {"manifest": str(runs / "manifest.csv"), "splits": splits_of(setting, manifest), "trim_silence_db": 40}
        teacher = done(
            runs / f"{setting}-teacher", teacher_recipe(f"teacher-{setting}", data, options.encoder, runs), probe=True
        )
        models = {"teacher": teacher}
        for student in options.students.split(","):
            for way in options.ways.split(","):
                for seed in range(options.seeds):
                    name = f"{student} {way}" + (f" {seed}" if options.seeds > 1 else "")
                    models[name] = done(
                        runs / f"{setting}-{student}-{way}-{seed}",
                        student_recipe(
                            f"{student}-{way}-{setting}",
                            data,
                            seed,
                            student,
                            teacher if way == "distilled" else None,
                            epochs=options.epochs,
                            runs=runs,
                        ),
                    )
        tested = Manifest.read(teacher / "manifest.csv").split(TEST)
        for name, run in models.items():
            own = found.setdefault(name, {"uar": {}})
            own["uar"][title] = uar_of(run, tested)
            if setting == "within":
                own["facts"] = facts_of(run, tested)
                own["int8"] = uar_of(exported(run, "int8"), tested)
    (runs / "tiny.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (runs / "tiny.md").write_text(table(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
