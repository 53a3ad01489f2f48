"""EmoDB, the Berlin Database of Emotional Speech: 10 actors, 7 emotions, 535 German utterances.

File names are ``SSTTTEV``: speaker, text code, emotion letter, version (``03a01Fa``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from emotune.corpora.base import Corpus, audio_files
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

_NAME = re.compile(r"^(\d{2})([ab]\d{2})([WLEAFTN])([a-z]?)$")
_EMOTIONS = {
    "W": ("anger", "Wut"),
    "L": ("boredom", "Langeweile"),
    "E": ("disgust", "Ekel"),
    "A": ("fear", "Angst"),
    "F": ("happiness", "Freude"),
    "T": ("sadness", "Trauer"),
    "N": ("neutral", "neutral"),
}
_SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
_TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def read(root: Path) -> Iterator[Utterance | Skipped]:
    """Recordings below ``root`` (the folder ``wav``, or one above it)."""
    for path in audio_files(root):
        file = path.relative_to(root).as_posix()
        match = _NAME.match(path.stem)
        if match is None:
            yield Skipped(file, "name does not follow EmoDB's speaker, text, emotion, version (03a01Fa)")
            continue
        speaker, text_code, letter, version = match.groups()
        if speaker not in _SPEAKERS:
            yield Skipped(file, f"speaker {speaker} is not one of EmoDB's ten")
            continue
        gender, age = _SPEAKERS[speaker]
        emotion, original = _EMOTIONS[letter]
        yield Utterance(
            utterance_id=path.stem,
            file=file,
            speaker=speaker,
            gender=gender,
            age=age,
            text=_TEXTS.get(text_code),
            emotion=emotion,
            emotion_original=original,
            extra={"version": version},
        )


CORPUS = Corpus(
    name="emodb",
    read=read,
    licence="CC BY 4.0 (as stated by secondary sources)",
    reference="Burkhardt et al. (2005), A database of German emotional speech, Interspeech",
    language="de",
    expected={"utterances": 535, "speakers": 10},
)
