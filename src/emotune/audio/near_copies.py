"""Near copies among many clips: candidates from shared fingerprint values, then every bit compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.audio.fingerprint import BITS, WEAK_BITS, Fingerprint

BIT_ERROR_LIMITS = {64: 0.16, 128: 0.25}
"""Active frames of the shorter clip -> the share of different bits under which it is a copy; linear in between.

Copies lie below, different takes above; the shorter a clip, the nearer chance alone brings another one.
"""

OVERLAP = 0.6
LEAST_FRAMES = 32
_NEIGHBOURS = 8
_LEAST_HITS = 2
_FRAMES_AT_ONCE = 1 << 18
_OWN_LIMIT = 0.25
_OWN_SHIFT = 16  # frames after which two windows and their changes no longer share a sample

IntArray = NDArray[np.int32]


@dataclass(frozen=True)
class NearCopy:
    """Two clips by their positions, ``first`` < ``second``, and the share of bits in which they differ."""

    first: int
    second: int
    bit_error_rate: float


def near_copies(fingerprints: Sequence[Fingerprint], files: Sequence[str]) -> list[NearCopy]:
    """Pairs of clips of different files whose shorter one is, for the most part, a copy of a part of the longer.

    Two clips are compared when at least two of their active frames agree, at the same distance in time, in all bits but
    some of the four weakest. They are near copies when at most 25 % of the bits differ (16 % where the shorter clip
    has 64 active frames, 0.8 s, or fewer) over at least 32 common active frames and 60 % of those of the shorter clip,
    unless that clip also resembles itself when shifted: of a tone or a hum, no fingerprint tells which one it is.

    Measured on RAVDESS by ``benchmarks/doctor.py``, 200 clips a distortion: cut, levelled, clipped, resampled, mu-law,
    mp3 and Ogg copies differ from their original in at most 13.9 % of the bits, copies that were cut, resampled to
    8 kHz and coded as mp3 in 16.1 %, the worst Ogg in 20.5 %; the two nearest different takes in 29.6 %. On EmoDB:
    12.8 %, 15.8 %, 15.8 % and 40.7 %. Of excerpts of 0.5 to 1.2 s, the nearest of different takes differ in 18.8 %.

    A value shared by many clips links each posting with its next eight only, so that time and memory grow with the
    number of clips and not with its square; clips that are all copies of one still end up in one group.

    Args:
        fingerprints: one a clip.
        files: one a clip; clips of one file are never compared.
    """
    found = []
    done: set[tuple[int, int]] = set()
    distinctive: dict[int, bool] = {}
    for first, second, distance in candidates(fingerprints, files):
        if (first, second) in done:
            continue
        one, other = fingerprints[first], fingerprints[second]
        rate = min(bit_error_rate(one, other, distance + step) for step in (-1, 0, 1))
        shorter = first if one.active.sum() <= other.active.sum() else second
        if not rate < _limit_of(fingerprints[shorter]):
            continue
        if shorter not in distinctive:
            distinctive[shorter] = is_distinctive(fingerprints[shorter])
        if distinctive[shorter]:
            done.add((first, second))
            found.append(NearCopy(first, second, rate))
    return sorted(found, key=lambda pair: (pair.first, pair.second))


def _limit_of(shorter: Fingerprint) -> float:
    return float(np.interp(shorter.active.sum(), list(BIT_ERROR_LIMITS), list(BIT_ERROR_LIMITS.values())))


def bit_error_rate(first: Fingerprint, second: Fingerprint, distance: int) -> float:
    """Share of different bits when frame n of the first meets frame n + ``distance`` of the second.

    Only frames that are active in both count; 1.0 when these are too few to tell.
    """
    start, stop = max(0, -distance), min(len(first), len(second) - distance)
    if stop <= start:
        return 1.0
    one, other = slice(start, stop), slice(start + distance, stop + distance)
    both = first.active[one] & second.active[other]
    count = int(both.sum())
    if count < max(LEAST_FRAMES, OVERLAP * min(first.active.sum(), second.active.sum())):
        return 1.0
    wrong = np.bitwise_count(first.values[one][both] ^ second.values[other][both])
    return float(wrong.sum()) / (BITS * count)


def is_distinctive(one: Fingerprint) -> bool:
    """Tells whether a clip differs from itself shifted by 0.2 s and more, as speech does and a steady tone does not."""
    active = int(one.active.sum())
    for shift in range(_OWN_SHIFT, len(one) - LEAST_FRAMES):
        both = one.active[shift:] & one.active[:-shift]
        count = int(both.sum())
        if count < max(LEAST_FRAMES, active // 3):
            continue
        wrong = np.bitwise_count(one.values[shift:][both] ^ one.values[:-shift][both])
        if float(wrong.sum()) < _OWN_LIMIT * BITS * count:
            return False
    return True


def copies_by_position(
    fingerprints: Sequence[Fingerprint], contents: Sequence[str], files: Sequence[str]
) -> dict[int, int]:
    """Position of a clip -> position of the clip that it copies, exactly (by ``contents``) or nearly.

    The first clip of each group has no entry; no clip is called a copy of one of its own file.
    """
    exact: list[NearCopy] = []
    holders: dict[str, int] = {}
    for position, content in enumerate(contents):
        first = holders.setdefault(content, position)
        if files[first] != files[position]:
            exact.append(NearCopy(first, position, 0.0))
    return first_of_copies([*exact, *near_copies(fingerprints, files)], files)


def first_of_copies(pairs: Sequence[NearCopy], files: Sequence[str]) -> dict[int, int]:
    """Position -> the position it is a copy of: the first of its group that lies in another file.

    The first clip of each group has no entry.

    >>> first_of_copies([NearCopy(1, 4, 0.1), NearCopy(2, 4, 0.1)], ["a", "b", "c", "d", "e"])
    {2: 1, 4: 1}
    """
    parents: dict[int, int] = {}

    def root_of(position: int) -> int:
        parents.setdefault(position, position)
        while parents[position] != position:
            parents[position] = parents[parents[position]]
            position = parents[position]
        return position

    for pair in pairs:
        low, high = sorted((root_of(pair.first), root_of(pair.second)))
        parents[high] = low
    groups: dict[int, list[int]] = {}
    for position in sorted(parents):
        groups.setdefault(root_of(position), []).append(position)
    return {
        member: next(other for other in members if files[other] != files[member])
        for members in groups.values()
        for member in members[1:]
    }


def candidates(fingerprints: Sequence[Fingerprint], files: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """First clip, second clip and distance in frames of what is worth comparing, most hits first."""
    consistent = _consistent(_hits(fingerprints, files))
    for start in range(0, len(consistent), _FRAMES_AT_ONCE):
        yield from map(tuple, consistent[start : start + _FRAMES_AT_ONCE].tolist())


def _hits(fingerprints: Sequence[Fingerprint], files: Sequence[str]) -> IntArray:
    """Rows of first clip, second clip and distance in frames: one a pair of frames that nearly agree."""
    numbers = {file: number for number, file in enumerate(dict.fromkeys(files))}
    file_of = np.array([numbers[file] for file in files], dtype=np.int32)
    clips = np.repeat(np.arange(len(fingerprints), dtype=np.int32), [int(one.active.sum()) for one in fingerprints])
    if not len(clips):
        return np.zeros((0, 3), np.int32)
    frames = np.concatenate([np.flatnonzero(one.active).astype(np.int32) for one in fingerprints])
    values = np.concatenate([one.values[one.active] for one in fingerprints])
    weak = np.concatenate([one.weak[one.active] for one in fingerprints])
    order = np.argsort(values, kind="stable")
    values, clips, frames, weak = values[order], clips[order], frames[order], weak[order]
    hits = [np.zeros((0, 3), np.int32)]
    for start in range(0, len(values), _FRAMES_AT_ONCE):
        here = np.arange(start, min(start + _FRAMES_AT_ONCE, len(values)))
        for turned in range(1 << WEAK_BITS):
            mask = np.zeros(len(here), np.uint32)
            for bit in range(WEAK_BITS):
                if turned >> bit & 1:
                    mask |= np.uint32(1) << weak[here, bit].astype(np.uint32)
            wanted = values[here] ^ mask
            begin = here + 1 if not turned else np.searchsorted(values, wanted)
            for step in range(_NEIGHBOURS):
                there = np.minimum(begin + step, len(values) - 1)
                same = (begin + step < len(values)) & (values[there] == wanted)
                if not same.any():
                    break
                one, other = here[same], there[same]
                apart = file_of[clips[one]] != file_of[clips[other]]
                one, other = one[apart], other[apart]
                swap = clips[one] > clips[other]
                one, other = np.where(swap, other, one), np.where(swap, one, other)
                hits.append(np.stack([clips[one], clips[other], frames[other] - frames[one]], axis=1))
    return np.concatenate(hits)


def _consistent(hits: IntArray) -> IntArray:
    """Hits (first, second, distance) whose distance occurs often enough, give or take one frame."""
    order = np.lexsort(hits.T[::-1])
    hits = hits[order]
    new = np.ones(len(hits), bool)
    new[1:] = (hits[1:] != hits[:-1]).any(axis=1)
    unique, counts = hits[new], np.diff(np.append(np.flatnonzero(new), len(hits)))
    follows = np.zeros(len(unique), bool)
    follows[:-1] = (unique[1:, :2] == unique[:-1, :2]).all(axis=1) & (unique[1:, 2] == unique[:-1, 2] + 1)
    together = counts + np.where(follows, np.append(counts[1:], 0), 0)
    kept = np.flatnonzero(together >= _LEAST_HITS)
    kept = kept[np.argsort(-together[kept], kind="stable")]
    return unique[kept]
