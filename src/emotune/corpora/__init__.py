"""Corpora: one file each, one line here. A reader yields utterances with labels, and what it skips with the reason."""

from emotune.corpora.base import Corpus
from emotune.corpora.class_mapping import map_classes
from emotune.corpora.read import read_corpus
from emotune.registry import Registry

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
