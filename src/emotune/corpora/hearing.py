"""Recordings of a corpus, each decoded once: lengths, contents, copies, and clips in which nothing can be heard."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from emotune import audio
from emotune.audio.decoding.audibility import KINDS, Unheard
from emotune.audio.fingerprint import RATE_HZ, Fingerprint, fingerprint
from emotune.audio.near_copies import copies_by_position
from emotune.errors import AudioError
from emotune.runtime.progress import Progress
from emotune.schema.manifest import Skipped, by_recording
from emotune.schema.utterance import Utterance, segment_of


@dataclass(frozen=True)
class Recordings:
    """Utterances with what their recordings say, and the recordings that say nothing.

    Args:
        utterances: with duration, content and, for a copy, the id of the one that it copies.
        skipped: recordings that cannot be used.
        unheard: by id, why nothing can be heard in a clip.
    """

    utterances: list[Utterance]
    skipped: list[Skipped]
    unheard: Mapping[str, Unheard]

    def warnings(self) -> list[str]:
        """One sentence a kind of clip in which nothing can be heard, with the first of its utterances."""
        by_kind = {
            kind: [(name, found.words) for name, found in self.unheard.items() if found.kind == kind] for kind in KINDS
        }
        return [
            f"{len(found)} of {len(self.utterances)} utterances are {kind}, such as {found[0][0]} ({found[0][1]}):"
            " nothing can be heard in them"
            for kind, found in by_kind.items()
            if found
        ]


def hear(folder: Path, utterances: Sequence[Utterance], *, cure: str, progress: Progress) -> Recordings:
    """Decodes every recording of the utterances once.

    Args:
        folder: where their paths start.
        utterances: as the labels describe them.
        cure: a sentence for recordings that do not exist.
        progress: shows how far it is.
    """
    heard: list[_DecodedUtterance | Skipped | None] = [None] * len(utterances)
    groups = by_recording(utterances)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(partial(_heard_in, folder, cure), ([utterances[n] for n in group] for group in groups))
        pairs = (pair for group, found in zip(groups, results, strict=True) for pair in zip(group, found, strict=True))
        for number, found in progress(pairs, total=len(utterances), title="reading"):
            heard[number] = found
    usable = [item for item in heard if isinstance(item, _DecodedUtterance)]
    return Recordings(
        _with_copies(usable),
        [item for item in heard if isinstance(item, Skipped)],
        {item.utterance.utterance_id: item.unheard for item in usable if item.unheard},
    )


@dataclass(frozen=True)
class _DecodedUtterance:
    """An utterance whose recording was decoded."""

    utterance: Utterance
    fingerprint: Fingerprint
    unheard: Unheard | None


def _heard_in(folder: Path, cure: str, utterances: Sequence[Utterance]) -> list[_DecodedUtterance | Skipped]:
    """Decodes a recording once: durations, contents and spectral fingerprints of its utterances, or its faults."""
    path, segments = folder / utterances[0].file, [segment_of(utterance) for utterance in utterances]
    found: dict[int, _DecodedUtterance | Skipped] = {}
    advice = "" if path.exists() else cure
    for position, heard in audio.clips(path, segments, sampling_rate_hz=RATE_HZ, with_content=True):
        utterance = utterances[position]
        if isinstance(heard, AudioError):
            found[position] = Skipped(utterance.file, f"{heard}{advice}")
            continue
        duration_s, content = round(heard.duration_s, 6), heard.content_sha256
        known = dataclasses.replace(utterance, duration_s=duration_s, content_sha256=content)
        found[position] = _DecodedUtterance(known, fingerprint(heard.samples), heard.unheard)
    return [found[position] for position in range(len(utterances))]


def _with_copies(heard: Sequence[_DecodedUtterance]) -> list[Utterance]:
    """The utterances, each copy with the id of the one that it copies."""
    copies = copies_by_position(
        [item.fingerprint for item in heard],
        [item.utterance.content_sha256 or "" for item in heard],
        [item.utterance.file for item in heard],
    )
    return [
        dataclasses.replace(item.utterance, copy_of=heard[copies[position]].utterance.utterance_id)
        if position in copies
        else item.utterance
        for position, item in enumerate(heard)
    ]
