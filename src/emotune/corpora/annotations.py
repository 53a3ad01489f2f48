"""Annotations of a corpus by its own reader, checked, and one row for each utterance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune import audio
from emotune.audio.channels import EACH, Channels, channel_id
from emotune.corpora.base import Corpus
from emotune.corpora.options import ReadingOptions
from emotune.corpora.tables.clip_ids import suffixes_apart
from emotune.corpora.tables.missing import Missing
from emotune.corpora.tables.ratings import joined_ratings, labels_apart, refuse_ratings, refuse_several_labels
from emotune.errors import AudioError, TableError
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance, check_utterance


@dataclass(frozen=True)
class Annotations:
    """Labels of a corpus, before any recording is decoded.

    Args:
        utterances: with their labels; paths start from ``folder``.
        skipped: rows and recordings without a label that can be used.
        missing: cells that say that a value is missing.
        scales: of the annotated dimensions.
        facts: what the reader tells of the columns taken.
        source: of the labels, where the corpus has several.
    """

    utterances: list[Utterance]
    skipped: list[Skipped]
    missing: list[Missing]
    folder: Path
    scales: Mapping[str, Scale]
    facts: Mapping[str, Any]
    source: str | None
    warnings: list[str]


def annotations_of(corpus: Corpus, root: Path, options: ReadingOptions) -> Annotations:
    """Reads a corpus's labels; an error of its reader is raised as it is.

    Args:
        root: the corpus's folder, or the table file for ``table``.
    """
    arguments = options.arguments(corpus)
    facts = _facts(corpus, root, options) if corpus.single_file else {}
    start = facts.pop("audio_root", None)
    if start is not None and options.audio_root is None and options.extract_to is None:
        options = dataclasses.replace(options, audio_root=start)
        arguments["audio_root"] = start
    found = list(corpus.read(root, **arguments))
    facts = facts or _facts(corpus, root, options)
    beside = root.parent if corpus.single_file or root.is_file() else root
    folder = options.extract_to or options.audio_root or beside
    scales = dict(options.dimensions or (corpus.scales(root, **arguments) if corpus.scales else corpus.dimensions))
    missing = [item for item in found if isinstance(item, Missing)]
    rows = [_described(corpus, scales, item) for item in found if not isinstance(item, Missing)]
    warnings = list(facts.pop("warnings", ()))
    if "ratings" in corpus.takes:
        rows, of_ratings = _single_labels(rows, options, facts.get("columns", {}).get("rater"), missing)
        rows = list(suffixes_apart(rows))
        warnings += of_ratings
    spread = [own for row in rows for own in _of_channel(row, folder, options.channel)]
    if len(spread) > len(rows):
        warnings.append(
            f"{len(rows)} rows became {len(spread)}, one for each channel: speaker and labels of a recording are"
            " those of each of its channels"
        )
    utterances, repeated = _unique([item for item in spread if isinstance(item, Utterance)])
    skipped = [*(item for item in spread if isinstance(item, Skipped)), *repeated]
    return Annotations(utterances, skipped, missing, folder, scales, facts, arguments.get("labels"), warnings)


def _facts(corpus: Corpus, root: Path, options: ReadingOptions) -> dict[str, Any]:
    return dict(corpus.information(root, **options.of_columns)) if corpus.information else {}


def _described(corpus: Corpus, scales: Mapping[str, Scale], found: Utterance | Skipped) -> Utterance | Skipped:
    """The utterance with what the corpus as a whole says of it, or what is wrong with its labels."""
    if isinstance(found, Skipped):
        return found
    utterance = dataclasses.replace(
        found,
        corpus=corpus.name,
        language=found.language or corpus.language,
        dimensions={name: _rounded(value, scales.get(name)) for name, value in found.dimensions.items()},
    )
    try:
        check_utterance(dataclasses.replace(utterance, emotion=None), LabelSpace((), scales), utterance.file)
    except TableError as error:
        return Skipped(utterance.file, str(error))
    return utterance


def _rounded(value: float, scale: Scale | None) -> float:
    """A value that lies outside its scale by no more than single precision has lost, at the nearer end."""
    if scale is None or abs(value - scale.clamp(value)) > 1e-6 * (scale.high - scale.low):
        return value
    return scale.clamp(value)


def _single_labels(
    found: Sequence[Utterance | Skipped],
    options: ReadingOptions,
    rater: str | None,
    missing: list[Missing],
) -> tuple[list[Utterance | Skipped], tuple[str, ...]]:
    """One utterance a recording with one label, or votes as the user asked for; else an error that names the option."""
    separator, mapping = options.separator, options.mapping
    items = labels_apart(found, separator, missing, mapping) if separator is not None else list(found)
    refuse_several_labels(items)
    if not options.ratings:
        refuse_ratings(items, rater=rater)
        return items, ()
    joined = joined_ratings(items, rater=rater, mapping=mapping)
    return joined.found, joined.warnings


def _of_channel(item: Utterance | Skipped, folder: Path, channel: Channels) -> Iterator[Utterance | Skipped]:
    """An utterance of the channel that is asked for, or one of each; what names its own channel stays as it is."""
    if not isinstance(item, Utterance) or item.channel is not None or channel == "mix":
        yield item
    elif channel == EACH:
        try:
            count = audio.channel_count(folder / item.file)
        except AudioError as error:
            yield Skipped(item.file, str(error))
            return
        for own in range(count):
            yield dataclasses.replace(item, utterance_id=channel_id(item.utterance_id, own), channel=own)
    else:
        yield dataclasses.replace(item, channel=channel)


def _unique(utterances: Sequence[Utterance]) -> tuple[list[Utterance], list[Skipped]]:
    seen: dict[str, str] = {}
    kept, repeated = [], []
    for utterance in utterances:
        if utterance.utterance_id in seen:
            first = seen[utterance.utterance_id]
            repeated.append(Skipped(utterance.file, f"utterance_id '{utterance.utterance_id}' is already {first}"))
        else:
            seen[utterance.utterance_id] = utterance.file
            kept.append(utterance)
    return kept, repeated
