"""EmoBox's JSONL: a line an utterance with ``key``, ``dataset``, ``wav``, ``length``, ``emo`` and ``channel``.

A folder of several files is read whole; ``train``, ``valid`` or ``test`` in a file's name is the split of its rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emotune.corpora.base import Corpus, is_split_name, split_name
from emotune.corpora.tables.missing import Missing, known
from emotune.corpora.tables.paths import inside
from emotune.errors import CorpusError, TableError, on_a_screen
from emotune.io.cells import text_or_none
from emotune.io.tables import Row, own_columns, read_rows
from emotune.schema.gender import gender_name
from emotune.schema.labels import class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import COLUMNS, Utterance

_CARRIED = ("dataset", "channel")


def read(root: Path, *, audio_root: Path | None = None) -> Iterator[Utterance | Skipped | Missing]:
    """The rows of one file, or of all files of a folder: first those that are a split.

    Args:
        root: a .jsonl file, or the folder of one fold.
        audio_root: the folder that ``wav`` starts from; when None, the folder of the file, or ``root`` itself.

    Raises:
        CorpusError: when there is no .jsonl file, or it is broken.
    """
    files = [root] if root.is_file() else sorted(root.glob("*.jsonl"), key=lambda path: (_split(path) is None, path))
    if not files:
        raise CorpusError(f"{root} holds no .jsonl file. Give EmoBox's file, or the folder of one fold.")
    folder = audio_root or (root.parent if root.is_file() else root)
    missing: list[Missing] = []
    for file in files:
        rows = _rows(file)
        for number, row in enumerate(rows, start=1):
            where = f"{file.name}, row {number}"
            try:
                yield _utterance(row, _split(file), folder, where, missing)
            except TableError as error:
                yield Skipped(on_a_screen(str(row.get("wav") or where)), str(error))
    yield from missing


def _split(path: Path) -> str | None:
    words = re.split(r"[^a-z]+", path.stem.lower())
    return next((split_name(word) for word in words if is_split_name(word)), None)


def _rows(file: Path) -> list[Row]:
    try:
        rows = read_rows(file)
    except TableError as error:
        raise CorpusError(str(error)) from error
    missing = [name for name in ("key", "wav", "emo") if not any(name in row for row in rows)]
    if missing:
        raise CorpusError(
            f"{file}: no row has {' or '.join(missing)}; expected lines with key, wav and emo, as EmoBox's."
        )
    return rows


def _utterance(row: Row, split: str | None, root: Path, where: str, missing: list[Missing]) -> Utterance:
    def text(field: str, *others: str) -> str | None:
        cells = ((known(row.get(name), field, missing), f"{where}, {name}") for name in (field, *others))
        return next((value for cell in cells if (value := text_or_none(*cell))), None)

    key, wav, word = text("key"), text("wav"), text("emo")
    if key is None or wav is None or word is None:
        raise TableError(f"{where}: key, wav or emo is missing.")
    return Utterance(
        utterance_id=key,
        file=inside(Path(wav), root, where),
        speaker=text("speaker", "spk"),
        gender=gender_name(text("gender")),
        language=text("language", "lang"),
        text=text("text"),
        split=split,
        emotion=class_noun(word),
        emotion_original=word,
        extra=own_columns({name: value for name in _CARRIED if (value := text(name))}, COLUMNS),
    )


CORPUS = Corpus(
    name="emobox",
    read=read,
    licence="unknown: that of the corpus behind it; state it with --licence",
    reference="Ma et al. (2024), EmoBox: Multilingual multi-corpus speech emotion recognition toolkit and benchmark,"
    " Interspeech",
    language="und",
    takes=("audio_root", "ratings"),
)
