"""Recordings without labels: a folder of them, or a manifest, of which only what is for training is opened."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from emotune.corpora.hearing import hear
from emotune.corpora.readers import audiofolder
from emotune.corpora.tables.clip_ids import suffixes_apart
from emotune.errors import CorpusError
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest, Skipped
from emotune.schema.splits import TRAIN
from emotune.schema.utterance import Utterance

_OTHER = "of split {}, which nothing is learnt from"


def read_unlabelled(
    source: Path, *, unopened: Callable[[Path, Utterance], str | None] | None = None, progress: Progress = silent
) -> Manifest:
    """Reads the recordings below a folder as ``audiofolder`` does, but for the labels; or a manifest's.

    What lies in a folder called after another split than training (``test``, ``dev``, ``validation``, ...), or is said
    to be of one, is skipped unopened. Classes in names of folders and columns of labels are not read.

    Args:
        source: the folder, or the manifest.
        unopened: says why a recording at a path is skipped unopened too, or None.
        progress: shows how far the decoding is.

    Raises:
        CorpusError: when there is no such folder, or no recording in it that can be used.
        TableError: for a file that is no manifest.
    """
    if source.is_file():
        manifest = without_labels(Manifest.read(source))
        wanted, skipped = _parted(manifest.root, manifest, unopened)
        return dataclasses.replace(manifest, utterances=tuple(wanted), skipped=(*manifest.skipped, *skipped))
    if not source.is_dir():
        raise CorpusError(f"data.unlabelled: {source} is neither a folder of recordings nor a manifest.")
    wanted, skipped = _parted(source, suffixes_apart(audiofolder.recordings(source)), unopened)
    heard = hear(source, wanted, cure="", progress=progress)
    skipped += heard.skipped
    if not heard.utterances:
        first = f" The first is skipped: {skipped[0].file}: {skipped[0].reason}" if skipped else ""
        raise CorpusError(f"data.unlabelled: {source} holds no recording that can be heard.{first}")
    corpus = audiofolder.CORPUS
    information = {"corpus": source.name, "licence": corpus.licence, "reference": corpus.reference}
    warnings = heard.warnings()
    return Manifest(
        tuple(heard.utterances),
        LabelSpace(()),
        source,
        {**information, **({"warnings": warnings} if warnings else {})},
        tuple(skipped),
    )


def _parted(
    root: Path, items: Iterable[Utterance | Skipped], unopened: Callable[[Path, Utterance], str | None] | None
) -> tuple[list[Utterance], list[Skipped]]:
    """The utterances that are wanted, and all others with their reasons."""
    wanted, skipped = list[Utterance](), list[Skipped]()
    for item in items:
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        reason = None if item.split in (None, TRAIN) else _OTHER.format(item.split)
        if reason is None and unopened is not None:
            reason = unopened(root / item.file, item)
        if reason is None:
            wanted.append(item)
        else:
            skipped.append(Skipped(item.file, reason))
    return wanted, skipped


def without_labels(manifest: Manifest) -> Manifest:
    """The same recordings and speakers, with neither classes nor votes nor dimensions."""
    return dataclasses.replace(
        manifest,
        utterances=tuple(dataclasses.replace(utterance.without_labels(), extra={}) for utterance in manifest),
        label_space=LabelSpace(()),
    )
