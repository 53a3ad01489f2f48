"""Timelines of recordings that are made of labelled clips: what is right, where segments begin, memory and speed.

    python benchmarks/timeline.py accuracy MODEL MANIFEST --split test            20 minutes of clips, pauses, room tone
    python benchmarks/timeline.py choose MODEL MANIFEST --split development       windows and cost of a change, compared
    python benchmarks/timeline.py hours MODEL MANIFEST --hours 3                  memory, speed, equality of blocks

Clips are cut to their speech (30 dB under the loudest frame), and follow each other in random order: two in three after
a pause of .6 to 3 s, one in three after .1 to .4 s, which voice activity passes over. Room tone is 45 to 60 dB under
full scale. The truth of boundaries is that cut, not the voice activity that is used.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

import emotune
from emotune import audio
from emotune.inference.timeline.recording import TimelineRule
from emotune.inference.timeline.windows import WindowRule
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.timelines import Timeline

RATE = 16000
FRAME_S = 0.01


@dataclass(frozen=True)
class Placed:
    """A clip's place in a recording, in seconds."""

    start_s: float
    end_s: float
    emotion: str
    utterance: Utterance
    follows_at_once: bool


def labelled(manifest: Manifest, classes: Sequence[str], split: str | None) -> list[Utterance]:
    chosen = manifest if split is None else manifest.split(split)
    return [utterance for utterance in chosen if utterance.emotion in classes]


def arrangement(
    manifest: Manifest, utterances: Sequence[Utterance], seconds: float, seed: int
) -> Iterator[tuple[np.ndarray, Placed | None]]:
    """Pieces of sound, and what each is; clips are taken again, in another order, where there are too few."""
    random = np.random.default_rng(seed)
    at = 0
    while at < seconds * RATE:
        for number in random.permutation(len(utterances)):
            one = utterances[number]
            close = random.random() < 1 / 3
            pause_s = random.uniform(0.1, 0.4) if close else random.uniform(0.6, 3.0)
            level = 10 ** (random.uniform(-60, -45) / 20)
            room = level * random.standard_normal(int(pause_s * RATE))
            yield room.astype(np.float32), None
            at += len(room)
            samples = audio.clip(manifest.path_of(one), start_s=one.start_s, end_s=one.end_s).samples
            speech = audio.trim_silence(samples, threshold_db=30.0)
            if at + len(speech) > seconds * RATE:
                yield room[:1].astype(np.float32), None
                return
            yield speech, Placed(at / RATE, (at + len(speech)) / RATE, one.emotion or "", one, close)
            at += len(speech)


def write_recording(path: Path, pieces: Iterator[tuple[np.ndarray, Placed | None]]) -> list[Placed]:
    placed: list[Placed] = []
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        for samples, what in pieces:
            file.write(samples)
            placed += [what] if what is not None else []
    return placed


def frames_of(segments: Sequence[tuple[float, float, str]], duration_s: float) -> np.ndarray:
    frames = np.full(round(duration_s / FRAME_S), "", dtype=object)
    for start_s, end_s, label in segments:
        frames[round(start_s / FRAME_S) : round(end_s / FRAME_S)] = label
    return frames


def mean_recall(truth: Sequence[str], answer: Sequence[str]) -> float:
    truth_, answer_ = np.asarray(truth, dtype=object), np.asarray(answer, dtype=object)
    return float(np.mean([np.mean(answer_[truth_ == name] == name) for name in sorted(set(truth))]))


def scores(timeline: Timeline, placed: Sequence[Placed]) -> dict[str, float]:
    said = frames_of([(s.start_s, s.end_s, s.most_probable or "") for s in timeline.segments], timeline.duration_s)
    true = frames_of([(p.start_s, p.end_s, p.emotion) for p in placed], timeline.duration_s)
    answers = []
    for one in placed:
        part = [label for label in said[round(one.start_s / FRAME_S) : round(one.end_s / FRAME_S)] if label]
        answers.append(max(set(part), key=part.count) if part else "")
    edges = np.array(sorted({time_s for s in timeline.segments for time_s in (s.start_s, s.end_s)}))
    after_pause = [one for one in placed if not one.follows_at_once]
    changes = [
        (before.end_s + after.start_s) / 2
        for before, after in itertools.pairwise(placed)
        if after.follows_at_once and before.emotion != after.emotion
    ]
    begins = [float(np.abs(edges - one.start_s).min()) for one in after_pause]
    changed = [float(np.abs(edges - time_s).min()) for time_s in changes]
    speech = true != ""
    return {
        "uar_clips": mean_recall([one.emotion for one in placed], answers),
        "uar_frames": mean_recall(true[speech].tolist(), said[speech].tolist()),
        "speech_missed": float(np.mean(said[speech] == "")),
        "silence_taken": float(np.mean(said[~speech] != "")),
        "begin_error_s_median": float(np.median(begins)),
        "begin_error_s_p90": float(np.quantile(begins, 0.9)),
        "change_error_s_median": float(np.median(changed)) if changed else float("nan"),
        "change_error_s_p90": float(np.quantile(changed, 0.9)) if changed else float("nan"),
        "changes_within_1_s": float(np.mean(np.array(changed) <= 1.0)) if changed else float("nan"),
        "segments": float(len(timeline.segments)),
        "clips": float(len(placed)),
    }


def accuracy(options: argparse.Namespace, *rules: TimelineRule) -> None:
    predictor = emotune.load(options.model)
    manifest = Manifest.read(options.manifest)
    utterances = labelled(manifest, predictor.label_space.classes, options.split)
    path = options.folder / "clips.wav"
    placed = write_recording(path, arrangement(manifest, utterances, options.minutes * 60, options.seed))
    used = tuple({p.utterance.utterance_id: p.utterance for p in placed}.values())
    whole = predictor.predict_manifest(Manifest(used, manifest.label_space, manifest.root))
    by_id = {row.utterance_id: row.most_probable or "" for row in whole}
    alone = mean_recall([p.emotion for p in placed], [by_id[p.utterance.utterance_id] for p in placed])
    print(f"{len(placed)} clips, {options.minutes} minutes; each clip predicted alone: UAR {alone:.3f}")
    stream, answers = predictor.stream, {}

    def remembered(items, **options):  # the cost of a change alone differs: the windows are answered once
        if rule.windows not in answers:
            answers[rule.windows] = list(stream(items, **options))
        else:
            assert len(list(items)) == len(answers[rule.windows])
        return iter(answers[rule.windows])

    predictor.stream = remembered
    for rule in rules or [TimelineRule()]:
        began = time.perf_counter()
        timeline = predictor.timeline(path, rule=rule)
        found = scores(timeline, placed) | {"times_real_time": timeline.duration_s / (time.perf_counter() - began)}
        about = f"window {rule.windows.window_s} hop {rule.windows.hop_s} cost {rule.change_cost}"
        print(json.dumps({"rule": about} | {name: round(value, 3) for name, value in found.items()}), flush=True)


def choose(options: argparse.Namespace) -> None:
    lengths = [(1, 0.5), (1.5, 0.5), (2, 0.5), (2, 1), (3, 0.5), (3, 1), (3, 1.5), (4, 1), (6, 1)]
    costs = (0.0, 0.5, 1.0, 2.0, 4.0)
    accuracy(options, *(TimelineRule(WindowRule(*pair), None, cost) for pair in lengths for cost in costs))


def hours(options: argparse.Namespace) -> None:
    classes = emotune.load(options.model).label_space.classes
    manifest = Manifest.read(options.manifest)
    utterances = labelled(manifest, classes, options.split)
    path = options.folder / "hours.wav"
    write_recording(path, arrangement(manifest, utterances, options.hours * 3600, options.seed))
    written = {}
    for bits in (18, 12):
        out = options.folder / f"blocks-{bits}.json"
        code = (
            "import sys, emotune.audio.decoding.sound as sound; "
            f"sound.BLOCK_SAMPLES = 1 << {bits}; "
            "from emotune.cli import main; sys.argv[0] = 'emotune'; main()"
        )
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, "timeline", options.model, str(path), "-o", str(out)], check=True)
        took = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"decoded in blocks of {1 << bits} samples: {took:.0f} s, {options.hours * 3600 / took:.0f} times real time"
            f" ({options.hours * 3600 / cpu:.0f} a processor second), peak memory {after.ru_maxrss / 1024:.0f} MB",
            flush=True,
        )
        written[bits] = out.read_bytes()
    print("the two are equal to the byte:", written[18] == written[12])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["accuracy", "choose", "hours"])
    parser.add_argument("model")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/timeline"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    {"accuracy": accuracy, "choose": choose, "hours": hours}[options.task](options)


if __name__ == "__main__":
    main()
