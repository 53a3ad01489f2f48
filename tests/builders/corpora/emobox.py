"""EmoBox's JSONL files."""

import json
from pathlib import Path

FILES = ["wavs/a.wav", "wavs/b.wav"]


def row(wav: str, emotion: str = "ang", **more: object) -> dict[str, object]:
    return {"key": Path(wav).stem, "dataset": "own", "wav": wav, "length": 0.2, "emo": emotion, "channel": 1, **more}


def write_rows(path: Path, *rows: dict[str, object] | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def write_labels(root: Path, files: list[str]) -> Path:
    write_rows(root / "own.jsonl", *(row(file, speaker=f"speaker {n}") for n, file in enumerate(files)))
    return root
