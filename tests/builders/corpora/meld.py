"""MELD's tables, as they are published."""

import csv
import re
from pathlib import Path

HEADER = (
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode",
    "StartTime", "EndTime",
)  # fmt: skip
FILES = [
    "train/train_splits/dia0_utt0.wav",
    "dev/dev_splits_complete/dia0_utt0.wav",
    "test/output_repeated_splits_test/dia0_utt0.wav",
]


def row(dialogue: object, utterance: object, emotion: str, speaker: str = "Ross", text: str = "Hi there.") -> list[str]:
    times = ["00:16:16,059", "00:16:21,731"]
    return ["1", text, speaker, emotion, "neutral", str(dialogue), str(utterance), "8", "21", *times]


def write_table(path: Path, *rows: list[str], encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream).writerows([HEADER, *rows])
    return path


def write_labels(root: Path, files: list[str]) -> Path:
    """The three tables, with a row for each file."""
    for split in ("train", "dev", "test"):
        numbers = [re.findall(r"\d+", Path(file).stem) for file in files if file.startswith(split)]
        write_table(root / f"{split}_sent_emo.csv", *(row(*number, "joy") for number in numbers))
    return root
