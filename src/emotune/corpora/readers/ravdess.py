"""RAVDESS, the speech part: 24 actors, 8 emotions, 1440 utterances.

File names are ``MM-VC-EM-IN-ST-RP-AC``: modality (03 audio only), channel (01 speech, 02 song), emotion, intensity,
statement, repetition, actor. Odd actors are men.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emotune.corpora.base import Corpus, audio_files
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

_NAME = re.compile(r"^(\d\d)-(\d\d)-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)$")
_EMOTIONS = {
    "01": ("neutral", "neutral"),
    "02": ("calm", "calm"),
    "03": ("happiness", "happy"),
    "04": ("sadness", "sad"),
    "05": ("anger", "angry"),
    "06": ("fear", "fearful"),
    "07": ("disgust", "disgust"),
    "08": ("surprise", "surprised"),
}
_TEXTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}


def read(root: Path) -> Iterator[Utterance | Skipped]:
    """Audio-only speech recordings below ``root``, whatever the folders between are called."""
    for path in audio_files(root):
        file = path.relative_to(root).as_posix()
        match = _NAME.match(path.stem)
        if match is None:
            yield Skipped(file, "name does not follow RAVDESS's MM-VC-EM-IN-ST-RP-AC")
            continue
        modality, channel, code, intensity, statement, repetition, actor = match.groups()
        if channel != "01" or modality != "03":
            yield Skipped(file, "not audio-only speech (modality 03, channel 01)")
            continue
        emotion, original = _EMOTIONS[code]
        yield Utterance(
            utterance_id=path.stem,
            file=file,
            speaker=actor,
            gender="male" if int(actor) % 2 else "female",
            text=_TEXTS[statement],
            emotion=emotion,
            emotion_original=original,
            extra={"intensity": "strong" if intensity == "02" else "normal", "repetition": repetition},
        )


CORPUS = Corpus(
    name="ravdess",
    read=read,
    licence="CC BY-NC-SA 4.0",
    reference="Livingstone & Russo (2018), The RAVDESS, PLoS ONE 13(5), e0196391",
    language="en",
    expected={"utterances": 1440, "speakers": 24},
)
