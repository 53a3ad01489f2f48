"""Recordings without labels: a folder of them, or a manifest, of which only what is for training is opened."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
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
ELSEWHERE = "the manifest has it in another split than training"
"""Reason for which a recording is skipped."""


def read_unlabelled(source: Path, *, elsewhere: Collection[Path] = (), progress: Progress = silent) -> Manifest:
    """Reads the recordings below a folder as ``audiofolder`` does, but for the labels; or a manifest's.

    What lies in a folder called after another split than training (``test``, ``dev``, ``validation``, ...), or is said
    to be of one, is skipped unopened. Classes in names of folders and columns of labels are not read.

    Args:
        source: the folder, or the manifest.
        elsewhere: recordings that are skipped unopened wherever they lie, with all links followed.
        progress: shows how far the decoding is.

    Raises:
        CorpusError: when there is no such folder, or no recording in it that can be used.
        TableError: for a file that is no manifest.
    """
    if source.is_file():
        manifest = without_labels(Manifest.read(source))
        manifest = manifest.filter(lambda utterance: utterance.split in (None, TRAIN))
        kept = [u for u in manifest if not elsewhere or manifest.path_of(u).resolve() not in elsewhere]
        there = {utterance.utterance_id for utterance in kept}
        skipped = (Skipped(u.file, ELSEWHERE) for u in manifest if u.utterance_id not in there)
        return dataclasses.replace(manifest, utterances=tuple(kept), skipped=(*manifest.skipped, *skipped))
    if not source.is_dir():
        raise CorpusError(f"data.unlabelled: {source} is neither a folder of recordings nor a manifest.")
    wanted, skipped = list[Utterance](), list[Skipped]()
    for item in suffixes_apart(audiofolder.recordings(source)):
        if isinstance(item, Skipped):
            skipped.append(item)
        elif item.split not in (None, TRAIN):
            skipped.append(Skipped(item.file, _OTHER.format(item.split)))
        elif elsewhere and (source / item.file).resolve() in elsewhere:
            skipped.append(Skipped(item.file, ELSEWHERE))
        else:
            wanted.append(item)
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


def without_labels(manifest: Manifest) -> Manifest:
    """The same recordings and speakers, with neither classes nor votes nor dimensions."""
    return dataclasses.replace(
        manifest,
        utterances=tuple(dataclasses.replace(utterance.without_labels(), extra={}) for utterance in manifest),
        label_space=LabelSpace(()),
    )
