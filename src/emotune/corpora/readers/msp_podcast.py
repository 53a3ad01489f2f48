"""MSP-Podcast: emotional speech from podcasts, rated by at least five workers a turn; split by its makers.

In the root lie ``Audios/MSP-PODCAST_####_####.wav``, ``Transcripts/<stem>.txt`` and a folder ``label``, ``labels`` or
``Labels`` with ``labels_consensus.csv`` (up to 1.9 spelt ``labels_concensus.csv``) or its JSON twin, and
``labels_detailed.csv`` or ``.json``, see ``msp_podcast_ratings``. Attributes go from 1 to 7; ``O`` is other, ``X`` (no
agreement) has no emotion but keeps its attributes and votes.

Sources of labels: ``consensus`` (the corpus's own class), ``primary`` (the plurality of the workers' main emotions) and
``primary_secondary`` (of all emotions that they named; each of a worker's words counts once). A tie has no emotion.
With the first two, columns ``secondary.<class>`` count the workers who named a class beside their main one.

Test3 has no labels: its rows stay as utterances, for submissions. A recording that no row names is one of Test3 when
its name says so (``MSP-PODCAST_test3_0001``), or when Test3 appears nowhere else; other recordings without a row are
skipped.

Known totals: 1.11 has 84,030 turns in Train, 19,815 in Development, 30,647 in Test1, 14,815 in Test2, 2,347 in Test3;
2.0 has in Train 22,609 A, 2,765 C, 1,324 D, 794 F, 37,048 H, 51,149 N, 18,256 S, 3,220 U, 1,746 O and 30,279 X.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from emotune.corpora.base import Corpus, check_folder, recordings_by_stem, rows_with, split_name
from emotune.corpora.readers.msp_podcast_ratings import check_there, ratings
from emotune.corpora.tables.missing import Missing, known
from emotune.errors import CorpusError, TableError, quoted
from emotune.io.cells import number_or_none, text_or_none
from emotune.io.tables import Row, read_json
from emotune.schema.gender import gender_name
from emotune.schema.labels import Scale
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import leaders
from emotune.votes.secondary import SECONDARY

_LABEL_FOLDERS = ("Labels", "labels", "label")
_LABEL_FILES = tuple(f"labels_{word}.{suffix}" for suffix in ("csv", "json") for word in ("consensus", "concensus"))
_EMOTIONS = {
    "A": "anger",
    "S": "sadness",
    "H": "happiness",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
    "N": "neutral",
    "O": "other",
    "X": None,
}
_DIMENSIONS = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
_TEXTS = {"emotion": "EmoClass", "speaker": "SpkrID", "gender": "Gender", "split": "Split_Set"}
_FIELDS = {**_TEXTS, **_DIMENSIONS}
_COLUMNS = ("EmoClass", *_DIMENSIONS.values(), "SpkrID", "Gender", "Split_Set")


def read(root: Path, *, labels: str = "consensus") -> Iterator[Utterance | Skipped | Missing]:
    """The rows of the label file, and the recordings of Test3 that it does not name.

    Args:
        root: the folder that holds ``Audios`` and ``Labels``.
        labels: ``consensus``, ``primary`` or ``primary_secondary``.

    Raises:
        CorpusError: when a label file or one of its columns is missing.
    """
    check_folder(root)
    path = _label_file(root)
    if labels != "consensus":
        check_there(path.parent, labels)
    files, skipped = recordings_by_stem(root / "Audios", root)
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    secondary: dict[str, Counter[str]] = defaultdict(Counter)
    own_words: dict[str, str] = {}
    for rating in ratings(path.parent):
        if isinstance(rating, Skipped):
            skipped.append(rating)
            continue
        for noun, word in (rating.all if labels == "primary_secondary" else rating.primary).items():
            votes[rating.stem][noun] += 1
            own_words.setdefault(noun, word)
        if labels != "primary_secondary":
            secondary[rating.stem].update(f"{SECONDARY}{noun}" for noun in rating.secondary)
    nobody = dict.fromkeys(sorted({name for counts in secondary.values() for name in counts}))
    yield from skipped
    transcripts = {file.stem: file for file in (root / "Transcripts").glob("*.txt")}
    missing: list[Missing] = []
    named, test3_is_known = set(), any("_test3_" in stem for stem in files)
    for where, row in _rows(path):
        name = str(row["FileName"] or "")
        stem = PurePosixPath(name).stem
        named.add(stem)
        item = _utterance(row, where, files.get(stem, f"Audios/{name}"), missing)
        if isinstance(item, Utterance):
            item = dataclasses.replace(
                item,
                votes=dict(votes[stem]),
                text=_text(transcripts.get(stem)),
                extra={**item.extra, **nobody, **{name: str(count) for name, count in secondary[stem].items()}},
            )
            test3_is_known = test3_is_known or item.split == "test3"
            yield item if labels == "consensus" else _by_plurality(item, own_words)
        else:
            yield item
    yield from missing
    for stem, file in files.items():
        if stem in named:
            continue
        if "_test3_" in stem or not test3_is_known:
            yield Utterance(stem, file, split="test3", text=_text(transcripts.get(stem)))
        else:
            yield Skipped(file, f"no row of {path.name} names it")


def _label_file(root: Path) -> Path:
    paths = [root / folder / file for folder in _LABEL_FOLDERS for file in _LABEL_FILES]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        raise CorpusError(
            f"{root} has no label file, expected {', '.join(_LABEL_FILES)} in a folder {', '.join(_LABEL_FOLDERS)}."
            " Give the folder that holds Audios and Labels."
        )
    return found


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    if path.suffix == ".csv":
        yield from rows_with(path, ("FileName", *_COLUMNS))
        return
    for file, values in read_json(path, "The label file").items():
        where = f"{path}, '{file}'"
        if not isinstance(values, dict):
            raise CorpusError(f"{where}: expected an object with {', '.join(_COLUMNS)}, got {quoted(values)}.")
        yield where, {**dict.fromkeys(_COLUMNS), **values, "FileName": file}


def _utterance(row: Row, where: str, file: str, missing: list[Missing]) -> Utterance | Skipped:
    """A row with its consensus label."""
    if not row["FileName"]:
        return Skipped(where, f"{where}: FileName is empty, expected the name of a recording")
    cells = {field: (known(row[key], field, missing), f"{where}, {key}") for field, key in _FIELDS.items()}
    try:
        code, speaker, gender, split = (text_or_none(*cells[field]) for field in _TEXTS)
        values = {name: number_or_none(*cells[name]) for name in _DIMENSIONS}
    except TableError as error:
        return Skipped(file, str(error))
    if code is not None and code not in _EMOTIONS:
        return Skipped(file, f"{where}: EmoClass is '{code}', expected one of {', '.join(_EMOTIONS)}")
    return Utterance(
        utterance_id=PurePosixPath(str(row["FileName"])).stem,
        file=file,
        speaker=speaker,
        gender=gender_name(gender),
        split=split_name(split),
        emotion=None if code is None else _EMOTIONS[code],
        emotion_original=code,
        dimensions={name: value for name, value in values.items() if value is not None},
    )


def _by_plurality(utterance: Utterance, own_words: Mapping[str, str]) -> Utterance:
    """Labelled by its own votes; of a tie the words are kept, joined by ``:``."""
    winners = leaders(utterance.votes)
    return dataclasses.replace(
        utterance,
        emotion=winners[0] if len(winners) == 1 else None,
        emotion_original=":".join(own_words[noun] for noun in winners) or None,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else path.read_text(encoding="utf-8", errors="replace").strip() or None


CORPUS = Corpus(
    name="msp_podcast",
    read=read,
    licence="MSP-Podcast agreement with the University of Texas at Dallas: no redistribution",
    reference="Lotfian & Busso (2019), Building naturalistic emotionally balanced speech corpus, IEEE TAC 10(4)",
    language="en",
    dimensions=dict.fromkeys(_DIMENSIONS, Scale(1, 7)),
    label_sources=("consensus", "primary", "primary_secondary"),
)
