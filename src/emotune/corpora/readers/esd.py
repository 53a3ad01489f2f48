"""ESD, the Emotional Speech Dataset: 20 speakers, 5 emotions, 35,000 utterances, half Mandarin, half English.

Recordings are ``00NN/<Emotion>/[train|evaluation|test/]00NN_000NNN.wav``. What ``00NN/00NN.txt`` says is taken for the
text only: its emotions are partly written in Mandarin, so the folder's name counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emotune.corpora.base import Corpus, audio_files, is_split_name, split_name
from emotune.corpora.tables.text_files import read_text
from emotune.io.folders import files_below
from emotune.schema.labels import class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

_NAME = re.compile(r"^(0\d{3})_(\d{6})$")
_EMOTIONS = ("angry", "happy", "neutral", "sad", "surprise")
_MANDARIN, _ENGLISH = range(1, 11), range(11, 21)
_WOMEN = (1, 2, 3, 7, 9, 15, 16, 17, 18, 19)


def read(root: Path) -> Iterator[Utterance | Skipped]:
    """Recordings below ``root``, whatever folders lie above the speakers' own."""
    files = audio_files(root)
    texts = dict[str, str]()
    for path in filter(lambda path: path.match("0[0-9][0-9][0-9].txt"), files_below(root)):
        yield from _collect_texts(path, path.relative_to(root).as_posix(), texts)
    read_already = set[str]()
    for path in files:
        file = path.relative_to(root).as_posix()
        name = _NAME.match(path.stem)
        speaker = int(name[1]) if name is not None else 0
        folders = path.relative_to(root).parts[:-1]
        word = next((folder for folder in reversed(folders) if folder.lower() in _EMOTIONS), None)
        if name is None:
            yield Skipped(file, "name does not follow ESD's speaker, number (0011_000351)")
        elif speaker not in (*_MANDARIN, *_ENGLISH):
            yield Skipped(file, f"speaker {name[1]} is not one of ESD's twenty")
        elif word is None:
            yield Skipped(file, "lies in no folder Angry, Happy, Neutral, Sad or Surprise")
        elif path.stem in read_already:
            yield Skipped(file, "a second copy of a recording that is read already")
        else:
            read_already.add(path.stem)
            split = next((folder for folder in reversed(folders) if is_split_name(folder)), None)
            yield Utterance(
                utterance_id=path.stem,
                file=file,
                speaker=name[1],
                gender="female" if speaker in _WOMEN else "male",
                language="zh" if speaker in _MANDARIN else "en",
                text=texts.get(path.stem),
                split=None if split is None else split_name("development" if split.lower() == "evaluation" else split),
                emotion=class_noun(word),
                emotion_original=word,
            )


def _collect_texts(path: Path, file: str, texts: dict[str, str]) -> Iterator[Skipped]:
    """Fills ``texts`` from a speaker's file of id, text, emotion."""
    fallback = "gb18030" if int(path.stem) in _MANDARIN else "cp1252"
    for number, line in enumerate(read_text(path, fallback).splitlines(), start=1):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) >= 2 and _NAME.match(fields[0]) and fields[1]:
            texts[fields[0]] = fields[1]
        elif line.strip():
            yield Skipped(f"{file}, line {number}", "expected id, text and emotion between tabs; no text for it")


CORPUS = Corpus(
    name="esd",
    read=read,
    licence="for research only, by agreement",
    reference="Zhou et al. (2021), Seen and unseen emotional style transfer for voice conversion, ICASSP",
    language="und",
    expected={"utterances": 35000, "speakers": 20},
    cautions=("esd: every speaker is in every shipped split; make splits with `emotune corpus split` for new voices",),
)
