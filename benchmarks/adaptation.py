"""Adapting without labels: gain and harm over collections whose speakers show one to four emotions, as a picture.

    python benchmarks/adaptation.py [--shared ../shared] [--features FILE.npz] [-o FOLDER]

Whisper base's third layer, mean over time; a logistic regression of anger, happiness, sadness and neutral learns two of
RAVDESS, EmoDB-4 and nEMO and answers the third. Of that, collections are drawn: each speaker shows 1, 2, 3 or all
emotions, in even shares or 70 % of one, with 3 to 60 clips (a clip is drawn again where a speaker has too few). Writes
adaptation.json and adaptation.png. The features take four minutes and are kept in FILE.npz.
"""

import argparse
import csv
import itertools
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from emotune.audio import clip
from emotune.audio.preprocessing import Preprocessing
from emotune.inference.adaptation.rule import TRUST, Shift, Trust, corpus_shift_of, offsets_of, shift_of
from emotune.schema.prior import estimated_prior, with_offsets

Array = NDArray[Any]
CORPORA = ("ravdess", "emodb4", "nemo")
CLASSES = ("anger", "happiness", "sadness", "neutral")
SPELLINGS = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
LAYER, INVERSE_PENALTY = 3, 0.01
COUNTS = (3, 6, 12, 24, 60)
SHOWN = ("4 even", "4 uneven", "3 even", "3 uneven", "2 even", "2 uneven", "1 to 4", "1", "1, all the same")
WAYS = ("beside others", "alone")
DRAWS_TO_CHOOSE, DRAWS_TO_REPORT, REPLICATES = 2, 10, 1000
CANDIDATES = [
    Trust(even, (math.log(low), math.log(high)))
    for even, (low, high) in itertools.product(
        [(0.5, 0.8), (0.5, 1.0), (0.7, 0.9)], [(1.2, 1.4), (1.2, 1.8), (1.3, 1.6)]
    )
]
MOST_HARM_IN_ONE_MOOD, MOST_HARM = 0.01, 0.05


@dataclass(frozen=True)
class Clips:
    """Clips of all corpora: features (clips, features), and class number, corpus and speaker of each."""

    features: Array
    emotion: Array
    corpus: Array
    speaker: Array


@dataclass(frozen=True)
class Left:
    """The corpus left out: plain answers to its clips (clips, classes), their class number and speaker."""

    answers: Array
    emotion: Array
    speaker: Array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("EMOTUNE_SHARED", "../shared")))
    parser.add_argument("--features", type=Path, default=Path("adaptation_features.npz"))
    parser.add_argument("-o", "--output", type=Path, default=Path())
    options = parser.parse_args()
    clips = clips_of(options.shared, options.features)
    print_heads(clips)
    left = {corpus: left_out(clips, corpus) for corpus in CORPORA}
    print_choices(left)
    found = {corpus: gains(own, TRUST, draws=DRAWS_TO_REPORT, seed=1) for corpus, own in left.items()}
    print_gains(found)
    print_priors(left)
    as_json = {
        corpus: {" | ".join(map(str, cell)): value for cell, value in own.items()} for corpus, own in found.items()
    }
    (options.output / "adaptation.json").write_text(json.dumps(as_json, indent=1) + "\n")
    draw_picture(found, options.output / "adaptation.png")


def clips_of(shared: Path, file: Path) -> Clips:
    """The features, computed unless the file holds them."""
    if not file.exists():
        compute_features(shared, file)
    held = np.load(file)
    return Clips(held["features"].astype(float), held["emotion"], held["corpus"], held["speaker"])


def compute_features(shared: Path, file: Path) -> None:
    import torch

    from emotune.models.backbones.checkpoint import load_pretrained

    encoder = load_pretrained("whisper", str(shared / "models" / "whisper-base-encoder")).eval()
    prepare = Preprocessing(trim_silence_db=40.0)
    found: dict[str, list[Any]] = {"features": [], "emotion": [], "corpus": [], "speaker": []}
    for corpus in CORPORA:
        with (shared / "data" / corpus / "labels.csv").open(encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        for row in rows:
            emotion = SPELLINGS.get(row["emotion"], row["emotion"])
            if emotion not in CLASSES:
                continue
            samples = torch.from_numpy(prepare(clip(shared / "data" / corpus / row["file"]).samples))[None]
            with torch.inference_mode():
                states = encoder(samples, torch.ones_like(samples, dtype=torch.bool)).states
            found["features"].append(states[LAYER][0].mean(dim=0).numpy())
            found["emotion"].append(CLASSES.index(emotion))
            found["corpus"].append(corpus)
            found["speaker"].append(row["speaker"])
    np.savez(file, **{name: np.array(values) for name, values in found.items()})


def weights_of(clips: Clips, among: Array) -> Array:
    """Weights that make the classes of each corpus equal, shape (clips among them,)."""
    cell = np.char.add(clips.corpus[among], clips.emotion[among].astype(str))
    _, place, count = np.unique(cell, return_inverse=True, return_counts=True)
    weights = 1 / count[place]
    return weights / weights.mean()


def regression(features: Array, clips: Clips, among: Array) -> LogisticRegression:
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
    return model.fit(features[among], clips.emotion[among], sample_weight=weights_of(clips, among))


def standardised(clips: Clips, among: Array) -> Array:
    weights = weights_of(clips, among)
    mean = np.average(clips.features[among], axis=0, weights=weights)
    variance = np.average((clips.features[among] - mean) ** 2, axis=0, weights=weights)
    return (clips.features - mean) / np.sqrt(variance)


def left_out(clips: Clips, corpus: str) -> Left:
    own = clips.corpus == corpus
    features = standardised(clips, ~own)
    answers = regression(features, clips, ~own).predict_proba(features[own])
    return Left(answers, clips.emotion[own], clips.speaker[own])


def print_heads(clips: Clips) -> None:
    """All clips of each corpus left out: is a second head needed, or the scale of a speaker's features?"""

    def by_speaker(features: Array, *, scaled: bool) -> Array:
        moved = features.copy()
        for name in np.unique(names := np.char.add(clips.corpus, clips.speaker)):
            own = names == name
            scale = features[own].std(axis=0) + 1e-3 if scaled else 1.0
            moved[own] = (features[own] - features[own].mean(axis=0)) / scale
        return moved

    print(
        "\nUAR of all clips, standardised by speaker\n\n| corpus left out | plain | same head: mean | and scale ",
        end="",
    )
    print("| second head: mean | and scale | log-probabilities: mean |\n|---|---|---|---|---|---|---|")
    for corpus in CORPORA:
        own = clips.corpus == corpus
        plain = standardised(clips, ~own)
        head, truth = regression(plain, clips, ~own), clips.emotion[own]
        scores = [recall(truth, head.predict(plain[own]))]
        moved = [by_speaker(plain, scaled=scaled) for scaled in (False, True)]
        scores += [recall(truth, head.predict(features[own])) for features in moved]
        scores += [recall(truth, regression(features, clips, ~own).predict(features[own])) for features in moved]
        answers, speaker = head.predict_proba(plain[own]), clips.speaker[own]
        for name in np.unique(speaker):
            answers[speaker == name] = with_offsets(
                answers[speaker == name], -np.array(shift_of(answers[speaker == name]).mean)
            )
        scores.append(recall(truth, answers.argmax(axis=1)))
        print(f"| {corpus} | " + " | ".join(f"{score:.3f}" for score in scores) + " |")


def recall(truth: Array, answers: Array) -> float:
    return float(np.mean([(answers[truth == emotion] == emotion).mean() for emotion in np.unique(truth)]))


def collection(left: Left, shown: str, clips: int, generator: np.random.Generator) -> list[Array]:
    """Places of the clips of each speaker in a drawn collection."""
    found: list[Array] = []
    order = generator.permutation(len(CLASSES))
    for number, speaker in enumerate(generator.permutation(np.unique(left.speaker))):
        many = int(generator.integers(1, 5)) if shown == "1 to 4" else int(shown[0])
        main_one = order[0 if shown == "1, all the same" else number % len(CLASSES)]
        others = [emotion for emotion in generator.permutation(len(CLASSES)) if emotion != main_one][: many - 1]
        first = 0.7 if "uneven" in shown and many > 1 else 1 / many
        shares = np.array([first, *[(1 - first) / max(many - 1, 1)] * (many - 1)])
        counts = np.floor(shares * clips + 1e-9).astype(int)
        counts[np.argsort(counts - shares * clips)[: clips - counts.sum()]] += 1
        while clips >= many and counts.min() == 0:
            counts[counts.argmin()] += 1
            counts[counts.argmax()] -= 1
        chosen: list[Array] = []
        for emotion, count in zip([main_one, *others], counts, strict=True):
            there = np.flatnonzero((left.speaker == speaker) & (left.emotion == emotion))
            chosen.append(generator.choice(there, count, replace=count > len(there)))
        found.append(np.concatenate(chosen))
    return found


def collections(left: Left, draws: int, seed: int) -> Iterator[tuple[tuple[str, int], list[Array]]]:
    for (place, shown), clips in itertools.product(enumerate(SHOWN), COUNTS):
        generator = np.random.default_rng([seed, place, clips])
        yield from (((shown, clips), collection(left, shown, clips, generator)) for _ in range(draws))


def moved(answers: Array, own: Shift, corpus: Shift | None) -> Array:
    offsets = offsets_of(own, corpus)
    return answers if offsets is None else with_offsets(answers, offsets)


def right_answers(left: Left, groups: list[Array], trust: Trust) -> Array:
    """Counts of shape (speakers, ways, classes): clips; right ones plain, adapted alone, and adapted beside others."""
    shifts = [shift_of(left.answers[places], trust=trust) for places in groups]
    corpus = corpus_shift_of(left.answers[np.concatenate(groups)], shifts, trust=trust)
    counts = np.zeros((len(groups), 4, len(CLASSES)))
    for row, (places, own) in enumerate(zip(groups, shifts, strict=True)):
        answers, truth = left.answers[places], left.emotion[places]
        ways = [answers, moved(answers, own, None), moved(answers, own, corpus)]
        counts[row, 0] = np.bincount(truth, minlength=len(CLASSES))
        for way, said in enumerate(ways, start=1):
            counts[row, way] = np.bincount(truth[said.argmax(axis=1) == truth], minlength=len(CLASSES))
    return counts


def recalls(counts: Array) -> Array:
    """Counts of shape (..., ways, classes) to UAR, shape (..., ways - 1)."""
    there = counts[..., :1, :] > 0
    shares = np.where(there, counts[..., 1:, :] / np.maximum(counts[..., :1, :], 1), np.nan)
    return np.nanmean(shares, axis=-1)


def gains(left: Left, trust: Trust, *, draws: int, seed: int, replicates: int = REPLICATES) -> dict[Any, Any]:
    """Cell -> plain UAR, gain alone and beside others, each with an interval over speakers and draws."""
    found: dict[Any, list[Array]] = {}
    for cell, groups in collections(left, draws, seed):
        found.setdefault(cell, []).append(right_answers(left, groups, trust))
    result: dict[Any, Any] = {}
    generator = np.random.default_rng(0)
    for cell, counts in found.items():
        uar = np.mean([recalls(own.sum(axis=0)) for own in counts], axis=0)
        again = np.zeros((replicates, 3))
        for own in counts:
            times = generator.multinomial(len(own), [1 / len(own)] * len(own), replicates)
            again += recalls(np.einsum("rs,swc->rwc", times, own)) / len(counts)
        result[cell] = {"plain": uar[0]}
        for way, name in enumerate(reversed(WAYS), start=1):
            ends = np.percentile(again[:, way] - again[:, 0], [2.5, 97.5]) if replicates else (np.nan, np.nan)
            result[cell][name] = [uar[way] - uar[0], *map(float, ends)]
    return result


def over(found: dict[Any, Any], way: str, *shown: str, counts: tuple[int, ...] = COUNTS) -> list[float]:
    return [found[kind, clips][way][0] for kind in shown for clips in counts]


def print_choices(left: dict[str, Left]) -> None:
    """Trust chosen on two of the corpora, and what it does on the third."""
    tried = [
        {corpus: gains(own, trust, draws=DRAWS_TO_CHOOSE, seed=0, replicates=0) for corpus, own in left.items()}
        for trust in CANDIDATES
    ]

    def value(found: dict[str, Any], corpora: tuple[str, ...]) -> float:
        """Mean gain where all is shown; minus infinity where harm is more than allowed."""
        for corpus, way in itertools.product(corpora, WAYS):
            in_one_mood = np.mean(over(found[corpus], way, "1", "1, all the same"))
            if in_one_mood < -MOST_HARM_IN_ONE_MOOD or min(over(found[corpus], way, *SHOWN)) < -MOST_HARM:
                return -math.inf
        return float(np.mean([over(found[corpus], way, "4 even") for corpus in corpora for way in WAYS]))

    print(f"\nChosen among {len(CANDIDATES)} on two corpora, gain on the third\n")
    print(
        "| corpus left out | even | told apart | all shown, beside others | alone | in one mood | alone ",
        end="",
    )
    print("| worst cell |\n|---|---|---|---|---|---|---|---|")
    for corpora in [*(tuple(name for name in CORPORA if name != corpus) for corpus in CORPORA), CORPORA]:
        best = max(range(len(tried)), key=lambda number: value(tried[number], corpora))
        if value(tried[best], corpora) == -math.inf:
            print(f"none harms as little as is allowed on {' and '.join(corpora)}")
            continue
        tested = [name for name in CORPORA if name not in corpora] or ["(none)"]
        trust = CANDIDATES[best]
        ends = [trust.even, tuple(math.exp(end) for end in trust.told_apart)]
        words = [f"{low:.2f} to {high:.2f}" for low, high in ends]
        if tested[0] in left:
            figures = gains(left[tested[0]], trust, draws=DRAWS_TO_REPORT, seed=1, replicates=0)
            words += [
                f"{np.mean(over(figures, way, *shown)):+.3f}"
                for shown in (("4 even",), ("1", "1, all the same"))
                for way in WAYS
            ]
            words.append(f"{min(over(figures, 'alone', *SHOWN) + over(figures, 'beside others', *SHOWN)):+.3f}")
        print(f"| {tested[0]} | {' | '.join(words)} |")


def print_gains(found: dict[str, dict[Any, Any]]) -> None:
    """Gain of the rule as it is, by what speakers show."""
    for way in WAYS:
        print(f"\nGain {way}, mean over 3 to 60 clips a speaker [lowest, highest cell]\n")
        print("| speakers show | " + " | ".join(CORPORA) + " |\n|---" * 1 + "|---" * len(CORPORA) + "|")
        for shown in SHOWN:
            cells = [over(found[corpus], way, shown) for corpus in CORPORA]
            print(
                f"| {shown} | "
                + " | ".join(f"{np.mean(own):+.3f} [{min(own):+.3f}, {max(own):+.3f}]" for own in cells)
                + " |"
            )
        for corpus in CORPORA:
            cell = min(found[corpus], key=lambda key: found[corpus][key][way][0])
            gain, low, high = found[corpus][cell][way]
            print(f"{corpus}: worst cell {cell[0]}, {cell[1]} clips: {gain:+.3f} [{low:+.3f}, {high:+.3f}]")
        for shown, clips in (("4 even", 24), ("1", 12)):
            words = [
                f"{corpus} {gain:+.3f} [{low:+.3f}, {high:+.3f}]"
                for corpus in CORPORA
                for gain, low, high in [found[corpus][shown, clips][way]]
            ]
            print(f"{shown}, {clips} clips: " + ", ".join(words))


def print_priors(left: dict[str, Left]) -> None:
    """Does an estimated prior help? Mean change of UAR and accuracy of adapted answers, by what speakers show."""
    print(
        "\nEstimated prior of the collection, on adapted answers: change of UAR and of accuracy, 24 clips a speaker\n"
    )
    print("| speakers show | " + " | ".join(CORPORA) + " |\n|---" + "|---" * len(CORPORA) + "|")
    cells: dict[str, list[str]] = {shown: [] for shown in SHOWN}
    for corpus in CORPORA:
        own = left[corpus]
        changes: dict[str, list[tuple[float, float]]] = {shown: [] for shown in SHOWN}
        for (shown, clips), groups in collections(own, DRAWS_TO_CHOOSE, 2):
            if clips != 24:
                continue
            places = np.concatenate(groups)
            shifts = [shift_of(own.answers[group]) for group in groups]
            whole = corpus_shift_of(own.answers[places], shifts)
            before = np.concatenate(
                [moved(own.answers[group], shift, whole) for group, shift in zip(groups, shifts, strict=True)]
            )
            uniform = np.full(len(CLASSES), 1 / len(CLASSES))
            with np.errstate(divide="ignore"):
                after = with_offsets(before, np.log(estimated_prior(before, uniform)) - np.log(uniform))
            truth, said = own.emotion[places], [answers.argmax(axis=1) for answers in (before, after)]
            uar = [recall(truth, answers) for answers in said]
            right = [float((answers == truth).mean()) for answers in said]
            changes[shown].append((uar[1] - uar[0], right[1] - right[0]))
        for shown in SHOWN:
            uar_change, accuracy_change = np.mean(changes[shown], axis=0)
            cells[shown].append(f"{uar_change:+.3f}, {accuracy_change:+.3f}")
    for shown, words in cells.items():
        print(f"| {shown} | " + " | ".join(words) + " |")


def draw_picture(found: dict[str, dict[Any, Any]], path: Path) -> None:
    figure, axes = plt.subplots(2, len(CORPORA), figsize=(11, 8), sharex=True, sharey=True, layout="constrained")
    image = None
    for row, way in enumerate(WAYS):
        for column, corpus in enumerate(CORPORA):
            axis = axes[row, column]
            values = np.array([[found[corpus][shown, clips][way][0] for clips in COUNTS] for shown in SHOWN])
            image = axis.imshow(values, cmap="RdBu", vmin=-0.12, vmax=0.12, aspect="auto")
            for (y, x), value in np.ndenumerate(values):
                _, low, high = found[corpus][SHOWN[y], COUNTS[x]][way]
                sure = low > 0 or high < 0
                colour = "white" if abs(value) > 0.08 else "black"
                text = f"{value:+.3f}".replace("0.", ".")
                axis.text(x, y, text, ha="center", va="center", size=8, color=colour, weight="bold" if sure else None)
            plain = np.mean([found[corpus][cell]["plain"] for cell in found[corpus]])
            axis.set_title(f"{corpus} left out ({way}), plain {plain:.2f}", size=9)
            axis.set_xticks(range(len(COUNTS)), [str(count) for count in COUNTS])
            axis.set_yticks(range(len(SHOWN)), SHOWN)
            if row == 1:
                axis.set_xlabel("clips a speaker")
        axes[row, 0].set_ylabel("emotions that a speaker shows")
    assert image is not None
    figure.colorbar(image, ax=axes, shrink=0.5, label="change of UAR; bold: the interval excludes 0")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
