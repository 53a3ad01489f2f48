"""TESS, the Toronto Emotional Speech Set: two actresses, 7 emotions, 200 words each, 2800 utterances.

Recordings are ``{OAF,YAF}_<emotion>/OAF_back_angry.wav``. The folder counts, since one file is misnamed
(``OA_bite_neutral``); a recording outside such a folder is read by its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emotune.corpora.base import Corpus, audio_files
from emotune.schema.labels import class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

_FOLDER = re.compile(r"^(OAF|YAF)_(.+)$", re.IGNORECASE)
_NAME = re.compile(r"^(OAF?|YAF?)_([a-z]+)_([a-z_]+)$", re.IGNORECASE)
_SURPRISE = ("ps", "pleasant_surprise", "pleasant_surprised", "surprise", "surprised")
_EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", *_SURPRISE)
_SPEAKERS = {"OAF": 64, "YAF": 26}
"""The older and the younger one -> age."""


def read(root: Path) -> Iterator[Utterance | Skipped]:
    """Recordings below ``root``; what a nested second tree repeats is skipped."""
    read_already = set[str]()
    for path in sorted(audio_files(root), key=lambda path: (len(path.parts), path)):
        file = path.relative_to(root).as_posix()
        name = _NAME.match(path.stem)
        if name is None:
            yield Skipped(file, "name does not follow TESS's speaker, word, emotion (OAF_back_angry)")
            continue
        folder = _FOLDER.match(path.parent.name)
        speaker, word = (folder[1], folder[2]) if folder is not None else (f"{name[1][:2]}F", name[3])
        plain = word.lower().replace(" ", "_")
        if plain not in _EMOTIONS:
            yield Skipped(file, f"'{word}' is not one of TESS's emotions: {', '.join(_EMOTIONS)}")
        elif path.stem.lower() in read_already:
            yield Skipped(file, "a second copy of a recording that is read already")
        else:
            read_already.add(path.stem.lower())
            yield Utterance(
                utterance_id=path.stem,
                file=file,
                speaker=speaker.upper(),
                gender="female",
                age=_SPEAKERS[speaker.upper()],
                text=f"Say the word {name[2].lower()}",
                emotion="surprise" if plain in _SURPRISE else class_noun(plain),
                emotion_original=word,
            )


CORPUS = Corpus(
    name="tess",
    read=read,
    licence="CC BY-NC-ND 4.0 (as stated by secondary sources)",
    reference="Pichora-Fuller & Dupuis (2020), Toronto emotional speech set (TESS), doi:10.5683/SP2/E8H2MF",
    language="en",
    expected={"utterances": 2800, "speakers": 2},
    cautions=("tess: two speakers only; a score on one of them says little of other voices",),
)
