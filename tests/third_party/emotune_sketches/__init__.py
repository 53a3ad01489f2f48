"""A corpus that comes with another package: a folder of ``<speaker>_<emotion>_<number>.wav``."""

from collections.abc import Iterator
from pathlib import Path

from emotune.corpora import Corpus
from emotune.corpora.base import audio_files
from emotune.schema.labels import class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance


def read(root: Path) -> Iterator[Utterance | Skipped]:
    for path in audio_files(root):
        file = path.relative_to(root).as_posix()
        speaker, *rest = path.stem.split("_")
        if len(rest) != 2:
            yield Skipped(file, "name does not follow speaker, emotion, number (anna_angry_1)")
            continue
        yield Utterance(path.stem, file, speaker=speaker, emotion=class_noun(rest[0]), emotion_original=rest[0])


CORPUS = Corpus(name="sketches", read=read, licence="CC0-1.0", reference="none", language="en")
