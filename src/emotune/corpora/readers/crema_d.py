"""CREMA-D: 91 actors say 12 sentences in 6 emotions; 7442 utterances, rated by voice, by face and by both.

File names are ``AAAA_SSS_EEE_LL``: actor, sentence, acted emotion, intensity (``1001_DFA_ANG_XX``). The acted emotion
is often not what is heard: raters who hear the voice alone recover it in four of ten recordings. So there are four
sources of labels: ``acted`` from the file name, which has no votes, and the raters' plurality by ``voice``, ``face`` or
both (``multimodal``).

Tables lie in the root or in ``processedResults``: ``summaryTable.csv`` (the plurality; ties joined by ``:``),
``tabulatedVotes.csv`` (counts by modality) or, where that is missing, ``finishedResponses.csv`` (one row a rating). A
tie has no emotion; its letters stay in ``emotion_original``. Where no recording lies below the root, the rows of the
tables are the utterances. ``VideoDemographics.csv`` gives gender, age, race and ethnicity.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from emotune.corpora.base import Corpus, check_folder, recordings_by_stem, rows_with
from emotune.corpora.tables.missing import known
from emotune.errors import CorpusError, TableError
from emotune.io.cells import number_or_none
from emotune.io.tables import Row
from emotune.schema.gender import gender_name
from emotune.schema.labels import class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import leaders

_NAME = re.compile(r"^(\d{4})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX)$")
_INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
_LETTERS = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
_SOURCES = {"voice": ("1", "VoiceVote"), "face": ("2", "FaceVote"), "multimodal": ("3", "MultiModalVote")}
_MODALITIES = ("1", "2", "3")
_MODALITY_RULE = "must begin with 1 (voice), 2 (face) or 3 (both)"
_SUMMARY, _COUNTS, _RATINGS = "summaryTable.csv", "tabulatedVotes.csv", "finishedResponses.csv"
_NAME_COLUMNS = {_SUMMARY: "FileName", _COUNTS: "fileName", _RATINGS: "clipName"}
_TEXTS = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}


def read(root: Path, *, labels: str = "acted") -> Iterator[Utterance | Skipped]:
    """Recordings in ``AudioWAV`` (or below ``root`` where there is no such folder), or the rows of the tables.

    Args:
        root: the folder that holds ``AudioWAV`` and the tables.
        labels: ``acted``, ``voice``, ``face`` or ``multimodal``.

    Raises:
        CorpusError: when there is neither a recording nor a table, or no table of votes for voted labels.
    """
    check_folder(root)
    places = (root / "processedResults", root)
    tables = {name: folder / name for folder in places for name in _NAME_COLUMNS if (folder / name).is_file()}
    folder = root / "AudioWAV"
    files, skipped = recordings_by_stem(folder if folder.is_dir() else root, root)
    files = files or {clip: f"AudioWAV/{clip}.wav" for clip in _clips(root, tables)}
    votes: Mapping[str, Mapping[str, float]] = {}
    words: dict[str, str] = {}
    if labels != "acted":
        votes = _votes(root, tables, _SOURCES[labels][0], skipped)
        words = {clip: _letters_of(leaders(counts)) for clip, counts in votes.items() if counts}
        words.update(_plurality(tables, _SOURCES[labels][1], skipped))
    people = _people(root / "VideoDemographics.csv", skipped)
    for clip, file in files.items():
        match = _NAME.match(clip)
        if match is None:
            skipped.append(Skipped(file, "name does not follow CREMA-D's actor, sentence, emotion, intensity"))
            continue
        actor, sentence, acted, intensity = match.groups()
        word = acted if labels == "acted" else words.get(clip)
        if word is None:
            skipped.append(Skipped(file, f"no row of the tables has a {labels} vote for it"))
            continue
        person = people.get(actor, {})
        yield Utterance(
            utterance_id=clip,
            file=file,
            speaker=actor,
            gender=gender_name(known(person.get("Sex"), "gender")),
            age=person.get("Age"),
            text=_TEXTS.get(sentence),
            emotion=class_noun(word) if labels == "acted" else _LETTERS.get(word),
            emotion_original=word,
            votes=votes.get(clip, {}),
            extra={
                "acted": class_noun(acted),
                "intensity": _INTENSITIES[intensity],
                "sentence": sentence,
                "race": person.get("Race"),
                "ethnicity": person.get("Ethnicity"),
            },
        )
    yield from skipped


def _clip(row: Row, column: str) -> str:
    """The name of a recording without suffix, as a table gives it."""
    return PurePosixPath(str(row[column] or "")).stem


def _clips(root: Path, tables: Mapping[str, Path]) -> list[str]:
    """Clips of a copy without recordings: those that its first table names."""
    for name, column in _NAME_COLUMNS.items():
        if name in tables:
            return list(dict.fromkeys(_clip(row, column) for _, row in rows_with(tables[name], (column,))))
    raise CorpusError(f"{root} holds no recording and none of {', '.join(_NAME_COLUMNS)}. Give CREMA-D's own folder.")


def _votes(root: Path, tables: Mapping[str, Path], digit: str, skipped: list[Skipped]) -> dict[str, dict[str, float]]:
    """Votes by clip for one modality: from the counts, or counted from the single ratings."""
    if _COUNTS in tables:
        return _tabulated(tables[_COUNTS], digit, skipped)
    if _RATINGS in tables:
        return _counted(tables[_RATINGS], digit, skipped)
    if _SUMMARY in tables:
        return {}
    raise CorpusError(
        f"{root}: none of {', '.join(_NAME_COLUMNS)} lies there or in processedResults, and voted labels come from"
        " them. Copy one there, or take --labels acted."
    )


def _tabulated(path: Path, digit: str, skipped: list[Skipped]) -> dict[str, dict[str, float]]:
    column = _NAME_COLUMNS[_COUNTS]
    votes = {}
    for where, row in rows_with(path, (column, *_LETTERS)):
        modality = str(next(iter(row.values())))[:1]
        if modality not in _MODALITIES:
            skipped.append(Skipped(_clip(row, column) or where, f"{where}: the row's name {_MODALITY_RULE}"))
        if modality != digit:
            continue
        try:
            counts = {noun: number_or_none(row[key], f"{where}, {key}") for key, noun in _LETTERS.items()}
        except TableError as error:
            skipped.append(Skipped(_clip(row, column) or where, str(error)))
            continue
        votes[_clip(row, column)] = {noun: count for noun, count in counts.items() if count}
    return votes


def _counted(path: Path, digit: str, skipped: list[Skipped]) -> dict[str, dict[str, float]]:
    column = _NAME_COLUMNS[_RATINGS]
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for where, row in rows_with(path, (column, "queryType", "respEmo")):
        modality, letter = str(row["queryType"]), str(row["respEmo"])
        if modality not in _MODALITIES:
            skipped.append(Skipped(_clip(row, column) or where, f"{where}: queryType {_MODALITY_RULE}"))
        elif modality == digit and letter not in _LETTERS:
            reason = f"{where}: respEmo is '{letter}', expected one of {', '.join(_LETTERS)}"
            skipped.append(Skipped(_clip(row, column) or where, reason))
        elif modality == digit:
            votes[_clip(row, column)][_LETTERS[letter]] += 1
    return {clip: dict(counts) for clip, counts in votes.items()}


def _plurality(tables: Mapping[str, Path], vote: str, skipped: list[Skipped]) -> dict[str, str]:
    """The letter (or letters, joined by ``:``) with the most votes, as the corpus's own summary gives them."""
    words = {}
    column = _NAME_COLUMNS[_SUMMARY]
    for where, row in rows_with(tables[_SUMMARY], (column, vote)) if _SUMMARY in tables else ():
        word = str(row[vote] or "")
        if set(word.split(":")) <= set(_LETTERS):
            words[_clip(row, column)] = word
        elif word:
            reason = f"{where}: {vote} is '{word}', expected {', '.join(_LETTERS)}, or several joined by ':'"
            skipped.append(Skipped(_clip(row, column) or where, reason))
    return words


def _letters_of(nouns: Sequence[str]) -> str:
    return ":".join(letter for letter, noun in _LETTERS.items() if noun in nouns)


def _people(path: Path, skipped: list[Skipped]) -> dict[str, Row]:
    """Sex, age, race and ethnicity by actor; nothing where the table is missing."""
    people = {}
    for where, row in rows_with(path, ("ActorID", "Age", "Sex", "Race", "Ethnicity")) if path.is_file() else ():
        try:
            people[str(row["ActorID"])] = {**row, "Age": number_or_none(known(row["Age"], "age"), f"{where}, Age")}
        except TableError as error:
            skipped.append(Skipped(path.name, str(error)))
    return people


CORPUS = Corpus(
    name="crema_d",
    read=read,
    licence="ODbL 1.0, contents DbCL 1.0",
    reference="Cao et al. (2014), CREMA-D: crowd-sourced emotional multimodal actors dataset, IEEE TAC 5(4)",
    language="en",
    expected={"utterances": 7442, "speakers": 91},
    label_sources=("acted", *_SOURCES),
)
