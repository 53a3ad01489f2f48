"""Ratings by several people turned into votes: a row for each rating, or several labels in one cell."""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

from emotune.corpora.tables.clip_ids import clip_id
from emotune.corpora.tables.missing import Missing, known
from emotune.errors import CorpusError
from emotune.schema.labels import CLASSES, class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.speakers import Voice, voice_of
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import leaders

Found = Utterance | Skipped

_ALWAYS_APART = re.compile(r"[,;|\n\t]")
_APART_BETWEEN_LABELS = re.compile(r"[/+&:]")
_FACTS = ("session", "gender", "age", "language", "text", "split")


def labels_apart(
    found: Iterable[Found], separator: str, missing: list[Missing], mapping: Mapping[str, str]
) -> list[Found]:
    """Cells of several labels as votes, one for each label; the most voted one is the emotion, a tie has none.

    A word for a missing value among them is no label, and is added to ``missing``. Classes that ``mapping`` will make
    one count as one.

    Raises:
        CorpusError: for an empty separator.
    """
    if not separator:
        raise CorpusError("The separator of labels is empty: give the sign between them, such as --separator ';'.")
    return [item if isinstance(item, Skipped) else _apart(item, separator, missing, mapping) for item in found]


def _apart(utterance: Utterance, separator: str, missing: list[Missing], mapping: Mapping[str, str]) -> Utterance:
    parts = (utterance.emotion_original or "").split(separator)
    words = [word for word in parts if word.strip() and known(word, "emotion", missing) is not None]
    if not words:
        return dataclasses.replace(utterance, emotion=None)
    names = [class_noun(word) for word in words]
    votes = utterance.votes or _counted(names)
    emotion = names[0] if len(set(names)) == 1 else _most_voted(votes, mapping)
    return dataclasses.replace(utterance, emotion=emotion, votes=votes)


def refuse_several_labels(found: Iterable[Found]) -> None:
    """Refuses a cell that holds several labels: together they would be a class of their own.

    A comma, semicolon, bar or line break always parts labels; ``/``, ``+``, ``&`` and ``:`` where each part is a label.

    Raises:
        CorpusError: that names the first such cell, and the options.
    """
    labelled = [item for item in found if isinstance(item, Utterance) and item.emotion is not None]
    known = {*CLASSES, *(utterance.emotion for utterance in labelled)}
    several = [(utterance, sign) for utterance in labelled if (sign := _sign_between(utterance.emotion or "", known))]
    if several:
        utterance, sign = several[0]
        raise CorpusError(
            f"Several labels in one cell, in {len(several)} of {len(labelled)} rows, such as"
            f" '{utterance.emotion_original}' ({utterance.file})."
            f" Read them as votes with --separator '{sign}', or give each recording one label."
        )


def _sign_between(emotion: str, known: Collection[str | None]) -> str | None:
    """The sign that parts the labels of a cell; None where it holds one."""
    for pattern, must_be_known in ((_ALWAYS_APART, False), (_APART_BETWEEN_LABELS, True)):
        sign = pattern.search(emotion)
        if sign is not None:
            words = [class_noun(word) for word in pattern.split(emotion) if word.strip()]
            if len(words) > 1 and not (must_be_known and set(words).difference(known)):
                return sign.group()
    return None


def refuse_ratings(found: Iterable[Found], *, rater: str | None) -> None:
    """Refuses rows of one recording that contradict each other, or name different raters.

    Args:
        found: what a table says, row by row.
        rater: the column that says who rated, where there is one.

    Raises:
        CorpusError: that names the recording, and the options.
    """
    several = [rows for rows in _by_recording(found) if len(rows) > 1 and _contradict(rows, rater)]
    if several:
        rows = several[0]
        words = ", ".join(str(utterance.emotion_original or "no label") for utterance in rows[:5])
        raise CorpusError(
            f"{len(several)} recording{'s' * (len(several) > 1)} in several rows that differ, such as {rows[0].file} in"
            f" {len(rows)} rows: {words}. Where each row is one person's rating, read them as votes with --ratings;"
            " else keep one row a recording."
        )


def _contradict(rows: Sequence[Utterance], rater: str | None) -> bool:
    if len({name for utterance in rows if (name := _rater_of(utterance, rater)) is not None}) > 1:
        return True
    said = [{utterance.emotion for utterance in rows} - {None}]
    said += [
        {utterance.dimensions[name] for utterance in rows if name in utterance.dimensions}
        for name in {name for utterance in rows for name in utterance.dimensions}
    ]
    said += [{tuple(sorted(utterance.votes.items())) for utterance in rows if utterance.votes}]
    return any(len(values) > 1 for values in said)


@dataclasses.dataclass(frozen=True)
class JoinedRatings:
    """One utterance a recording, what was left out, and what should be known of them."""

    found: list[Found]
    warnings: tuple[str, ...]


def joined_ratings(found: Iterable[Found], *, rater: str | None, mapping: Mapping[str, str]) -> JoinedRatings:
    """The rows of each recording as one utterance: their labels are votes, their dimensions are averaged.

    A row with votes of its own counts with these, and classes that ``mapping`` will make one count as one. A rater
    counts once a recording. What rows of one recording do not agree on, such as the raters' own age, is left empty.
    """
    items = list(found)
    recordings = _by_recording(items)
    result: list[Found] = [item for item in items if isinstance(item, Skipped)]
    at_odds, tied = Counter[str](), 0
    for rows in recordings:
        counted, repeated = _once_a_rater(rows, rater)
        result += repeated
        utterance = _joined(counted, rater, mapping, at_odds)
        result.append(utterance)
        tied += bool(utterance.votes) and utterance.emotion is None
    warnings = [f"{count} recordings have rows that differ in {name}: left empty" for name, count in at_odds.items()]
    if tied:
        warnings.append(
            f"{tied} of {len(recordings)} recordings have no most voted class: they keep their votes, and `emotune"
            " corpus label` can break ties"
        )
    return JoinedRatings(result, tuple(warnings))


def _by_recording(found: Iterable[Found]) -> list[list[Utterance]]:
    """The rows of each segment and channel of a file; two speakers in it are two, however one of them is written."""
    clips: dict[Hashable, dict[Voice | None, list[Utterance]]] = {}
    for item in found:
        if isinstance(item, Utterance):
            clip = item.file, item.start_s, item.end_s, item.channel
            clips.setdefault(clip, {}).setdefault(voice_of(item), []).append(item)
    return [rows for voices in clips.values() for rows in _by_voice(voices)]


def _by_voice(voices: Mapping[Voice | None, list[Utterance]]) -> Iterable[list[Utterance]]:
    """The rows of each speaker; a row that names none is about the only one that the others name."""
    several = len(voices.keys() - {None}) > 1
    return voices.values() if several else [[row for rows in voices.values() for row in rows]]


def _once_a_rater(rows: Sequence[Utterance], rater: str | None) -> tuple[list[Utterance], list[Skipped]]:
    first: dict[str, Utterance] = {}
    counted, repeated = [], []
    for utterance in rows:
        name = _rater_of(utterance, rater)
        if name is not None and name in first:
            reason = f"rater '{name}' has rated it already: the first rating counts"
            repeated.append(Skipped(utterance.file, reason))
        else:
            counted.append(first.setdefault(name, utterance) if name is not None else utterance)
    return counted, repeated


def _joined(
    rows: Sequence[Utterance], rater: str | None, mapping: Mapping[str, str], at_odds: Counter[str]
) -> Utterance:
    votes: Counter[str] = Counter()
    for utterance in rows:
        own = utterance.votes or ({} if utterance.emotion is None else {utterance.emotion: 1.0})
        for name, count in own.items():
            votes[name] += count  # pyright: ignore[reportArgumentType]
    emotions = {utterance.emotion for utterance in rows}
    emotion = emotions.pop() if len(emotions) == 1 and None not in emotions else _most_voted(votes, mapping)
    words = [u.emotion_original for u in rows if u.emotion_original and (emotion is None or u.emotion == emotion)]
    facts: dict[str, Any] = {}
    for name in _FACTS:
        values = {getattr(utterance, name) for utterance in rows} - {None}
        at_odds.update([name] if len(values) > 1 else [])
        facts[name] = values.pop() if len(values) == 1 else None
    first = rows[0]
    same_id = len({utterance.utterance_id for utterance in rows}) == 1
    by_file = clip_id(first.file, first.start_s, first.end_s, first.channel)
    return dataclasses.replace(
        first,
        utterance_id=first.utterance_id if same_id else by_file,
        speaker=next((utterance.speaker for utterance in rows if utterance.speaker is not None), None),
        emotion=emotion,
        emotion_original=", ".join(dict.fromkeys(words)) or None,
        votes=dict(votes),
        dimensions=_means(rows),
        extra=_agreed(rows, rater),
        **facts,
    )


def _means(rows: Sequence[Utterance]) -> dict[str, float]:
    names = dict.fromkeys(name for utterance in rows for name in utterance.dimensions)
    return {name: statistics.fmean(u.dimensions[name] for u in rows if name in u.dimensions) for name in names}


def _agreed(rows: Sequence[Utterance], rater: str | None) -> dict[str, Any]:
    """The user's own columns, without the rater's and without those in which the rows differ."""
    return {
        name: value
        for name, value in rows[0].extra.items()
        if name != rater and all(utterance.extra.get(name) == value for utterance in rows)
    }


def _rater_of(utterance: Utterance, column: str | None) -> str | None:
    value = None if column is None else utterance.extra.get(column)
    return None if value is None or not str(value).strip() else str(value).strip()


def _counted(names: Iterable[str]) -> dict[str, float]:
    return {name: float(count) for name, count in Counter(names).items()}


def _most_voted(votes: Mapping[str, float], mapping: Mapping[str, str]) -> str | None:
    """Class that receives the most votes after mapping; None for a tie."""
    becoming: dict[str, dict[str, float]] = {}
    for name, count in votes.items():
        becoming.setdefault(mapping.get(name, name), {})[name] = count
    first = leaders({name: sum(counts.values()) for name, counts in becoming.items()})
    return max(becoming[first[0]], key=votes.__getitem__) if len(first) == 1 else None
