"""Spellings of speakers' names: found where one name is written in several ways, and merged."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from emotune.errors import CorpusError
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

NAMED = ("speaker", "session")
"""The columns whose names may be written in several ways."""

_PART = re.compile(r"\d+|[^\W\d_]+|[^\w\s-]|(?<!\w)-(?=\d)")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"))


Voice = tuple[str | None, tuple[str, ...]]
"""A corpus, and a name that is the same however it is written."""


UNNAMED_CORPORA = "unnamed_corpora"
"""In a manifest's information: corpora called after a folder or file alone, whose speakers may be of any."""


def heard_speakers(manifest: Manifest) -> set[tuple[str | None, str]]:
    """Corpus and name of each speaker that is known; None for a corpus that nobody has named."""
    unnamed = manifest.information.get(UNNAMED_CORPORA, ())
    return {
        (None, without_corpus(utterance.corpus, utterance.speaker))
        if utterance.corpus in unnamed
        else (utterance.corpus, utterance.speaker)
        for utterance in manifest
        if utterance.speaker is not None
    }


def known_voices(utterances: Iterable[Utterance]) -> set[Voice]:
    """Keys of the speakers that are known."""
    return {voice for utterance in utterances if (voice := voice_of(utterance)) is not None}


def shared_voices(scored: Collection[Voice], heard: Collection[Voice]) -> set[Voice]:
    """Scored voices that are, or may be, among those heard: one heard without a corpus may be of any.

    >>> sorted(shared_voices({("a", ("bob",)), ("a", ("eve",))}, {(None, ("bob",)), ("b", ("eve",))}))
    [('a', ('bob',))]
    """
    without_a_corpus = {name for corpus, name in heard if corpus is None}
    return {voice for voice in scored if voice in heard or voice[1] in without_a_corpus}


@lru_cache(maxsize=100_000)
def spelling_key(name: str) -> tuple[str, ...]:
    """Key that ignores case, Unicode form, spaces, underscores, hyphens and leading zeros of a number.

    A number and a word may touch or not; two numbers, or two words, stay two: ``1_12`` is not ``11_2``.

    >>> spelling_key("Spk 1") == spelling_key("spk_01") == spelling_key("SPK1")
    True
    >>> spelling_key("1_12") == spelling_key("11_2")
    False
    """
    plain = unicodedata.normalize("NFKC", name).casefold().translate(_DASHES)
    plain = "".join(letter for letter in plain if unicodedata.category(letter) != "Cf")
    plain = re.sub(r"^(\d+)\.0+$", r"\1", plain.strip())  # a number that went through a spreadsheet
    parts = _PART.findall(unicodedata.normalize("NFC", plain))
    return tuple(part.lstrip("0") or "0" if part.isdecimal() else part for part in parts) or (plain,)


def with_corpus(corpus: str, name: str) -> str:
    """Name of a speaker, session or utterance among those of several corpora.

    >>> with_corpus("ravdess", "01")
    'ravdess/01'
    """
    return f"{corpus}/{name}"


def without_corpus(corpus: str | None, name: str) -> str:
    """Name as the corpus itself has it.

    >>> without_corpus("ravdess", "ravdess/01"), without_corpus("ravdess", "01")
    ('01', '01')
    """
    return name if corpus is None else name.removeprefix(with_corpus(corpus, ""))


def voice_of(utterance: Utterance, column: str = "speaker") -> Voice | None:
    """Key of a speaker within a corpus, however the name is written, with or without the corpus; None if unknown."""
    name = getattr(utterance, column)
    return None if name is None else voice_named(utterance.corpus, name)


def voice_named(corpus: str | None, name: str) -> Voice:
    """Key of a speaker of this name within a corpus."""
    return corpus, spelling_key(without_corpus(corpus, name))


def spelled_apart(utterances: Iterable[Utterance], column: str = "speaker") -> dict[Voice, Counter[str]]:
    """Names of one corpus that are one name written in several ways, each with its number of utterances."""
    spellings: dict[Voice, Counter[str]] = {}
    for utterance in utterances:
        voice = voice_of(utterance, column)
        if voice is not None:
            spellings.setdefault(voice, Counter())[getattr(utterance, column)] += 1
    return {voice: found for voice, found in spellings.items() if len(found) > 1}


def spellings_text(groups: Sequence[Iterable[str]], column: str = "speaker") -> str:
    """A sentence's beginning: ``2 speakers are written in several ways, such as 'spkA' and 'spka'``."""
    plural = f"{column}es" if column.endswith("s") else f"{column}s"
    how_many = f"1 {column} is" if len(groups) == 1 else f"{len(groups)} {plural} are"
    names = " and ".join(f"'{as_written(name)}'" for name in groups[0])
    return f"{how_many} written in several ways, such as {names}"


def as_written(name: str) -> str:
    """The name, with codes for letters that look composed but are not."""
    return name if unicodedata.is_normalized("NFC", name) else name.encode("ascii", "backslashreplace").decode()


def refuse_spelled_apart(utterances: Iterable[Utterance], column: str) -> None:
    """Refuses a name written in several ways: it would count as several.

    Raises:
        CorpusError: that lists the spellings.
    """
    groups = list(spelled_apart(utterances, column).values())
    if groups:
        raise CorpusError(
            f"{spellings_text(groups, column)}: each spelling would count as a {column} of its own. Make one of them"
            " with `emotune corpus split MANIFEST -o FILE --merge-speakers`, or rename those who are different people."
        )


def with_merged_spellings(manifest: Manifest) -> tuple[Manifest, dict[str, str]]:
    """Manifest with the most frequent spelling of each speaker and session, and the replacements made."""
    merged: dict[str, str] = {}
    utterances = list(manifest)
    for column in NAMED:
        kept: dict[Voice | None, str] = {}
        for voice, spellings in spelled_apart(utterances, column).items():
            kept[voice] = min(spellings, key=lambda name: (-spellings[name], name))
            merged |= {name: kept[voice] for name in spellings if name != kept[voice]}
        utterances = [
            dataclasses.replace(utterance, **{column: kept[voice]}) if voice in kept else utterance
            for utterance, voice in ((utterance, voice_of(utterance, column)) for utterance in utterances)
        ]
    if not merged:
        return manifest, {}
    information = {**manifest.information, "spellings_merged": merged}
    return dataclasses.replace(manifest, utterances=tuple(utterances), information=information), merged
