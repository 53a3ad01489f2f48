"""Hugging Face's audiofolder."""

import csv
import json
from pathlib import Path

FILES = ["train/a.wav", "test/b.wav"]


def write_metadata(path: Path, *rows: dict[str, object]) -> Path:
    """A ``metadata`` table, CSV or JSONL by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    return path


def write_labels(root: Path, files: list[str]) -> Path:
    rows = [{"file_name": file, "label": "angry", "speaker_id": f"s{number}"} for number, file in enumerate(files)]
    write_metadata(root / "metadata.csv", *rows)
    return root
