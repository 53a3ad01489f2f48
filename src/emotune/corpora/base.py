"""What a corpus reader is, and what readers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotune import audio
from emotune.errors import CorpusError
from emotune.labels import Scale
from emotune.manifest import Skipped, Utterance

Reader = Callable[..., Iterator[Utterance | Skipped]]


@dataclass(frozen=True)
class Corpus:
    """A corpus that emotune can read.

    Args:
        name: registry name.
        read: folder -> its utterances (labels only: durations and fingerprints are added afterwards) and what it skips.
        licence: of the recordings, for the model card.
        reference: the paper or page to cite.
        language: of the speech, as a BCP 47 tag.
        dimensions: annotated dimensions with their scale.
        expected: known totals, checked after reading: ``utterances``, ``speakers``.
    """

    name: str
    read: Reader
    licence: str
    reference: str
    language: str
    dimensions: Mapping[str, Scale] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)


def audio_files(root: Path) -> list[Path]:
    """Every recording below a folder, sorted by path; hidden files and macOS ``._`` twins are left out.

    Raises:
        CorpusError: when the folder does not exist or holds no recording.
    """
    if not root.is_dir():
        raise CorpusError(f"{root} is not a folder. Give the folder that holds the corpus's recordings.")
    files = [
        path
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in audio.MEDIA_SUFFIXES and not path.name.startswith(".") and not path.is_dir()
    ]
    if not files:
        raise CorpusError(f"{root} holds no recording ({', '.join(audio.SUFFIXES)}).")
    return files
