"""What the organisers of the challenge would say of a submission: its score against the labels that Test3 hides.

    python examples/study/organisers.py SUBMISSION.csv TRUTH.csv

Macro-F1 of the eight classes for `FileName,EmoClass`, CCC (Lin, 1989) for `FileName,EmoAct,EmoVal,EmoDom`. Here the
truth is known because the corpus is made up.
"""

import csv
import statistics
import sys
from pathlib import Path

LETTERS = "ASHUFDCN"
ATTRIBUTES = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    by_file = {row["FileName"]: row for row in rows}
    if len(by_file) < len(rows):
        raise ValueError(f"{path}: a file is named twice")
    return by_file


def macro_f1(truth: list[str], answers: list[str]) -> float:
    """Mean over the eight letters of 2 TP / (2 TP + FP + FN)."""
    pairs, scores = list(zip(truth, answers, strict=True)), []
    for letter in LETTERS:
        hits = sum(t == a == letter for t, a in pairs)
        wrong = sum((t == letter) != (a == letter) for t, a in pairs)
        scores.append(2 * hits / (2 * hits + wrong) if hits or wrong else 0.0)
    return statistics.fmean(scores)


def ccc(truth: list[float], answers: list[float]) -> float:
    """Concordance correlation coefficient, with biased moments."""
    mean_t, mean_a = statistics.fmean(truth), statistics.fmean(answers)
    covariance = statistics.fmean((t - mean_t) * (a - mean_a) for t, a in zip(truth, answers, strict=True))
    return 2 * covariance / (statistics.pvariance(truth) + statistics.pvariance(answers) + (mean_t - mean_a) ** 2)


def verdict(submission: Path, truth: Path) -> str:
    """A line with the scores.

    Raises:
        ValueError: when the submission is not one: other files than Test3's, unknown letters, values beyond 1 to 7.
    """
    given, hidden = rows_of(submission), rows_of(truth)
    if given.keys() != hidden.keys():
        raise ValueError(f"{submission}: {len(given.keys() ^ hidden.keys())} files are missing or not of Test3")
    columns = list(next(iter(given.values())))
    if columns == ["FileName", "EmoClass"]:
        answers = [given[file]["EmoClass"] for file in hidden]
        if not set(answers) <= set(LETTERS):
            raise ValueError(f"{submission}: letters beyond {LETTERS}")
        return f"categories: macro-F1 {macro_f1([row['EmoClass'] for row in hidden.values()], answers):.3f}"
    if columns != ["FileName", *ATTRIBUTES.values()]:
        raise ValueError(f"{submission}: columns {', '.join(columns)} are those of neither task")
    said = []
    for name, column in ATTRIBUTES.items():
        values = [float(given[file][column]) for file in hidden]
        if not all(1 <= value <= 7 for value in values):
            raise ValueError(f"{submission}: {column} leaves 1 to 7")
        said.append(f"{name} {ccc([float(row[column]) for row in hidden.values()], values):.3f}")
    return "attributes: CCC " + ", ".join(said)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        print(verdict(Path(sys.argv[1]), Path(sys.argv[2])))
    except (ValueError, KeyError, OSError) as error:
        sys.exit(f"organisers: {error}")
