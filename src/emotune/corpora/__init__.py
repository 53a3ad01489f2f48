"""Corpora: one file each, one line here. A reader yields utterances with labels, and what it skips with the reason."""

from emotune.corpora import emodb, ravdess, table
from emotune.corpora.base import Corpus
from emotune.corpora.read import map_classes, read_corpus
from emotune.registry import Registry

CORPORA: Registry[Corpus] = Registry(
    "corpus", {"emodb": emodb.CORPUS, "ravdess": ravdess.CORPUS, "table": table.CORPUS}
)

__all__ = ["CORPORA", "Corpus", "map_classes", "read_corpus"]
