"""SAVEE, Surrey Audio-Visual Expressed Emotion: four men, 7 emotions, 480 utterances.

Recordings are ``AudioData/DC/a01.wav``, or ``ALL/DC_a01.wav`` where all lie in one folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emotune.corpora.base import Corpus, audio_files
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

_NAME = re.compile(r"^(?:(DC|JE|JK|KL)_)?(sa|su|a|d|f|h|n)(\d\d)$", re.IGNORECASE)
_SPEAKERS = ("DC", "JE", "JK", "KL")
_EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}


def read(root: Path) -> Iterator[Utterance | Skipped]:
    """Recordings below ``root`` in either layout; one that is there in both is read once."""
    read_already = set[str]()
    for path in audio_files(root):
        file = path.relative_to(root).as_posix()
        name = _NAME.match(path.stem)
        if name is None:
            yield Skipped(file, "name does not follow SAVEE's emotion, number (a01, or DC_a01)")
            continue
        speaker = (name[1] or path.parent.name).upper()
        code = name[2].lower()
        identity = f"{speaker}_{code}{name[3]}"
        if speaker not in _SPEAKERS:
            yield Skipped(file, f"the folder is not one of SAVEE's speakers, {', '.join(_SPEAKERS)}")
        elif identity in read_already:
            yield Skipped(file, "a second copy of a recording that is read already")
        else:
            read_already.add(identity)
            yield Utterance(
                utterance_id=identity,
                file=file,
                speaker=speaker,
                gender="male",
                emotion=_EMOTIONS[code],
                emotion_original=_EMOTIONS[code],
                extra={"number": name[3]},
            )


CORPUS = Corpus(
    name="savee",
    read=read,
    licence="for research only, by registration (as stated by secondary sources)",
    reference="Haq & Jackson (2010), Multimodal emotion recognition, in Machine Audition, IGI Global",
    language="en",
    expected={"utterances": 480, "speakers": 4},
    cautions=("savee: all speakers are men",),
)
