"""MELD, scenes of the series Friends: 13,708 labelled utterances (9,989 train, 1,109 development, 2,610 test).

Labels are three tables, ``{train,dev,test}_sent_emo.csv``; recordings are ``dia{D}_utt{U}.mp4``, or their sound as .wav
or .flac, in ``train_splits``, ``dev_splits_complete`` and ``output_repeated_splits_test``. Each split numbers from 0.
As published, train dia125_utt3 is damaged and dev dia110_utt7 missing, so 13,706 can be read. Where no recording lies
below the root, the rows of the tables are the utterances.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from emotune.corpora.base import Corpus, check_folder, recordings_in, split_name
from emotune.corpora.tables.text_files import read_text, unmangled
from emotune.errors import CorpusError
from emotune.io.folders import files_below
from emotune.schema.labels import class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

_VIDEO = ".mp4"  # as published; other recordings are sound that was taken from it
_NAME = re.compile(r"^dia(\d+)_utt(\d+)$")
_FOLDER = re.compile(r"^(train|dev|test|output_repeated_splits_test|final_videos_test)(?![a-z])")
"""How the folder of a split begins. The last one repeats clips of the test split under other names."""

_PUBLISHED = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
_EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
_GENDERS = {"Chandler": "male", "Joey": "male", "Ross": "male"}
_GENDERS |= {"Monica": "female", "Phoebe": "female", "Rachel": "female"}
_NEEDED = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
_CARRIED = {"Sentiment": "sentiment", "StartTime": "episode_start", "EndTime": "episode_end"}

Key = tuple[str, int, int]
"""Split, dialogue, utterance."""


def read(root: Path) -> Iterator[Utterance | Skipped]:
    """The rows of the tables below ``root`` that have a recording; recordings without a row are skipped."""
    check_folder(root)
    found = recordings_in(root)
    recordings = dict[Key, str]()
    for path in sorted(found, key=lambda path: path.suffix.lower() == _VIDEO):
        file = path.relative_to(root).as_posix()
        key = _key(path.relative_to(root))
        if key is None:
            yield Skipped(
                file, "not a clip dia{D}_utt{U} in a folder train*, dev*, test* or output_repeated_splits_test"
            )
        elif key in recordings:
            yield Skipped(file, "the same utterance is there a second time, and its first recording is read")
        else:
            recordings[key] = file
    read_splits = set[str]()
    for split, table in _tables(root):
        if split in read_splits:
            yield Skipped(table.relative_to(root).as_posix(), f"a second table of the split {split}")
            continue
        read_splits.add(split)
        yield from _of_table(table, split, recordings if found else None, root)
    for (split, *_), file in recordings.items():
        reason = f"no row in {split}_sent_emo.csv" if split in read_splits else f"there is no {split}_sent_emo.csv"
        yield Skipped(file, reason)


def _key(path: Path) -> Key | None:
    name = _NAME.match(path.stem)
    folder = next((found for part in reversed(path.parts[:-1]) if (found := _FOLDER.match(part.lower()))), None)
    if name is None or folder is None or folder[1] == "final_videos_test":
        return None
    return "test" if folder[1].endswith("test") else folder[1], int(name[1]), int(name[2])


def _tables(root: Path) -> list[tuple[str, Path]]:
    below = list(files_below(root))
    found = [
        (split, table)
        for split in ("train", "dev", "test")
        for table in sorted(below, key=lambda path: (len(path.parts), path))
        if table.name == f"{split}_sent_emo.csv"
    ]
    if not found:
        raise CorpusError(
            f"{root} holds none of train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv. Put MELD's tables"
            " anywhere below it."
        )
    return found


def _of_table(table: Path, split: str, recordings: dict[Key, str] | None, root: Path) -> Iterator[Utterance | Skipped]:
    """Rows as utterances; what is read is taken out of ``recordings``, and without these its published name stands."""
    try:
        header, *rows = csv.reader(io.StringIO(read_text(table, "cp1252"), newline=""))
    except (csv.Error, ValueError) as error:
        raise CorpusError(f"{table} is no table with commas: {error}. Download it again.") from error
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise CorpusError(
            f"{table} has no column {', '.join(missing)}; expected MELD's {', '.join(_NEEDED)}, got"
            f" {', '.join(header) or 'nothing'}. Download it again."
        )
    for number, fields in enumerate(rows, start=1):
        where = f"{table.relative_to(root).as_posix()}, row {number}"
        if len(fields) != len(header):
            yield Skipped(where, f"{len(fields)} fields, but the header has {len(header)}")
            continue
        row = dict(zip(header, fields, strict=True))
        dialogue, position = row["Dialogue_ID"].strip(), row["Utterance_ID"].strip()
        if not (dialogue.isdecimal() and position.isdecimal()):
            yield Skipped(where, f"Dialogue_ID '{dialogue}' and Utterance_ID '{position}' should be whole numbers")
            continue
        word = row["Emotion"].strip()
        clip = f"dia{int(dialogue)}_utt{int(position)}"
        if recordings is None:
            file = f"{split}/{_PUBLISHED[split]}/{clip}.mp4"
        else:
            file = recordings.pop((split, int(dialogue), int(position)), None)
        if file is None:
            yield Skipped(f"{split} {clip}", "in the table, but there is no recording of it")
        elif word.lower() not in _EMOTIONS:
            yield Skipped(file, f"{where}: Emotion '{word}', expected one of {', '.join(_EMOTIONS)}")
        else:
            yield _utterance(row, f"{split}_{clip}", file, split, word)


def _utterance(row: dict[str, str], name: str, file: str, split: str, word: str) -> Utterance:
    season, episode = row.get("Season", "").strip(), row.get("Episode", "").strip()
    speaker = unmangled(row["Speaker"]).strip() or None
    extra = {"dialogue": name.rpartition("_")[0]}
    extra |= {ours: row[theirs].strip() for theirs, ours in _CARRIED.items() if row.get(theirs, "").strip()}
    return Utterance(
        utterance_id=name,
        file=file,
        speaker=speaker,
        session=f"season {season}, episode {episode}" if season and episode else None,
        gender=_GENDERS.get(speaker or ""),
        text=unmangled(row["Utterance"]).strip() or None,
        split=split_name(split),
        emotion=class_noun(word),
        emotion_original=word,
        extra=extra,
    )


CORPUS = Corpus(
    name="meld",
    read=read,
    licence="GPL-3.0 for the labels (as stated by secondary sources); the recordings are scenes of a television series",
    reference="Poria et al. (2019), MELD: A multimodal multi-party dataset for emotion recognition, ACL",
    language="en",
    expected={"utterances": 13706},
    cautions=("meld: the same characters speak in every split, so its splits are speaker-dependent",),
)
