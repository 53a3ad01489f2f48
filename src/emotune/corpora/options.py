"""Options of reading a corpus, and the arguments that its own reader gets of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotune.audio.channels import EACH, Channels
from emotune.corpora.base import Corpus
from emotune.errors import CorpusError
from emotune.registry import unknown_name_message
from emotune.schema.labels import LabelSpace, Scale


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """Options of ``read_corpus``; most corpora need none.

    Args:
        audio_root, columns, dimensions, unlabelled, extract_to: for corpora that take them, see
            ``emotune.corpora.readers.table.read``.
        trust_pickle: for ``audformat``: let the library load pickled tables, which can run code.
        labels: which of ``corpus.label_sources`` to take; None = the first.
        ratings: each row is one person's rating; the rows of a recording become one utterance with votes.
        separator: the sign between several labels in one cell, which become votes.
        labels_only: look at no recording: durations and fingerprints stay unknown, and nothing can be trained on it.
        channel: which channel of each recording, unless its row says so; ``each`` = an utterance for every channel.
        mapping, drop: see ``map_classes``.
        merge_speakers: take names of speakers and sessions that differ only in spelling for one.
        licence: what the model card says of the recordings, where the corpus does not know it.

    Raises:
        CorpusError: for ``channel="each"`` where no recording is looked at, and for scales that are none.
    """

    audio_root: Path | None = None
    columns: Mapping[str, str] | None = None
    dimensions: Mapping[str, Scale] | None = None
    unlabelled: bool = False
    extract_to: Path | None = None
    trust_pickle: bool = False
    labels: str | None = None
    ratings: bool = False
    separator: str | None = None
    labels_only: bool = False
    channel: Channels = "mix"
    mapping: Mapping[str, str] = field(default_factory=dict)
    drop: Sequence[str] = ()
    merge_speakers: bool = False
    licence: str | None = None

    def __post_init__(self) -> None:
        if self.labels_only and self.channel == EACH:
            raise CorpusError(
                "How many channels there are is not known where no recording is looked at: name one channel."
            )
        LabelSpace((), self.dimensions or {})

    @property
    def of_columns(self) -> dict[str, Any]:
        """Arguments of ``Corpus.information``."""
        return {"columns": self.columns, "dimensions": self.dimensions, "unlabelled": self.unlabelled}

    @property
    def of_ratings(self) -> dict[str, Any]:
        """Options that make votes of several people's labels, as far as they are given."""
        return {name: value for name, value in {"ratings": self.ratings, "separator": self.separator}.items() if value}

    def arguments(self, corpus: Corpus) -> dict[str, Any]:
        """Arguments for the corpus's own reader.

        Raises:
            CorpusError: for options that the corpus does not take, and for a source of labels that it does not have.
        """
        given = {
            **self.of_columns,
            "extract_to": self.extract_to,
            "trust_pickle": self.trust_pickle,
            "audio_root": self.audio_root,
        }
        own = {name: value for name, value in given.items() if value}
        refused = [name for name in (*own, *(self.of_ratings and ("ratings",))) if name not in corpus.takes]
        if refused:
            reason = "" if refused == ["trust_pickle"] else ": those describe a table of your own"
            raise CorpusError(f"Corpus '{corpus.name}' takes no {', '.join(refused)}{reason}.")
        sources = corpus.label_sources
        if self.labels is not None and self.labels not in sources:
            raise CorpusError(unknown_name_message(f"source of labels for '{corpus.name}'", self.labels, sources))
        return {**own, "labels": self.labels or sources[0]} if sources else own
