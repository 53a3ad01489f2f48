"""Recordings of any length as a model hears them: mono blocks of one size, a second or some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from emotune.audio.decoding.clips import check_samples
from emotune.audio.decoding.segments import Channel, Cut, Segment
from emotune.audio.decoding.sound import FloatArray, Sound

BLOCK_S = 4.0


@dataclass(frozen=True)
class Blocks:
    """Part of a recording that is being decoded.

    Args:
        likely_s: a guess of its length; 0 where there is none.
        blocks: an array of shape (samples,) for each channel that was asked for, all of ``BLOCK_S`` but the last.
    """

    likely_s: float
    blocks: Iterator[tuple[FloatArray, ...]]


def blocks_of(
    sound: Sound, channels: Sequence[Channel], *, start_s: float | None, end_s: float | None, sampling_rate_hz: int
) -> Blocks:
    """Blocks of an opened sound.

    Raises:
        AudioError: when the sound has no such part or channel; from the blocks, when it is damaged.
    """
    cuts = [Cut(sound, Segment(start_s, end_s, channel)) for channel in channels]
    heard = (tuple(parts) for parts in _even(_heard(sound, cuts, sampling_rate_hz), len(cuts), sampling_rate_hz))
    return Blocks(cuts[0].likely_frames / sound.sampling_rate_hz, heard)


def _heard(sound: Sound, cuts: Sequence[Cut], rate: int) -> Iterator[list[FloatArray]]:
    """Mono blocks at the wanted rate, as large as they are decoded."""
    stored = sound.sampling_rate_hz
    resamplers = [None if stored == rate else _resampler(stored, rate) for _ in cuts]
    at = cuts[0].start if sound.seeks else 0
    frames = 0
    for block in sound.blocks_from(at):
        parts = [cut.of_block(block, at) for cut in cuts]
        at += len(block)
        if len(parts[0]):
            frames += len(parts[0])
            check_samples(frames, float(max(part.max() - part.min() for part in parts)) / 2, sound.name)
            yield [_resampled(_mono(part), resampler) for part, resampler in zip(parts, resamplers, strict=True)]
        if cuts[0].is_complete(at):
            break
    cuts[0].check_ends(at)
    check_samples(frames, 0.0, sound.name)
    nothing = np.zeros(0, dtype=np.float32)
    if stored != rate:
        yield [_resampled(nothing, resampler, last=True) for resampler in resamplers]


def _resampler(stored: int, rate: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(stored, rate, 1, dtype="float32", quality="HQ")


def _resampled(samples: FloatArray, resampler: soxr.ResampleStream | None, *, last: bool = False) -> FloatArray:
    return samples if resampler is None else resampler.resample_chunk(samples, last=last)


def _mono(block: FloatArray) -> FloatArray:
    return np.ascontiguousarray(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1))


def _even(blocks: Iterator[list[FloatArray]], channels: int, rate: int) -> Iterator[list[FloatArray]]:
    """The same sound in blocks of one size, whatever the sizes that it comes in."""
    size = round(BLOCK_S * rate)
    waiting: list[FloatArray] = [np.zeros(0, dtype=np.float32)] * channels
    for parts in blocks:
        joined = [np.concatenate(pair) for pair in zip(waiting, parts, strict=True)]
        whole = len(joined[0]) // size * size
        yield from ([part[at : at + size] for part in joined] for at in range(0, whole, size))
        waiting = [part[whole:].copy() for part in joined]
    if len(waiting[0]):
        yield waiting
