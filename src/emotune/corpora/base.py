"""Contract of a corpus reader, and functions that readers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotune import audio
from emotune.corpora.tables.missing import Missing
from emotune.errors import CorpusError
from emotune.io.folders import files_below
from emotune.io.tables import Row, iter_rows
from emotune.schema.labels import Scale
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

Reader = Callable[..., Iterator[Utterance | Skipped | Missing]]

SPLIT_NAMES = {"dev": "development", "validation": "development", "valid": "development", "val": "development"}
SPLIT_NAMES |= {"devel": "development", "training": "train", "testing": "test", "eval": "test", "evaluation": "test"}
"""What corpora call their splits, in lower case -> what emotune calls them."""


def split_name(word: str | None) -> str | None:
    """Our name of a split, in lower case.

    >>> split_name("Development"), split_name("Test1"), split_name("dev")
    ('development', 'test1', 'development')
    """
    return None if word is None else SPLIT_NAMES.get(word.lower(), word.lower())


def is_split_name(word: str) -> bool:
    """Tells whether a folder or a part of a file's name is a split's name.

    >>> is_split_name("Evaluation"), is_split_name("train"), is_split_name("anger")
    (True, True, False)
    """
    return split_name(word) in ("train", "development", "test")


@dataclass(frozen=True)
class Corpus:
    """A corpus that emotune can read.

    Args:
        name: registry name.
        read: folder -> its utterances (labels only: durations and fingerprints are added afterwards), what it skips,
            and cells that say that a value is missing.
        licence: of the recordings, for the model card.
        reference: the paper or page to cite.
        language: of the speech, as a BCP 47 tag.
        dimensions: annotated dimensions with their scale.
        expected: known totals, checked after reading: ``utterances``, ``speakers``.
        label_sources: where labels may come from, the default first: each name is a value of ``read``'s argument
            ``labels``. Empty for a corpus with one source, whose ``read`` has no such argument.
        single_file: ``read`` takes a table or header file, not a folder; recordings lie beside it.
        takes: which of ``audio_root`` (the folder that paths in the labels start from), ``columns``, ``dimensions``,
            ``unlabelled``, ``extract_to`` and ``trust_pickle`` ``read`` has as arguments; ``ratings`` where its rows
            and cells may be several people's words, of which ``emotune.corpora.tables.ratings`` makes votes.
        scales: folder, with ``read``'s arguments -> the dimensions annotated in this copy, where each database has its
            own; None = ``dimensions``.
        information: (root, those of ``columns``, ``dimensions`` and ``unlabelled``) -> what the manifest tells of the
            columns taken, with ``warnings``.
        cautions: what everyone who uses the corpus should know, shown as warnings.
    """

    name: str
    read: Reader
    licence: str
    reference: str
    language: str
    dimensions: Mapping[str, Scale] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)
    label_sources: tuple[str, ...] = ()
    single_file: bool = False
    takes: tuple[str, ...] = ()
    scales: Callable[..., Mapping[str, Scale]] | None = None
    information: Callable[..., Mapping[str, Any]] | None = None
    cautions: tuple[str, ...] = ()


def check_folder(root: Path) -> None:
    """Raises a CorpusError when there is no such folder."""
    if not root.is_dir():
        raise CorpusError(f"{root} is not a folder. Give the folder that holds the corpus's recordings.")


def audio_files(root: Path) -> list[Path]:
    """Recordings below a folder, sorted by path; hidden files and macOS ``._`` twins are left out.

    Raises:
        CorpusError: when the folder does not exist or holds no recording.
    """
    check_folder(root)
    files = recordings_in(root)
    if not files:
        raise CorpusError(f"{root} holds no recording ({', '.join(audio.SUFFIXES)}).")
    return files


def recordings_in(folder: Path) -> list[Path]:
    """Recordings below a folder, none if there are none or no such folder."""
    return [path for path in _files_in(folder) if path.suffix.lower() in audio.SUFFIXES]


def others_in(folder: Path) -> list[Path]:
    """Files below a folder that are no recordings by name, hidden ones excluded."""
    return [path for path in _files_in(folder) if path.suffix.lower() not in audio.SUFFIXES]


def _files_in(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if not path.name.startswith(".") and not path.is_dir()]


def recordings_by_stem(folder: Path, root: Path) -> tuple[dict[str, str], list[Skipped]]:
    """Name without suffix -> path relative to ``root``, for corpora whose label files name the recordings.

    The suffix does not count, so a corpus stored as FLAC is found as well. Of several recordings of one name the first
    by path is taken, and the others are skipped. A folder that does not exist holds none.
    """
    found: dict[str, str] = {}
    skipped = []
    for path in recordings_in(folder):
        file = path.relative_to(root).as_posix()
        if found.setdefault(path.stem, file) != file:
            skipped.append(Skipped(file, f"recording '{path.stem}' is already {found[path.stem]}"))
    return found, skipped


def rows_with(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The rows of a label file, each with the words that say where it stands.

    Raises:
        CorpusError: when a column is missing.
        TableError: when the file is no table, or is broken.
    """
    for number, row in enumerate(iter_rows(path), start=1):
        missing = [name for name in columns if name not in row]
        if missing:
            raise CorpusError(
                f"{path} has no column {', '.join(missing)}; expected {', '.join(columns)}, got {', '.join(row)}."
            )
        yield f"{path}, row {number}", row
