"""A Kaldi data folder: ``wav.scp``, ``utt2spk``, ``spk2gender``, ``segments``, ``text``, and emotions in ``utt2emo``.

Each line is a key, a space and a value. A folder of such folders (``train``, ``dev``, ``test``) is read as splits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emotune.corpora.base import Corpus, split_name
from emotune.corpora.tables.missing import Missing, known
from emotune.corpora.tables.paths import inside
from emotune.corpora.tables.text_files import read_text
from emotune.errors import CorpusError, TableError
from emotune.io.cells import number_or_none
from emotune.schema.gender import gender_name
from emotune.schema.labels import class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

_EMOTIONS = ("utt2emo", "utt2emotion", "emotion")
"""Names of the file of labels; Kaldi itself has none."""

_ARCHIVE = re.compile(r"\.ark:\d+$")


def read(root: Path, *, audio_root: Path | None = None) -> Iterator[Utterance | Skipped | Missing]:
    """The utterances of one data folder, or of each data folder in ``root``.

    Args:
        root: the folder with ``wav.scp``, or the one above it.
        audio_root: the folder that relative paths start from, and below which all recordings lie; ``root`` when None.

    Raises:
        CorpusError: when a file is missing or contradicts itself.
    """
    folders = [root] if (root / "wav.scp").is_file() else sorted(path.parent for path in root.glob("*/wav.scp"))
    if not folders:
        raise CorpusError(
            f"{root} holds no wav.scp, nor does a folder in it. Give Kaldi's data folder, such as data/train."
        )
    for folder in folders:
        split = split_name(folder.name) if folder != root else None
        yield from _of_folder(folder, split, audio_root or root)


@dataclass(frozen=True)
class _Lines:
    """One file of keys and values, its lines that are none, and keys that two lines give different values."""

    path: Path
    values: dict[str, str]
    bad: list[Skipped]
    at_odds: list[str]


def _lines(path: Path) -> _Lines:
    lines = _Lines(path, {}, [], [])
    if not path.exists():
        return lines
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        where = f"{path.parent.name}/{path.name}, line {number}"
        key, *rest = line.split(maxsplit=1)[:2] or [""]
        if key and not rest:
            lines.bad.append(Skipped(where, f"'{key}' has no value; expected a key, a space and a value"))
        elif key in lines.values:
            if lines.values[key] != rest[0].strip():
                lines.at_odds.append(f"'{key}': '{lines.values[key]}' and '{rest[0].strip()}'")
            lines.bad.append(Skipped(where, f"'{key}' is there already; its first line is taken"))
        elif key:
            lines.values[key] = rest[0].strip()
    return lines


def _of_folder(folder: Path, split: str | None, root: Path) -> Iterator[Utterance | Skipped | Missing]:
    labels = next((folder / name for name in _EMOTIONS if (folder / name).is_file()), None)
    if labels is None:
        raise CorpusError(
            f"{folder} holds no file of emotions; expected {_EMOTIONS[0]} (also {' or '.join(_EMOTIONS[1:])})"
            " with an utterance and its emotion in each line."
        )
    names = ("wav.scp", "segments", "utt2spk", "spk2gender", "text")
    files = {name: _lines(folder / name) for name in names} | {"emotions": _lines(labels)}
    at_odds = files["emotions"].at_odds
    if at_odds:
        raise CorpusError(
            f"{labels}: {len(at_odds)} keys have two emotions, such as {at_odds[0]}. Keep one line an utterance;"
            " ratings of several people go into a table, for `emotune corpus read table --ratings`."
        )
    for lines in files.values():
        yield from lines.bad
    recordings, segments = files["wav.scp"].values, files["segments"].values
    whole = {key: f"{key} 0 -1" for key in recordings}
    missing: list[Missing] = []
    for key, place in (segments if files["segments"].path.exists() else whole).items():
        try:
            yield _utterance(key, place, {name: lines.values for name, lines in files.items()}, split, root, missing)
        except TableError as error:
            yield Skipped(key, str(error))
    yield from missing
    for key in files["emotions"].values.keys() - (segments or recordings).keys():
        yield Skipped(key, f"in {labels.name}, but in no line of {'segments' if segments else 'wav.scp'}")


def _utterance(
    key: str, place: str, values: dict[str, dict[str, str]], split: str | None, root: Path, missing: list[Missing]
) -> Utterance:
    recording, *times = place.split()
    if len(times) < 2:
        raise TableError(f"segments: '{place}', expected recording, start and end.")
    start_s = number_or_none(times[0], f"segments, {key}") or None
    end_s = number_or_none(times[1], f"segments, {key}")
    if recording not in values["wav.scp"]:
        raise TableError(f"segments: recording '{recording}' is in no line of wav.scp.")
    path = values["wav.scp"][recording]
    if path.endswith("|"):
        raise TableError("wav.scp holds a command, and emotune runs none: write its output to a file and name that.")
    if _ARCHIVE.search(path):
        raise TableError("wav.scp names a place in a Kaldi archive: write the recordings to files and name those.")
    if key not in values["emotions"]:
        raise TableError("no emotion: the utterance is in no line of the file of emotions.")
    word = known(values["emotions"][key], "emotion", missing)
    person = values["utt2spk"].get(key)
    return Utterance(
        utterance_id=key,
        file=inside(Path(path), root, "wav.scp"),
        start_s=start_s,
        end_s=None if end_s is not None and end_s < 0 else end_s,  # Kaldi writes -1 for the recording's end
        speaker=known(person, "speaker", missing),
        gender=gender_name(known(values["spk2gender"].get(person or ""), "gender", missing)),
        text=known(values["text"].get(key), "text", missing),
        split=split,
        emotion=None if word is None else class_noun(word),
        emotion_original=word,
    )


CORPUS = Corpus(
    name="kaldi",
    read=read,
    licence="unknown: state the licence of your recordings with --licence",
    reference="your own data folder",
    language="und",
    takes=("audio_root", "ratings"),
)
