"""Reading of a corpus into a manifest: labels by the corpus's reader, then every recording decoded once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune import audio
from emotune.audio.channels import EACH, Channels, channel_id
from emotune.corpora.base import Corpus
from emotune.corpora.class_mapping import mapped
from emotune.corpora.hearing import Recordings, hear
from emotune.corpora.skip_reasons import reason_counts
from emotune.corpora.tables.clip_ids import suffixes_apart
from emotune.corpora.tables.columns import columns_text
from emotune.corpora.tables.missing import Missing, counted
from emotune.corpora.tables.ratings import joined_ratings, labels_apart, refuse_ratings, refuse_several_labels
from emotune.errors import AudioError, CorpusError, TableError
from emotune.registry import unknown_name_message
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace, Scale, in_class_order
from emotune.schema.manifest import Manifest, Skipped
from emotune.schema.speakers import NAMED, spelled_apart, spelling_key, spellings_text, with_merged_spellings
from emotune.schema.utterance import Utterance, check_utterance


def read_corpus(
    corpus: Corpus,
    root: Path,
    *,
    audio_root: Path | None = None,
    columns: Mapping[str, str] | None = None,
    dimensions: Mapping[str, Scale] | None = None,
    extract_to: Path | None = None,
    trust_pickle: bool = False,
    licence: str | None = None,
    labels: str | None = None,
    labels_only: bool = False,
    unlabelled: bool = False,
    channel: Channels = "mix",
    ratings: bool = False,
    separator: str | None = None,
    mapping: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    merge_speakers: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Reads a corpus into a manifest; unreadable and unlabelled files are skipped, counted and named.

    Args:
        corpus: an entry of ``CORPORA``.
        root: the corpus's folder, or the table file for ``table``.
        audio_root, columns, dimensions, unlabelled, extract_to: for corpora that take them, see
            ``emotune.corpora.readers.table.read``.
        trust_pickle: for ``audformat``: let the library load pickled tables, which can run code.
        licence: what the model card says of the recordings, where the corpus does not know it.
        labels: which of ``corpus.label_sources`` to take; None = the first.
        labels_only: look at no recording: durations and fingerprints stay unknown, and nothing can be trained on it.
        channel: which channel of each recording, unless its row says so; ``each`` = an utterance for every channel.
        ratings: each row is one person's rating; the rows of a recording become one utterance with votes.
        separator: the sign between several labels in one cell, which become votes.
        mapping, drop: see ``map_classes``.
        merge_speakers: take names of speakers and sessions that differ only in spelling for one.
        progress: shows how far the decoding is.

    Raises:
        CorpusError: when nothing can be read. A shortfall against the known totals is a warning in ``information``.
    """
    of_table = {"columns": columns, "dimensions": dimensions, "unlabelled": unlabelled}
    of_corpus = {**of_table, "extract_to": extract_to, "trust_pickle": trust_pickle}
    of_ratings = {name: value for name, value in {"ratings": ratings, "separator": separator}.items() if value}
    if labels_only and channel == EACH:
        raise CorpusError("How many channels there are is not known where no recording is looked at: name one channel.")
    LabelSpace((), dimensions or {})
    options = _options(corpus, {**of_corpus, "audio_root": audio_root}, labels, of_ratings)

    facts = _facts(corpus, root, of_table) if corpus.single_file else {}
    start = facts.pop("audio_root", None)
    if start is not None and audio_root is None and extract_to is None:
        audio_root = options["audio_root"] = start
    found = list(corpus.read(root, **options))
    facts = facts or _facts(corpus, root, of_table)
    folder = extract_to or audio_root or (root.parent if corpus.single_file or root.is_file() else root)
    scales = dict(dimensions or (corpus.scales(root, **options) if corpus.scales else corpus.dimensions))
    missing = [item for item in found if isinstance(item, Missing)]
    described = [_described(corpus, scales, item) for item in found if not isinstance(item, Missing)]
    warnings = list(facts.pop("warnings", ()))
    if "ratings" in corpus.takes:
        rater = facts.get("columns", {}).get("rater")
        described, of_rows = _single_labels(described, ratings, separator, rater, missing, mapping or {})
        described = list(suffixes_apart(described))
        warnings += of_rows
    spread = [own for item in described for own in _of_channel(item, folder, channel)]
    if len(spread) > len(described):
        warnings.append(
            f"{len(described)} rows became {len(spread)}, one for each channel: speaker and labels of a recording are"
            " those of each of its channels"
        )
    labelled, repeated = _unique([item for item in spread if isinstance(item, Utterance)])
    skipped = [*(item for item in spread if isinstance(item, Skipped)), *repeated]
    named = in_class_order(u.emotion for u in labelled if u.emotion)
    LabelSpace(mapped(labelled, named, mapping or {}, drop)[1], scales)  # before minutes of decoding: names it refuses

    recordings = Recordings(labelled, [], {})
    if not labels_only:
        cure = f" Paths start from {folder}; give another folder with --audio-root."
        recordings = hear(folder, labelled, cure=cure if "audio_root" in corpus.takes else "", progress=progress)
    utterances, skipped = recordings.utterances, skipped + recordings.skipped
    if not utterances:
        raise CorpusError(_nothing_read(corpus, root, skipped, facts))
    warnings = [
        *corpus.cautions,
        *_shortfalls(corpus, utterances),
        *_unknown(utterances, scales),
        *warnings,
        *recordings.warnings(),
    ]
    classes = in_class_order(u.emotion for u in utterances if u.emotion)
    utterances, classes, changes = mapped(utterances, classes, mapping or {}, drop)
    information = {
        "corpus": corpus.name,
        "licence": licence or corpus.licence,
        "reference": corpus.reference,
        "labels": options.get("labels"),
        **of_ratings,
        "class_mapping": changes,
        **facts,
        "missing": counted(missing),
        "unheard": {name: str(unheard) for name, unheard in recordings.unheard.items()},
    }
    information = {name: value for name, value in information.items() if value}
    manifest = Manifest(tuple(utterances), LabelSpace(classes, scales), folder, information, tuple(skipped))
    if merge_speakers:
        manifest, _ = with_merged_spellings(manifest)
    noted = {**manifest.information, "warnings": [*warnings, *_spellings(manifest)]}
    return dataclasses.replace(manifest, information=noted)


def _facts(corpus: Corpus, root: Path, of_table: Mapping[str, Any]) -> dict[str, Any]:
    return dict(corpus.information(root, **of_table)) if corpus.information else {}


def _options(
    corpus: Corpus, given: Mapping[str, Any], labels: str | None, of_ratings: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments for the corpus's own reader; an error for what it does not take."""
    options = {name: value for name, value in given.items() if value}
    refused = [name for name in (*options, *(of_ratings and ("ratings",))) if name not in corpus.takes]
    if refused:
        reason = "" if refused == ["trust_pickle"] else ": those describe a table of your own"
        raise CorpusError(f"Corpus '{corpus.name}' takes no {', '.join(refused)}{reason}.")
    if labels is not None and labels not in corpus.label_sources:
        raise CorpusError(unknown_name_message(f"source of labels for '{corpus.name}'", labels, corpus.label_sources))
    if corpus.label_sources:
        options["labels"] = labels or corpus.label_sources[0]
    return options


def _nothing_read(corpus: Corpus, root: Path, skipped: Sequence[Skipped], facts: Mapping[str, Any]) -> str:
    reasons = "; ".join(f"{count}x {reason.rstrip('.')}" for count, reason in reason_counts(skipped)[:3])
    taken = f" Columns taken: {columns_text(facts['columns'])}." if facts.get("columns") else ""
    return f"{root}: no utterance of corpus '{corpus.name}' could be read. Skipped: {reasons or 'nothing'}.{taken}"


def _single_labels(
    found: Sequence[Utterance | Skipped],
    ratings: bool,
    separator: str | None,
    rater: str | None,
    missing: list[Missing],
    mapping: Mapping[str, str],
) -> tuple[list[Utterance | Skipped], tuple[str, ...]]:
    """One utterance a recording with one label, or votes as the user asked for; else an error that names the option."""
    items = labels_apart(found, separator, missing, mapping) if separator is not None else list(found)
    refuse_several_labels(items)
    if not ratings:
        refuse_ratings(items, rater=rater)
        return items, ()
    joined = joined_ratings(items, rater=rater, mapping=mapping)
    return joined.found, joined.warnings


def _spellings(manifest: Manifest) -> list[str]:
    """Speakers, sessions and classes that are one name in several spellings, one sentence each kind."""
    found = []
    for column in NAMED:
        groups = list(spelled_apart(manifest, column).values())
        if groups:
            found.append(f"{spellings_text(groups, column)}: --merge-speakers takes them for one")
    by_key: dict[tuple[str, ...], list[str]] = {}
    for name in manifest.label_space.classes:
        by_key.setdefault(spelling_key(name), []).append(name)
    alike = [names for names in by_key.values() if len(names) > 1]
    if alike:
        found.append(f"{spellings_text(alike, 'class')}: --map '{alike[0][1]}={alike[0][0]}' makes one class of them")
    return found


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


def _shortfalls(corpus: Corpus, utterances: Sequence[Utterance]) -> list[str]:
    counts = {"utterances": len(utterances), "speakers": len({u.speaker for u in utterances if u.speaker})}
    return [
        f"{corpus.name}: {counts[what]} {what} read, the complete corpus has {expected}"
        for what, expected in corpus.expected.items()
        if counts[what] != expected
    ]


def _unknown(utterances: Sequence[Utterance], scales: Mapping[str, Scale]) -> list[str]:
    """Warnings on missing fields that training or an honest evaluation needs."""
    without = {
        "emotion, dimension or votes": sum(u.emotion is None and not u.dimensions and not u.votes for u in utterances),
        "speaker": sum(u.speaker is None for u in utterances),
    }
    cures = {
        "emotion, dimension or votes": "nothing can be learnt of them",
        "speaker": "whether splits share speakers cannot be checked for them",
    }
    return [
        f"{count} of {len(utterances)} utterances have no {what}: {cures[what]}"
        for what, count in without.items()
        if count
    ]
