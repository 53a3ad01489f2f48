"""Corpora: one file each, one line here. A reader yields utterances with labels, and what it skips with the reason."""

from emotune.corpora import crema_d, emodb, iemocap, msp_podcast, ravdess, table
from emotune.corpora.base import Corpus
from emotune.corpora.read import map_classes, read_corpus
from emotune.registry import Registry

CORPORA: Registry[Corpus] = Registry(
    "corpus",
    {
        "crema_d": crema_d.CORPUS,
        "emodb": emodb.CORPUS,
        "iemocap": iemocap.CORPUS,
        "msp_podcast": msp_podcast.CORPUS,
        "ravdess": ravdess.CORPUS,
        "table": table.CORPUS,
    },
)

__all__ = ["CORPORA", "Corpus", "map_classes", "read_corpus"]
