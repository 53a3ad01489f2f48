"""Corpora: a reader each in `readers`, one line here. It yields utterances with labels, and what it skips and why."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.corpora.base import Corpus
    from emotune.corpora.class_mapping import map_classes
    from emotune.corpora.options import ReadingOptions
    from emotune.corpora.read import read_corpus

CORPORA: Registry[Corpus] = Registry(
    "corpus",
    {
        "audformat": "emotune.corpora.readers.audformat:CORPUS",
        "audiofolder": "emotune.corpora.readers.audiofolder:CORPUS",
        "crema_d": "emotune.corpora.readers.crema_d:CORPUS",
        "emobox": "emotune.corpora.readers.emobox:CORPUS",
        "emodb": "emotune.corpora.readers.emodb:CORPUS",
        "esd": "emotune.corpora.readers.esd:CORPUS",
        "iemocap": "emotune.corpora.readers.iemocap:CORPUS",
        "kaldi": "emotune.corpora.readers.kaldi:CORPUS",
        "meld": "emotune.corpora.readers.meld:CORPUS",
        "msp_podcast": "emotune.corpora.readers.msp_podcast:CORPUS",
        "ravdess": "emotune.corpora.readers.ravdess:CORPUS",
        "savee": "emotune.corpora.readers.savee:CORPUS",
        "table": "emotune.corpora.readers.table:CORPUS",
        "tess": "emotune.corpora.readers.tess:CORPUS",
    },
)
"""All readers of corpora by name."""

__all__ = ["CORPORA", "Corpus", "ReadingOptions", "map_classes", "read_corpus"]

_PUBLIC = {
    "Corpus": "emotune.corpora.base",
    "ReadingOptions": "emotune.corpora.options",
    "map_classes": "emotune.corpora.class_mapping",
    "read_corpus": "emotune.corpora.read",
}


def __getattr__(name: str) -> Any:
    """Imports what reads corpora when it is first used, so that their names are known at once."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'emotune.corpora' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
