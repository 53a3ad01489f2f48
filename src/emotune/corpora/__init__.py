"""Corpora: one file each, one line here. A reader yields utterances with labels, and what it skips with the reason."""

from emotune.corpora import (
    audformat,
    audiofolder,
    crema_d,
    emobox,
    emodb,
    esd,
    iemocap,
    kaldi,
    meld,
    msp_podcast,
    ravdess,
    savee,
    table,
    tess,
)
from emotune.corpora.base import Corpus
from emotune.corpora.class_mapping import map_classes
from emotune.corpora.read import read_corpus
from emotune.registry import Registry

CORPORA: Registry[Corpus] = Registry(
    "corpus",
    {
        "audformat": audformat.CORPUS,
        "audiofolder": audiofolder.CORPUS,
        "crema_d": crema_d.CORPUS,
        "emobox": emobox.CORPUS,
        "emodb": emodb.CORPUS,
        "esd": esd.CORPUS,
        "iemocap": iemocap.CORPUS,
        "kaldi": kaldi.CORPUS,
        "meld": meld.CORPUS,
        "msp_podcast": msp_podcast.CORPUS,
        "ravdess": ravdess.CORPUS,
        "savee": savee.CORPUS,
        "table": table.CORPUS,
        "tess": tess.CORPUS,
    },
)

__all__ = ["CORPORA", "Corpus", "map_classes", "read_corpus"]
