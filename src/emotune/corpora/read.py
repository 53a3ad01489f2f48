"""From a corpus on disk to a manifest: labels by the corpus's own reader, then every recording decoded once."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from emotune import audio
from emotune.corpora.base import Corpus
from emotune.corpora.class_mapping import mapped
from emotune.corpora.ratings import joined_ratings, labels_apart, refuse_ratings, refuse_several_labels
from emotune.corpora.table import table_columns
from emotune.errors import AudioError, CorpusError, TableError
from emotune.fingerprints import RATE_HZ, Fingerprint, copies_by_position, fingerprint
from emotune.labels import LabelSpace, Scale, in_class_order
from emotune.manifest import Manifest, Skipped, Utterance, check_utterance
from emotune.progress import Progress, silent
from emotune.registry import unknown_name_message
from emotune.speakers import NAMED, spelled_apart, spelling_key, spellings_text, with_merged_spellings


@dataclass(frozen=True)
class _Heard:
    """An utterance whose recording was decoded."""

    utterance: Utterance
    fingerprint: Fingerprint


def read_corpus(
    corpus: Corpus,
    root: Path,
    *,
    audio_root: Path | None = None,
    columns: Mapping[str, str] | None = None,
    dimensions: Mapping[str, Scale] | None = None,
    licence: str | None = None,
    labels: str | None = None,
    labels_only: bool = False,
    ratings: bool = False,
    separator: str | None = None,
    mapping: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    merge_speakers: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Read a corpus into a manifest; unreadable and unlabelled files are skipped, counted and named.

    Args:
        corpus: an entry of ``CORPORA``.
        root: the corpus's folder, or the table file for ``table``.
        audio_root, columns, dimensions: for corpora that take them, see ``emotune.corpora.table.read``.
        licence: what the model card says of the recordings, where the corpus does not know it.
        labels: which of ``corpus.label_sources`` to take; None = the first.
        labels_only: look at no recording: durations and fingerprints stay unknown, and nothing can be trained on it.
        ratings: each row is one person's rating; the rows of a recording become one utterance with votes.
        separator: the sign between several labels in one cell, which become votes.
        mapping, drop: see ``map_classes``.
        merge_speakers: take names of speakers and sessions that differ only in spelling for one.
        progress: shows how far the decoding is.

    Raises:
        CorpusError: when nothing can be read. A shortfall against the known totals is a warning in ``information``.
    """
    options: dict[str, Any] = {"audio_root": audio_root, "columns": columns, "dimensions": dimensions}
    options = {name: value for name, value in options.items() if value}
    of_ratings = {name: value for name, value in {"ratings": ratings, "separator": separator}.items() if value}
    refused = [name for name in (*options, *(of_ratings and ("ratings",))) if name not in corpus.takes]
    if refused:
        raise CorpusError(f"Corpus '{corpus.name}' takes no {', '.join(refused)}: those describe a table of your own.")
    LabelSpace((), dimensions or {})
    if labels is not None and labels not in corpus.label_sources:
        raise CorpusError(unknown_name_message(f"source of labels for '{corpus.name}'", labels, corpus.label_sources))
    if corpus.label_sources:
        options["labels"] = labels or corpus.label_sources[0]
    found = list(corpus.read(root, **options))
    folder = audio_root or (root.parent if corpus.single_file or root.is_file() else root)
    scales = dict(dimensions or (corpus.scales(root) if corpus.scales else corpus.dimensions))
    described = [_described(corpus, scales, item) for item in found]
    warnings: tuple[str, ...] = ()
    if "ratings" in corpus.takes:
        described, warnings = _single_labels(described, ratings, separator, (columns or {}).get("rater"))
    skipped = [item for item in described if isinstance(item, Skipped)]
    labelled, repeated = _unique([item for item in described if isinstance(item, Utterance)])
    named = in_class_order(u.emotion for u in labelled if u.emotion)
    LabelSpace(mapped(labelled, named, mapping or {}, drop)[1], scales)  # before minutes of decoding: names it refuses
    if labels_only:
        probed: list[_Heard | Utterance | Skipped] = list(labelled)
    else:
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            heard = pool.map(partial(_probe, folder), labelled)
            probed = list(progress(heard, total=len(labelled), title="reading"))
    skipped += repeated + [item for item in probed if isinstance(item, Skipped)]
    utterances = _with_copies([item for item in probed if not isinstance(item, Skipped)])
    if not utterances:
        reasons = "; ".join(f"{count}x {reason}" for reason, count in Counter(s.reason for s in skipped).most_common(3))
        raise CorpusError(
            f"{root}: no utterance of corpus '{corpus.name}' could be read. Skipped: {reasons or 'nothing'}."
        )
    warnings = (*corpus.cautions, *_shortfalls(corpus, utterances), *_unknown(utterances, scales), *warnings)
    classes = in_class_order(u.emotion for u in utterances if u.emotion)
    utterances, classes, changes = mapped(utterances, classes, mapping or {}, drop)
    information = {
        "corpus": corpus.name,
        "licence": licence or corpus.licence,
        "reference": corpus.reference,
        **({"labels": options["labels"]} if "labels" in options else {}),
        **of_ratings,
        **({"class_mapping": changes} if changes else {}),
    }
    if corpus.single_file and "columns" in corpus.takes:
        information["columns"] = table_columns(root, columns or {}, scales)
    manifest = Manifest(tuple(utterances), LabelSpace(classes, scales), folder, information, tuple(skipped))
    if merge_speakers:
        manifest, _ = with_merged_spellings(manifest)
    noted = {**manifest.information, "warnings": [*warnings, *_spellings(manifest)]}
    return dataclasses.replace(manifest, information=noted)


def _single_labels(
    found: Sequence[Utterance | Skipped], ratings: bool, separator: str | None, rater: str | None
) -> tuple[list[Utterance | Skipped], tuple[str, ...]]:
    """One utterance a recording with one label, or votes as the user asked for; else an error that names the option."""
    items = labels_apart(found, separator) if separator is not None else list(found)
    refuse_several_labels(items)
    if not ratings:
        refuse_ratings(items, rater=rater)
        return items, ()
    joined = joined_ratings(items, rater=rater)
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


def _with_copies(probed: Sequence[Utterance | _Heard]) -> list[Utterance]:
    """The utterances, each copy with the id of the one that it copies."""
    heard = [item for item in probed if isinstance(item, _Heard)]
    copies = copies_by_position(
        [item.fingerprint for item in heard],
        [item.utterance.content_sha256 or "" for item in heard],
        [item.utterance.file for item in heard],
    )
    return [
        *(item for item in probed if isinstance(item, Utterance)),
        *(
            dataclasses.replace(item.utterance, copy_of=heard[copies[position]].utterance.utterance_id)
            if position in copies
            else item.utterance
            for position, item in enumerate(heard)
        ),
    ]


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


def _probe(folder: Path, utterance: Utterance) -> _Heard | Skipped:
    """Decode once: duration, content and spectral fingerprint, or why the file cannot be used."""
    try:
        recording = audio.decode(folder / utterance.file, start_s=utterance.start_s, end_s=utterance.end_s)
    except AudioError as error:
        return Skipped(utterance.file, str(error))
    return _Heard(
        dataclasses.replace(
            utterance,
            duration_s=round(recording.duration_s, 6),
            content_sha256=recording.content_sha256(),
        ),
        fingerprint(recording.mono(RATE_HZ)),
    )


def _shortfalls(corpus: Corpus, utterances: Sequence[Utterance]) -> list[str]:
    counts = {"utterances": len(utterances), "speakers": len({u.speaker for u in utterances if u.speaker})}
    return [
        f"{corpus.name}: {counts[what]} {what} read, the complete corpus has {expected}"
        for what, expected in corpus.expected.items()
        if counts[what] != expected
    ]


def _unknown(utterances: Sequence[Utterance], scales: Mapping[str, Scale]) -> list[str]:
    """What training or an honest evaluation will miss."""
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
