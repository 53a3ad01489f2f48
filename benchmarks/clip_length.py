"""What `mini` says of ever longer utterances: as one, and as the mean over windows of the length that timelines take.

    python benchmarks/clip_length.py [--shared ../shared]

The clips are those of the test speakers of examples/mini, cut to their speech as the model cuts them. Each begins an
utterance of 1, 2, 4 and 6 clips of its speaker and emotion, cut at the longest that the model takes: different ones
as far as there are (4 to 14), then again from the first. Classes and speakers are the same at every length.
"""

import argparse
import os
from collections import defaultdict
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import yaml

import emotune
from emotune.audio import SAMPLING_RATE_HZ, FloatArray, clip
from emotune.corpora import CORPORA, ReadingOptions
from emotune.corpora.annotations import annotations_of
from emotune.inference.items import Item
from emotune.inference.timeline.window_items import window_items
from emotune.inference.timeline.windows import WindowRule
from emotune.metrics import METRICS

RECIPE = Path(__file__).parents[1] / "examples" / "mini" / "mini.yaml"
FOLDERS = {"ravdess": ("ravdess", "ravdess"), "emodb": ("emodb", "emodb4"), "nemo": ("table", "nemo/labels.csv")}
COUNTS = (1, 2, 4, 6)
WINDOWS = WindowRule(hop_s=WindowRule.window_s)  # side by side: half the work of a timeline's
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("EMOTUNE_SHARED", "../shared")))
    options = parser.parse_args()
    predictor = emotune.load("mini")
    classes, preprocessing = predictor.label_space.classes, predictor.engine.preprocessing
    clips = clips_of(options.shared / "data", predictor)
    truth = np.array([classes.index(emotion) for _, emotion in clips])
    print(f"| clips | seconds | heard as | UAR | {' | '.join(classes)} | confidence | calibration error |")
    print("|" + "---|" * (len(classes) + 6))
    print(f"| | | what is true | 1 | {in_words(np.bincount(truth) / len(truth))} | | |")
    for count in COUNTS:
        sounds = [
            np.concatenate(list(islice(cycle(own), count)))[: int(preprocessing.most_samples)] for own, _ in clips
        ]
        items = [Item(str(n), (sound, SAMPLING_RATE_HZ)) for n, sound in enumerate(sounds)]
        seconds = np.median([len(sound) for sound in sounds]) / SAMPLING_RATE_HZ
        for heard, found in (("one", answers(predictor, items)), ("windows", means(predictor, items))):
            answered = found.argmax(axis=1)
            figures = [
                METRICS["uar"](truth, answered),
                *np.bincount(answered, minlength=len(classes)) / len(truth),
                found.max(axis=1).mean(),
                METRICS["expected_calibration_error"](truth, found),
            ]
            print(f"| {count} | {seconds:.1f} | {heard} | {in_words(figures)} |", flush=True)


def clips_of(data: Path, predictor: emotune.Predictor) -> list[tuple[list[FloatArray], str]]:
    """For each clip of a test speaker: sounds of the speaker with that emotion, its own first, and the emotion."""
    speakers = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))["data"]["splits"]["test"]["speaker"]
    groups: dict[tuple[str, str], list[FloatArray]] = defaultdict(list)
    for name, (reader, folder) in FOLDERS.items():
        found = annotations_of(CORPORA[reader], data / folder, ReadingOptions())
        for place in np.random.default_rng(SEED).permutation(len(found.utterances)):
            utterance = found.utterances[place]
            speaker, emotion = f"{name}/{utterance.speaker}", str(utterance.emotion)
            if speaker in speakers and emotion in predictor.label_space.classes:
                sound = clip(found.folder / utterance.file, sampling_rate_hz=SAMPLING_RATE_HZ).samples
                groups[speaker, emotion].append(predictor.engine.preprocessing.trimmed(sound))
    return [(own[n:] + own[:n], emotion) for (_, emotion), own in groups.items() for n in range(len(own))]


def answers(predictor: emotune.Predictor, items: list[Item]) -> FloatArray:
    """Probabilities, shape (utterances, classes)."""
    return np.array([list(row.probabilities.values()) for row in predictor.predict_items(items)])


def means(predictor: emotune.Predictor, items: list[Item]) -> FloatArray:
    """Mean of the probabilities over an utterance's windows, shape (utterances, classes)."""
    owners: list[str] = []
    found = answers(predictor, list(window_items(items, WINDOWS, "none", owners=owners, silent=[])))
    numbers = np.array(owners, dtype=int)
    return np.stack([found[numbers == n].mean(axis=0) for n in range(len(items))])


def in_words(figures: object) -> str:
    return " | ".join(f"{figure:.3f}" for figure in np.asarray(figures))


if __name__ == "__main__":
    main()
