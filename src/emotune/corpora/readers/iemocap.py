"""IEMOCAP: ten actors in pairs, five sessions, improvised and scripted dialogues; 10,039 utterances [recalled].

Labels lie in ``SessionN/dialog/EmoEvaluation/<dialog>.txt`` (its subfolders hold single raters' files and are not
read), recordings in ``SessionN/sentences/wav/<dialog>/``, text in ``SessionN/dialog/transcriptions/``. A label line
holds the consensus and the mean of valence, activation (our arousal) and dominance, in this order, from 1 to 5. The
lines after it hold the raters' words: those of ``C-E*`` are the votes; other raters, such as ``C-F1``, are the actors
themselves [recalled] and do not count.

The speaker is told by the letter of the last token: ``Ses01F_impro01_M003`` is spoken by the man of session 1, the
``F`` before it only says who wears the markers. ``xxx`` (no agreement) has no emotion. With excitement mapped to
happiness, anger, happiness, sadness and neutral must total 5531 utterances. A mean outside 1 to 5 is left out and
named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emotune.corpora.base import Corpus, check_folder, recordings_by_stem
from emotune.errors import CorpusError
from emotune.schema.labels import Scale, class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

_NAME = re.compile(r"^Ses0([1-5])[FM]_(impro|script)\w*_([FM])\w+$")
_LABEL = re.compile(r"^\[\s*([\d.]+)\s*-\s*([\d.]+)\s*\]\s+(\S+)\s+(\S+)\s+\[([^\]]*)\]\s*$")
_RATER = re.compile(r"^C-E\w*:\s*([^(]*)")
_TEXT = re.compile(r"^(Ses\w+)\s+\[[^\]]*\]:\s*(.*?)\s*$")
_CODES = ("ang", "hap", "exc", "sad", "neu", "fru", "fea", "sur", "dis", "oth")
_EMOTIONS = {**{code: class_noun(code) for code in _CODES}, "xxx": None}
_GENDERS = {"F": "female", "M": "male"}
_STYLES = {"impro": "improvised", "script": "scripted"}
_ORDER: tuple[str, ...] = ("valence", "arousal", "dominance")
_SCALE = Scale(1, 5)


@dataclass
class _Turn:
    """A label line with the votes that follow it; its times, as they stand there, are those in the dialogue."""

    name: str
    code: str
    start: str
    end: str
    dimensions: dict[str, float]
    votes: Counter[str] = field(default_factory=Counter)


def read(root: Path) -> Iterator[Utterance | Skipped]:
    """Utterances in the label files of ``root/Session1`` to ``Session5``; recordings without a label line are skipped.

    Raises:
        CorpusError: when there is no session, or a session without label files.
    """
    check_folder(root)
    sessions = [folder for folder in sorted(root.glob("Session[1-5]")) if folder.is_dir()]
    if not sessions:
        raise CorpusError(f"{root} holds none of Session1 to Session5. Give IEMOCAP's own folder.")
    for session in sessions:
        yield from _session(session, root)


def _session(session: Path, root: Path) -> Iterator[Utterance | Skipped]:
    folder = session / "dialog" / "EmoEvaluation"
    label_files = _text_files(folder)
    if not label_files:
        raise CorpusError(f"{folder} holds no label file, expected one .txt a dialogue. Copy the session again.")
    wavs = session / "sentences" / "wav"
    files, skipped = recordings_by_stem(wavs, root)
    yield from skipped
    texts = _texts(session / "dialog" / "transcriptions")
    labelled = set()
    for path in label_files:
        for turn in _turns(path, path.relative_to(root).as_posix()):
            if isinstance(turn, Skipped):
                yield turn
                continue
            labelled.add(turn.name)
            file = files.get(turn.name, (wavs / path.stem / f"{turn.name}.wav").relative_to(root).as_posix())
            yield _utterance(turn, path.stem, file, texts.get(turn.name))
    yield from (Skipped(file, "no label line names it") for stem, file in files.items() if stem not in labelled)


def _utterance(turn: _Turn, dialog: str, file: str, text: str | None) -> Utterance | Skipped:
    match = _NAME.match(turn.name)
    if match is None:
        return Skipped(file, "name does not follow IEMOCAP's session, dialogue, speaker and turn (Ses01F_impro01_M003)")
    session, style, letter = match.groups()
    return Utterance(
        utterance_id=turn.name,
        file=file,
        speaker=f"Ses0{session}_{letter}",
        session=session,
        gender=_GENDERS[letter],
        text=text,
        emotion=_EMOTIONS[turn.code],
        emotion_original=turn.code,
        votes=dict(turn.votes),
        dimensions=turn.dimensions,
        extra={
            "style": _STYLES[style],
            "dialog": dialog,
            "dialog_start_s": turn.start,
            "dialog_end_s": turn.end,
        },
    )


def _text_files(folder: Path) -> list[Path]:
    """The text files of a folder itself, without macOS's ``._`` twins."""
    return [path for path in sorted(folder.glob("*.txt")) if path.is_file() and not path.name.startswith(".")]


def _turns(path: Path, file: str) -> Iterator[_Turn | Skipped]:
    """The turns of a label file, and the lines and values in it that are not as they should be."""
    turn: _Turn | None = None
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        if line.startswith("["):
            if turn is not None:
                yield turn
            turn = _turn(line)
            if turn is None:
                expected = "[start - end], name, emotion and [valence, activation, dominance]"
                yield Skipped(file, f"line {number}: expected {expected}, got {line[:80]!r}")
            elif turn.code not in _EMOTIONS:
                yield Skipped(file, f"line {number}: emotion is '{turn.code}', expected one of {', '.join(_EMOTIONS)}")
                turn = None
            else:
                yield from _without_values_off_scale(turn, file, number)
        elif turn is not None and (match := _RATER.match(line)):
            turn.votes.update(_words(match[1]))
    if turn is not None:
        yield turn


def _turn(line: str) -> _Turn | None:
    match = _LABEL.match(line)
    if match is None:
        return None
    start, end, name, code, means = match.groups()
    try:
        values = [float(value) for value in means.split(",")]
        return _Turn(name, code, start, end, dict(zip(_ORDER, values, strict=True)))
    except ValueError:
        return None


def _without_values_off_scale(turn: _Turn, file: str, number: int) -> Iterator[Skipped]:
    """Drops values outside their scale from a turn, and names them."""
    for name, value in list(turn.dimensions.items()):
        if not _SCALE.low <= value <= _SCALE.high:
            del turn.dimensions[name]
            yield Skipped(
                file, f"line {number}: {name} of {turn.name} is {value}, outside 1 to 5; only this value is left out"
            )


def _words(text: str) -> list[str]:
    """One rater's words as classes, each once: ``Anger; Frustration;``."""
    words = (word.strip() for word in text.split(";"))
    return list(dict.fromkeys(class_noun(word.removesuffix(" state")) for word in words if word))


def _texts(folder: Path) -> dict[str, str]:
    texts = {}
    for path in _text_files(folder):
        for line in path.read_text(encoding="latin-1").splitlines():
            if (match := _TEXT.match(line)) and match[2]:
                texts[match[1]] = match[2]
    return texts


CORPUS = Corpus(
    name="iemocap",
    read=read,
    licence="IEMOCAP licence of the University of Southern California: research only, no redistribution",
    reference="Busso et al. (2008), IEMOCAP: interactive emotional dyadic motion capture database, LREC 42(4)",
    language="en",
    dimensions=dict.fromkeys(_ORDER, _SCALE),
    expected={"utterances": 10039, "speakers": 10},
)
