"""Corpora: one file each, one line here. A reader yields utterances with labels, and what it skips with the reason."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.corpora.base import Corpus
    from emotune.corpora.class_mapping import map_classes
    from emotune.corpora.read import read_corpus

CORPORA: Registry[Corpus] = Registry(
    "corpus",
    {
        "audformat": "emotune.corpora.audformat:CORPUS",
        "audiofolder": "emotune.corpora.audiofolder:CORPUS",
        "crema_d": "emotune.corpora.crema_d:CORPUS",
        "emobox": "emotune.corpora.emobox:CORPUS",
        "emodb": "emotune.corpora.emodb:CORPUS",
        "esd": "emotune.corpora.esd:CORPUS",
        "iemocap": "emotune.corpora.iemocap:CORPUS",
        "kaldi": "emotune.corpora.kaldi:CORPUS",
        "meld": "emotune.corpora.meld:CORPUS",
        "msp_podcast": "emotune.corpora.msp_podcast:CORPUS",
        "ravdess": "emotune.corpora.ravdess:CORPUS",
        "savee": "emotune.corpora.savee:CORPUS",
        "table": "emotune.corpora.table:CORPUS",
        "tess": "emotune.corpora.tess:CORPUS",
    },
)

__all__ = ["CORPORA", "Corpus", "map_classes", "read_corpus"]

_PUBLIC = {
    "Corpus": "emotune.corpora.base",
    "map_classes": "emotune.corpora.class_mapping",
    "read_corpus": "emotune.corpora.read",
}


def __getattr__(name: str) -> Any:
    """Imports what reads corpora when it is first used, so that their names are known at once."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'emotune.corpora' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
