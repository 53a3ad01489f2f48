"""Exported models against their sources: parity, eight bits on RAVDESS, speed against transformers, and memory.

    python benchmarks/export.py OUTPUT_FOLDER [--only parity folds speed memory] [--repeats 5] [--shared ../shared]

``parity``: largest differences by backbone and precision, published shapes with random weights, and real Whispers.
``folds``: frozen Whisper, three layers, a linear head for each of six folds of RAVDESS; UAR of both precisions, and of
int8 on torch.
``speed``: that model through our torch engine, onnx in both precisions and transformers' encoder, a process a turn.
``memory``: peak of 10,000 clips of ever-changing lengths against 100, and of two workers against one.
Writes OUTPUT_FOLDER/export.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

GROUPS = ("parity", "folds", "speed", "memory")
ENGINES = ("torch", "fp32", "int8", "transformers")
SAMPLING_RATE_HZ = 16000
LAYERS = 3
SHAPES = ("wavlm", "hubert", "wav2vec2")  # base-sized, as published
COUNTED = (100, 10_000)


def lengths_like_speech(count: int, seed: int) -> list[int]:
    """Samples of clips of 1 to 8 s with a mean of 3.4 s."""
    draws = np.random.default_rng(seed).beta(1.6, 3.1, count)
    return [round(SAMPLING_RATE_HZ * (1 + 7 * draw)) for draw in draws]


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).standard_normal(samples).astype(np.float32) * 0.1


def whisper(shared: Path, name: str = "whisper-base"):
    """The first layers of a published Whisper's encoder, with a mean over time and a head of eight classes."""
    from emotune.models.backbones.checkpoint import load_pretrained
    from emotune.models.emotion_model import EmotionModel
    from emotune.schema.labels import LabelSpace

    backbone = load_pretrained("whisper", str(shared / "models" / f"{name}-encoder"), layers=LAYERS)
    classes = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
    return EmotionModel(backbone, LabelSpace(classes), layer_mix="last", pooling="mean").eval()


def save(folder: Path, model) -> Path:
    from emotune.audio.preprocessing import Preprocessing
    from emotune.models.store import save_model

    save_model(folder, model, Preprocessing(model.backbone.normalize, min_samples=model.backbone.min_samples))
    return folder


# --- parity


def parity(output: Path, shared: Path) -> list[dict]:
    import torch

    from emotune.export.export_model import export_model
    from emotune.models.backbones import BACKBONES
    from emotune.models.emotion_model import EmotionModel
    from emotune.schema.labels import LabelSpace

    rows = []
    models: dict[str, Callable] = {f"whisper base, {LAYERS} layers, real weights": lambda: whisper(shared)}
    for name in SHAPES:
        models[f"{name} base, random weights"] = lambda name=name: EmotionModel(
            BACKBONES[name].from_config({}), LabelSpace(("anger", "happiness", "sadness", "neutral"))
        ).eval()
    for title, build in models.items():
        torch.manual_seed(0)
        folder = output / "parity" / title.split(",")[0].replace(" ", "-")
        if not folder.exists():
            save(folder, build())
        for precision in ("fp32", "int8"):
            exported = folder.with_name(f"{folder.name}-{precision}")
            if exported.exists():
                config = json.loads((exported / "config.json").read_text())
                found, size = config["export"]["parity"], sum(file.stat().st_size for file in exported.iterdir())
            else:
                made = export_model(folder, exported, precision=precision)
                found, size = vars(made.parity), made.size_bytes
            row = {"model": title, "precision": precision, "megabytes": round(size / 1e6, 1)}
            rows.append(row | {key: found[key] for key in ("probabilities", "batch", "shortest_s", "longest_s")})
            print(json.dumps(rows[-1]), flush=True)
    return rows


# --- eight bits on RAVDESS


def folds(output: Path, shared: Path, encoder: str) -> dict:
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    import emotune
    from emotune.corpora import CORPORA, read_corpus
    from emotune.export.export_model import export_model
    from emotune.export.parity import scores_of
    from emotune.inference.torch_engine import TorchEngine
    from emotune.models.backbones.eight_bits import has_eight_bits

    torch.manual_seed(0)
    manifest = read_corpus(CORPORA["ravdess"], shared / "data" / "ravdess" / "audio")
    model = whisper(shared, encoder)
    labels = [utterance.emotion for utterance in manifest]
    actors = np.array([int(str(utterance.speaker)) for utterance in manifest])
    home = output / "folds" / encoder
    cache = home / "embeddings.npy"
    if not cache.exists():
        from emotune.audio.preprocessing import Preprocessing

        engine = TorchEngine(model, Preprocessing("none", min_samples=160))
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.save(cache, np.concatenate([engine.run([manifest.clip_of(u).samples]).embeddings for u in manifest]))
    features = np.load(cache)
    rows = []
    for fold in range(6):
        test = np.isin((actors - 1) // 4, [fold])
        scaler = StandardScaler().fit(features[~test])
        own = [label for label, held in zip(labels, test, strict=True) if not held]
        linear = LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced").fit(
            scaler.transform(features[~test]), own
        )
        order = [list(linear.classes_).index(name) for name in model.label_space.classes]
        model.standardize.set(torch.tensor(scaler.mean_).float(), torch.tensor(scaler.scale_).float())
        weight, bias = torch.tensor(linear.coef_[order]).float(), torch.tensor(linear.intercept_[order]).float()
        model.heads["classes"].start_from(weight, bias)
        folder, exported = home / f"fold{fold + 1}", home / f"fold{fold + 1}-int8"
        if not folder.exists():
            save(folder, model)
        if not exported.exists():
            export_model(folder, exported, precision="int8")
        part = manifest.replace_utterances([u for u, held in zip(manifest, test, strict=True) if held])
        exact = emotune.load(folder)
        source, eight_bits = scores_of(exact, emotune.load(exported), part)["uar"]
        row: dict = {"fold": fold + 1, "torch": source, "int8": eight_bits}
        if has_eight_bits():
            row["torch int8"] = scores_of(exact, emotune.load(folder, precision="int8"), part)["uar"][1]
        rows.append(row)
        print(json.dumps(row), flush=True)
    mean = {name: statistics.mean(row[name] for row in rows) for name in rows[0] if name != "fold"}
    differences = {name: value - mean["torch"] for name, value in mean.items() if name != "torch"}
    return {"encoder": encoder, "folds": rows, "mean": mean, "differences": differences}


# --- speed


def speed(output: Path, shared: Path, repeats: int) -> dict:
    folders(output, shared)
    rows: dict[str, dict[str, list[float]]] = {task: {name: [] for name in ENGINES} for task in ("mixed", "one clip")}
    for turn in range(repeats):
        for task, engines in rows.items():
            for name, rates in engines.items():
                command = [sys.executable, __file__, str(output), "--shared", str(shared), "--child", task, name]
                said = subprocess.run([*command, str(turn)], check=True, stdout=subprocess.PIPE, text=True).stdout
                rates.append(json.loads(said.splitlines()[-1]))
                print(task, name, round(rates[-1], 1), flush=True)
    return {
        task: {
            name: {
                "audio_seconds_a_second": statistics.median(rates),
                "lowest": min(rates),
                "highest": max(rates),
                "against_torch": statistics.median(rates) / statistics.median(engines["torch"]),
                "against_transformers": statistics.median(rates) / statistics.median(engines["transformers"]),
            }
            for name, rates in engines.items()
        }
        for task, engines in rows.items()
    }


def folders(output: Path, shared: Path) -> None:
    source = output / "speed" / "torch"
    if not source.exists():
        save(source, whisper(shared))
    for precision in ("fp32", "int8"):
        if not (output / "speed" / precision).exists():
            from emotune.export.export_model import export_model

            export_model(source, output / "speed" / precision, precision=precision)


def speed_child(output: Path, shared: Path, task: str, name: str, turn: int) -> None:
    """Audio-seconds a second on all cores, of 48 clips of mixed lengths, or of one of 3 s, twelve times."""
    lengths = lengths_like_speech(48, turn) if task == "mixed" else [3 * SAMPLING_RATE_HZ] * 12
    clips = [noise(samples) for samples in lengths]
    work = transformers_work(shared) if name == "transformers" else our_work(output / "speed" / name)
    rounds = [clips] if task == "mixed" else [[clip] for clip in clips]
    work(clips[:2])
    began = time.perf_counter()
    for some in rounds:
        work(some)
    print(sum(lengths) / SAMPLING_RATE_HZ / (time.perf_counter() - began))


def our_work(folder: Path) -> Callable[[list[np.ndarray]], object]:
    import emotune

    predictor = emotune.load(folder)
    return lambda clips: predictor.predict([(clip, SAMPLING_RATE_HZ) for clip in clips])


def transformers_work(shared: Path) -> Callable[[list[np.ndarray]], object]:
    """Whisper's encoder cut to the same layers, on features of 30 s each as its processor makes them."""
    import torch
    import transformers

    folder = shared / "models" / "whisper-base-encoder"
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    encoder = WhisperEncoder.from_pretrained(folder, dtype=torch.float32).eval()
    encoder.layers = encoder.layers[:LAYERS]
    extractor = transformers.WhisperFeatureExtractor()

    @torch.inference_mode()
    def work(clips: list[np.ndarray]) -> None:
        for start in range(0, len(clips), 8):
            features = extractor(clips[start : start + 8], sampling_rate=SAMPLING_RATE_HZ, return_tensors="pt")
            encoder(features.input_features).last_hidden_state.mean(dim=1)

    return work


# --- memory


def memory(output: Path, shared: Path) -> dict:
    folders(output, shared)

    def peak(count: int, workers: int) -> float:
        command = [sys.executable, __file__, str(output), "--child", "memory", str(count), str(workers)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    few, many = (peak(count, 0) for count in COUNTED)
    one, two = peak(COUNTED[0], 1), peak(COUNTED[0], 2)
    found = {"100 clips": few, "10,000 clips": many, "ratio": many / few, "one worker": one, "two workers": two}
    print(json.dumps(found), flush=True)
    return found


def memory_child(output: Path, count: int, workers: int) -> None:
    """Peak resident megabytes of this process and its workers while it predicts clips of ever other lengths."""
    import emotune
    from emotune.inference.items import Item

    predictor = emotune.load(output / "speed" / "int8", workers=workers or None)
    lengths = lengths_like_speech(count, 0)
    lengths[:2] = [8 * SAMPLING_RATE_HZ] * 2  # the longest of both counts is the same, on both cores at a time
    items = (Item(f"clip {n}", (noise(samples), SAMPLING_RATE_HZ)) for n, samples in enumerate(lengths))
    assert sum(1 for _ in predictor.stream(items)) == count
    processes = ["self", *Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    status = "\n".join(Path(f"/proc/{process}/status").read_text() for process in processes)
    print(sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=GROUPS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--encoder", default="whisper-base", help="of the folds: whisper-base or whisper-tiny.en")
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("EMOTUNE_SHARED", "../shared")))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        task, *rest = asked.child
        if task == "memory":
            memory_child(asked.output, int(rest[0]), int(rest[1]))
        else:
            speed_child(asked.output, asked.shared, task, rest[0], int(rest[1]))
        return
    asked.output.mkdir(parents=True, exist_ok=True)
    results = asked.output / "export.json"
    found = json.loads(results.read_text()) if results.exists() else {}
    for group in asked.only:
        options = {"speed": {"repeats": asked.repeats}, "folds": {"encoder": asked.encoder}}.get(group, {})
        found[group] = globals()[group](asked.output, asked.shared, **options)
        results.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
