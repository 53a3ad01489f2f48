"""Do the intervals hold the truth as often as they say, and does the test of two systems find what it should?

    python benchmarks/coverage.py OUT [--trials 2000]

Test sets are simulated with speakers who differ: the log-odds that a class is recognised have a random part of the
speaker, shared by both systems, and one of speaker, class and system. Four classes, 40 utterances a speaker; the true
UAR comes from 4 million simulated speakers. For 2 to 100 speakers: the share of 95 % intervals that hold the
truth, for the UAR of a system and for the difference of two equally good ones, by a bootstrap over utterances and by
one over speakers, with plain and with expanded percentiles; how often the swap test says that equally good systems
differ; and how often it says so of systems that truly differ by the detectable difference, which should be 80 %.
For two groups of speakers that fare alike: the share of 95 % intervals of their difference that hold 0, by resampling
all speakers together and as emotune has it, which gives none below three speakers in a group.
Writes OUT/coverage.json and OUT/coverage.png.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from emotune.evaluation.comparing.compare import detectable_difference
from emotune.evaluation.statistics.bootstrap import draws, expanded_tail
from emotune.evaluation.statistics.group_differences import SPEAKERS_FOR_AN_INTERVAL, difference_of_groups
from emotune.evaluation.statistics.permutation import swap_test
from emotune.io.tables import to_json, write_text
from emotune.metrics.classes import uar_of

SPEAKERS = (2, 3, 4, 10, 24, 100)
GROUPS = ((2, 22), (3, 21), (4, 20), (6, 18), (12, 12))
LOG_ODDS = np.array([1.2, 0.6, 0.2, 0.9])
CLASSES = len(LOG_ODDS)
UTTERANCES = 40
SPREAD, OWN_SPREAD = 1.0, 0.6
RESAMPLES = 1000
LARGE = 4_000_000


def recognised(generator: np.random.Generator, shape: tuple[int, ...], *, better: float = 0.0) -> np.ndarray:
    """The probability that a class of a speaker is recognised by each of two systems, shape (*shape, 2, classes)."""
    speaker = generator.normal(0, SPREAD, (*shape, 1, 1))
    own = generator.normal(0, OWN_SPREAD, (*shape, 2, CLASSES))
    gain = np.array([[better], [0.0]])
    return 1 / (1 + np.exp(-(LOG_ODDS + speaker + own + gain)))


def true_uar(better: float) -> np.ndarray:
    """The UAR of the two systems in an endless test set."""
    generator = np.random.default_rng(7)
    blocks = [recognised(generator, (LARGE // 40,), better=better).mean(axis=(0, 2)) for _ in range(40)]
    return np.mean(blocks, axis=0)


def test_sets(generator: np.random.Generator, trials: int, speakers: int, *, better: float = 0.0) -> np.ndarray:
    """Counts by class and by what the two systems recognised, shape (trials, speakers, classes, 2, 2)."""
    truth = generator.multinomial(UTTERANCES, np.full(CLASSES, 1 / CLASSES), size=(trials, speakers))
    chance = recognised(generator, (trials, speakers), better=better)
    first = generator.binomial(truth, chance[:, :, 0])
    both, second = (generator.binomial(of, chance[:, :, 1]) for of in (first, truth - first))
    return np.stack([truth - first - second, second, first - both, both], axis=-1).reshape(*truth.shape, 2, 2)


def confusions(counts: np.ndarray) -> np.ndarray:
    """Of both systems, shape (..., 2, classes, classes), from counts (..., classes, 2, 2).

    A miss goes to the next class.
    """
    hits = np.stack([counts.sum(axis=-1)[..., 1], counts.sum(axis=-2)[..., 1]], axis=-2)
    misses = counts.sum(axis=(-2, -1))[..., None, :] - hits
    following = np.roll(np.eye(CLASSES), 1, axis=1)
    return hits[..., None] * np.eye(CLASSES) + misses[..., None] * following


def over_utterances(generator: np.random.Generator, counts: np.ndarray) -> np.ndarray:
    """UAR of both systems, shape (resamples, 2); resampled utterances are one multinomial draw of the counts."""
    cells = counts.sum(axis=0).ravel()
    drawn = generator.multinomial(int(cells.sum()), cells / cells.sum(), size=RESAMPLES)
    return uar_of(confusions(drawn.reshape(RESAMPLES, CLASSES, 2, 2)))


def holds(values: np.ndarray, truth: float, tail: float) -> bool:
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return bool(low <= truth <= high)


def detected(matrices: np.ndarray, seed: int) -> bool:
    return swap_test(matrices[:, 0], matrices[:, 1], uar_of, resamples=RESAMPLES, seed=seed) <= 0.05


def difference_of(matrices: np.ndarray) -> np.ndarray:
    scores = uar_of(matrices.sum(axis=1))
    return scores[:, 0] - scores[:, 1]


def odds_for(difference: float) -> float:
    """Which gain in log-odds makes a true difference of UAR."""
    low, high = 0.0, 8.0
    generator = np.random.default_rng(8)
    state = generator.bit_generator.state
    for _ in range(25):
        middle = (low + high) / 2
        generator.bit_generator.state = state
        first, second = recognised(generator, (100_000,), better=middle).mean(axis=(0, 2))
        low, high = (middle, high) if first - second < difference else (low, middle)
    return (low + high) / 2


def study(speakers: int, trials: int, truth: float) -> dict[str, float]:
    generator = np.random.default_rng(speakers)
    sets = test_sets(generator, trials, speakers)
    drawn = np.concatenate(list(draws(speakers, resamples=RESAMPLES, seed=0))).astype(float)
    tails = {"percentile": 0.025, "expanded": expanded_tail(speakers)}
    found: Counter[str] = Counter()
    for trial, counts in enumerate(sets):
        matrices = confusions(counts)
        resampled = uar_of((drawn @ matrices.reshape(speakers, -1)).reshape(-1, *matrices.shape[1:]))
        plain = over_utterances(generator, counts)
        ways = {"utterances": (plain, 0.025)}
        ways |= {f"speakers, {name}": (resampled, tail) for name, tail in tails.items()}
        for name, (values, tail) in ways.items():
            found[f"UAR, {name}"] += holds(values[:, 0], truth, tail)
            found[f"difference, {name}"] += holds(values[:, 0] - values[:, 1], 0.0, tail)
        found["false positives"] += detected(matrices, trial)
    shares = {name: count / trials for name, count in found.items()}
    shares["detectable"] = detectable_difference(float(difference_of(confusions(sets)).std()), speakers)
    different = confusions(test_sets(generator, trials, speakers, better=odds_for(shares["detectable"])))
    shares["mean difference at the detectable one"] = float(difference_of(different).mean())
    shares["power"] = float(np.mean([detected(matrices, trial) for trial, matrices in enumerate(different)]))
    return shares


def groups(first: int, second: int, trials: int) -> dict[str, float]:
    """Of a system's difference between two groups of speakers that are alike: shares that hold 0, and median widths."""
    count = first + second
    generator = np.random.default_rng(1000 * first + second)
    present = np.arange(count)[:, None] < first
    present = np.hstack([present, ~present])
    drawn = np.concatenate(list(draws(count, resamples=RESAMPLES, seed=0))).astype(float)
    held: Counter[str] = Counter()
    widths = []
    for counts in test_sets(generator, trials, count):
        matrices = confusions(counts)[:, :1] * present[..., None, None]
        together = gap_of((drawn @ matrices.reshape(count, -1)).reshape(-1, *matrices.shape[1:]))
        held["together"] += holds(together[:, 0], 0.0, expanded_tail(count))
        (found,) = difference_of_groups(matrices, gap_of, present=present, fewest=2)
        held["each left out"] += found.low <= 0 <= found.high
        widths.append(found.high - found.low)
    given = min(first, second) >= SPEAKERS_FOR_AN_INTERVAL
    return {name: hits / trials for name, hits in held.items()} | {"width": float(np.median(widths)), "given": given}


def gap_of(sums: np.ndarray) -> np.ndarray:
    """UAR of the first group less that of the second, shape (..., 1); NaN where a group is empty."""
    scores = uar_of(sums)
    return (scores[..., 0] - scores[..., 1])[..., None]


def draw(found: dict[int, dict[str, float]], trials: int, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    lines = {
        "difference, utterances": ("difference, over utterances", "#b84a00", "^:"),
        "UAR, utterances": ("UAR, over utterances", "#b84a00", "s-"),
        "UAR, speakers, percentile": ("UAR, over speakers, plain percentiles", "#5b6770", "o--"),
        "UAR, speakers, expanded": ("UAR, over speakers, expanded", "#0068a8", "o-"),
        "difference, speakers, expanded": ("difference, over speakers, expanded", "#0068a8", "^:"),
    }
    for key, (label, colour, style) in lines.items():
        left.plot(SPEAKERS, [found[n][key] for n in SPEAKERS], style, color=colour, label=label)
    left.axhline(0.95, color="k", linewidth=0.8)
    left.set(xscale="log", xlabel="speakers in the test set", ylabel="share of 95 % intervals that hold the truth")
    left.legend(frameon=False, loc="center right")
    right.plot(SPEAKERS, [found[n]["power"] for n in SPEAKERS], "o-", color="#0068a8", label="detectable difference")
    right.plot(SPEAKERS, [found[n]["false positives"] for n in SPEAKERS], "s-", color="#b84a00", label="no difference")
    for level in (0.05, 0.8):
        right.axhline(level, color="k", linewidth=0.8)
    right.set(xscale="log", xlabel="speakers in the test set", ylabel="share of tests with p at most .05", ylim=(0, 1))
    right.legend(frameon=False, loc="center right")
    for axes in (left, right):
        axes.set_xticks(SPEAKERS, [str(n) for n in SPEAKERS])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{trials} simulated test sets for each number of speakers, {UTTERANCES} utterances a speaker")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--trials", type=int, default=2000)
    arguments = parser.parse_args()
    truth = float(true_uar(0.0).mean())
    found = {}
    for speakers in SPEAKERS:
        began = time.perf_counter()
        found[speakers] = study(speakers, arguments.trials, truth)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in found[speakers].items())
        print(f"{speakers} speakers: {shown} ({time.perf_counter() - began:.0f} s)", flush=True)
    sides = {}
    for first, second in GROUPS:
        sides[f"{first} and {second}"] = one = groups(first, second, arguments.trials)
        print(f"groups of {first} and {second}: {', '.join(f'{n} {v:.3f}' for n, v in one.items())}", flush=True)
    settings = {
        "trials": arguments.trials,
        "utterances_a_speaker": UTTERANCES,
        "resamples": RESAMPLES,
        "true_uar": truth,
        "log_odds": LOG_ODDS.tolist(),
        "spread_of_speakers": SPREAD,
        "spread_of_speaker_class_system": OWN_SPREAD,
    }
    write_text(
        arguments.out / "coverage.json", to_json({"settings": settings, "speakers": found, "groups": sides}) + "\n"
    )
    draw(found, arguments.trials, arguments.out / "coverage.png")


if __name__ == "__main__":
    main()
