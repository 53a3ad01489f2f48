"""A miniature of MSP-Podcast, in each of the forms that its releases have."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from builders.recordings import write_recording

COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
ROWS = (
    ("MSP-PODCAST_0001_0008.wav", "N", "2.2", "4.0", "2.6", "30", "Male", "Test1"),
    ("MSP-PODCAST_0002_0010.wav", "A", "5.4", "2.0", "5.0", "127", "Female", "Train"),
)
RATINGS = {
    "MSP-PODCAST_0001_0008.wav": [
        ("WORKER00000001", "Neutral", "Neutral", 2, 4, 3),
        ("WORKER00000002", "Neutral", "Neutral,Concerned", 2, 4, 2),
        ("WORKER00000003", "Sad", "Sad,Depressed", 3, 4, 3),
    ],
    "MSP-PODCAST_0002_0010.wav": [
        ("WORKER00000001", "Angry", "Angry,Frustrated", 5, 2, 5),
        ("WORKER00000004", "Other-puzzled", "Other-puzzled, unsure,Frustrated", 6, 2, 5),
    ],
}
Rating = tuple[str, str, str, int, int, int]


def write_consensus(path: Path, rows: Sequence[Sequence[str]] = ROWS) -> None:
    """The label file: a table, or its twin where the name ends in .json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps({row[0]: dict(zip(COLUMNS[1:], row[1:], strict=True)) for row in rows}))
    else:
        path.write_text("\n".join(",".join(row) for row in (COLUMNS, *rows)) + "\n")


def write_detailed(folder: Path, form: str, ratings: Mapping[str, Sequence[Rating]] = RATINGS) -> None:
    """The single ratings as ``columns``, ``quoted strings``, ``bare strings`` or ``json``."""
    folder.mkdir(parents=True, exist_ok=True)
    if form == "json":
        names = ("EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
        twin = {
            file: {worker: dict(zip(names, values, strict=True)) for worker, *values in rated}
            for file, rated in ratings.items()
        }
        (folder / "labels_detailed.json").write_text(json.dumps(twin))
        return
    rows = [(file, *rating) for file, rated in ratings.items() for rating in rated]
    with (folder / "labels_detailed.csv").open("w", newline="") as stream:
        if form == "columns":
            names = ("FileName", "Workers", "EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom")
            csv.writer(stream).writerows([names, *rows])
            return
        strings = [(f, f"{w}; {p}; {s}; A:{a:.6f}; V:{v:.6f}; D:{d:.6f};") for f, w, p, s, a, v, d in rows]
        if form == "quoted strings":
            csv.writer(stream).writerows([("FileName", "EmoDetail"), *strings])
        else:
            stream.write("FileName,EmoDetail\n" + "".join(f"{file}, {string}\n" for file, string in strings))


def write_tree(
    root: Path,
    *,
    rows: Sequence[Sequence[str]] = ROWS,
    label_file: str = "Labels/labels_consensus.csv",
    detailed: str | None = "columns",
    suffix: str = ".wav",
) -> list[str]:
    """Recordings, transcripts and labels; returns the recordings, relative to the root."""
    write_consensus(root / label_file, rows)
    if detailed:
        write_detailed((root / label_file).parent, detailed)
    files = []
    for name, *_ in rows:
        recording = write_recording((root / "Audios" / name).with_suffix(suffix))
        files.append(recording.relative_to(root).as_posix())
        transcript = root / "Transcripts" / f"{recording.stem}.txt"
        transcript.parent.mkdir(exist_ok=True)
        transcript.write_text(f"words of {recording.stem}\n")
    return files
