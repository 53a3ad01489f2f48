"""Reading of a corpus into a manifest: labels by the corpus's reader, then every recording decoded once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.corpora.annotations import Annotations, annotations_of
from emotune.corpora.base import Corpus
from emotune.corpora.class_mapping import mapped
from emotune.corpora.emotion_words import notes_on_words
from emotune.corpora.hearing import Recordings, hear
from emotune.corpora.options import ReadingOptions
from emotune.corpora.skip_reasons import reason_counts
from emotune.corpora.tables.columns import columns_text
from emotune.corpora.tables.missing import counted
from emotune.errors import CorpusError
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace, Scale, in_class_order
from emotune.schema.manifest import Manifest, Skipped
from emotune.schema.speakers import NAMED, spelled_apart, spelling_key, spellings_text, with_merged_spellings
from emotune.schema.utterance import Utterance


def read_corpus(
    corpus: Corpus, root: Path, options: ReadingOptions | None = None, *, progress: Progress = silent
) -> Manifest:
    """Reads a corpus into a manifest; unreadable and unlabelled files are skipped, counted and named.

    Args:
        corpus: an entry of ``CORPORA``.
        root: the corpus's folder, or the table file for ``table``.
        options: None = those of a corpus that needs none.
        progress: shows how far the decoding is.

    Raises:
        CorpusError: when nothing can be read. A shortfall against the known totals is a warning in ``information``.
    """
    options = options or ReadingOptions()
    annotations = annotations_of(corpus, root, options)
    _check_classes(annotations, options)  # before minutes of decoding
    recordings = _recordings(corpus, annotations, options, progress)
    skipped = [*annotations.skipped, *recordings.skipped]
    if not recordings.utterances:
        raise CorpusError(_nothing_read(corpus, root, skipped, annotations.facts))
    classes = in_class_order(u.emotion for u in recordings.utterances if u.emotion)
    utterances, classes, changes = mapped(recordings.utterances, classes, options.mapping, options.drop)
    information = _information(corpus, annotations, recordings, options, changes)
    space = LabelSpace(classes, annotations.scales)
    manifest = Manifest(tuple(utterances), space, annotations.folder, information, tuple(skipped))
    if options.merge_speakers:
        manifest, _ = with_merged_spellings(manifest)
    warnings = [
        *corpus.cautions,
        *_shortfalls(corpus, recordings.utterances),
        *_unknown(recordings.utterances, annotations.scales),
        *annotations.warnings,
        *recordings.warnings(),
        *_spellings(manifest),
        *(() if corpus.expected else notes_on_words(manifest)),  # of a known corpus its reader knows the words
    ]
    return dataclasses.replace(manifest, information={**manifest.information, "warnings": warnings})


def _check_classes(annotations: Annotations, options: ReadingOptions) -> None:
    named = in_class_order(u.emotion for u in annotations.utterances if u.emotion)
    LabelSpace(mapped(annotations.utterances, named, options.mapping, options.drop)[1], annotations.scales)


def _recordings(corpus: Corpus, annotations: Annotations, options: ReadingOptions, progress: Progress) -> Recordings:
    if options.labels_only:
        return Recordings(annotations.utterances, [], {})
    which = f"Paths start from {annotations.folder}" + (
        "" if annotations.folder.is_dir() else ", a folder that is not there"
    )
    cure = f" {which}; give another folder with --audio-root."
    cure = cure if "audio_root" in corpus.takes else ""
    return hear(annotations.folder, annotations.utterances, cure=cure, progress=progress)


def _information(
    corpus: Corpus,
    annotations: Annotations,
    recordings: Recordings,
    options: ReadingOptions,
    changes: Mapping[str, Any],
) -> dict[str, Any]:
    """Provenance of the manifest, as far as there is any."""
    information = {
        "corpus": corpus.name,
        "licence": options.licence or corpus.licence,
        "reference": corpus.reference,
        "labels": annotations.source,
        **options.of_ratings,
        "class_mapping": changes,
        **annotations.facts,
        "missing": counted(annotations.missing),
        "unheard": {name: str(unheard) for name, unheard in recordings.unheard.items()},
    }
    return {name: value for name, value in information.items() if value}


def _nothing_read(corpus: Corpus, root: Path, skipped: Sequence[Skipped], facts: Mapping[str, Any]) -> str:
    reasons = "; ".join(f"{count}x {reason.rstrip('.')}" for count, reason in reason_counts(skipped)[:3])
    taken = f" Columns taken: {columns_text(facts['columns'])}." if facts.get("columns") else ""
    return f"{root}: no utterance of corpus '{corpus.name}' could be read. Skipped: {reasons or 'nothing'}.{taken}"


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
