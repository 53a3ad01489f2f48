"""Clips that are longer or shorter than the model takes: found in all splits before anything is trained."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from emotune.audio.preprocessing import Preprocessing
from emotune.errors import AudioError, CorpusError
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

_NEAR = 2  # samples by which a stated duration may miss those that are heard, since resampling rounds
_FRAME = 400  # samples that trimming leaves at least
_DONE = {"cut": "cut to that", "pad": "padded with silence", "error": "rows with an error when they are predicted"}
_CURES = {
    "too_long": "Cut them into segments, raise data.max_duration_s, or set data.too_long: drop or cut.",
    "too_short": "Leave them out, or set data.too_short: drop or pad.",
}


def with_lengths_settled(
    manifest: Manifest, preprocessing: Preprocessing, *, too_long: str, too_short: str, learnt: Collection[str] = ()
) -> Manifest:
    """Drop the clips that are to be dropped; what is dropped or changed is counted in the manifest's information.

    Args:
        manifest: all utterances.
        preprocessing: with the limits.
        too_long: ``error``, ``drop`` or ``cut``.
        too_short: ``error``, ``drop`` or ``pad``.
        learnt: the splits that training or its choices hear; () = all of them. In another split, such as test, a clip
            that is an error becomes a row with that error when it is predicted.

    Raises:
        CorpusError: for clips of the learnt splits that are an error.
        AudioError: for a recording whose length is in doubt and that cannot be decoded.
    """
    samples = {utterance.utterance_id: _samples(manifest, utterance, preprocessing) for utterance in manifest}
    least_s = preprocessing.min_samples / preprocessing.sampling_rate_hz
    long = [utterance for utterance in manifest if samples[utterance.utterance_id] > preprocessing.most_samples]
    short = [utterance for utterance in manifest if samples[utterance.utterance_id] < preprocessing.min_samples]
    limits = (
        ("too_long", too_long, f"longer than {preprocessing.max_duration_s:g} s", long),
        ("too_short", too_short, f"shorter than {least_s:g} s", short),
    )
    left_out, lengths, faults, dropped = dict(manifest.information.get("left_out", {})), {}, [], set()
    for key, rule, what, found in limits:
        heard = [utterance for utterance in found if not learnt or utterance.split in learnt]
        if rule == "error" and heard:
            first_s = samples[heard[0].utterance_id] / preprocessing.sampling_rate_hz
            such = f"{heard[0].utterance_id} ({first_s:.4g} s)"
            faults.append(f"{len(heard)} utterances are {what} ({_by_split(heard)}), such as {such}. {_CURES[key]}")
        elif rule == "drop" and found:
            left_out[f"{what}: {_by_split(found)}"] = len(found)
            dropped |= {utterance.utterance_id for utterance in found}
        elif found:
            lengths[f"{what}, {_DONE[rule]}: {_by_split(found)}"] = len(found)
    if faults:
        raise CorpusError("\n".join(faults))
    kept = manifest.filter(lambda utterance: utterance.utterance_id not in dropped)
    information = {**manifest.information, "left_out": left_out, "lengths": lengths}
    return dataclasses.replace(kept, information={name: value for name, value in information.items() if value})


def training_duration_s(train: Manifest, preprocessing: Preprocessing) -> float | None:
    """Seconds that 99 % of the training clips keep to; None where the manifest knows no durations.

    Args:
        train: the training split.
        preprocessing: whose limit holds for clips that are cut to it.
    """
    durations = [utterance.duration_s for utterance in train if utterance.duration_s is not None]
    if not durations:
        return None
    return round(min(float(np.percentile(durations, 99)), preprocessing.max_duration_s), 3)


def _by_split(utterances: Sequence[Utterance]) -> str:
    """Counts utterances by split, such as ``train 3, test 1``."""
    counts = Counter(utterance.split or "no split" for utterance in utterances)
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _samples(manifest: Manifest, utterance: Utterance, preprocessing: Preprocessing) -> int:
    """Samples of a clip as the model would hear it; it is decoded where its duration does not tell."""
    stated = round((utterance.duration_s or 0.0) * preprocessing.sampling_rate_hz)
    most, least = preprocessing.most_samples, preprocessing.min_samples
    is_near = min(abs(stated - most), abs(stated - least)) <= _NEAR
    may_shrink = preprocessing.trim_silence_db is not None and (stated > most or (stated > least > _FRAME))
    if not is_near and not may_shrink:
        return stated
    try:
        return len(
            preprocessing.trimmed(manifest.clip_of(utterance, sampling_rate_hz=preprocessing.sampling_rate_hz).samples)
        )
    except AudioError as error:
        raise AudioError(f"{utterance.utterance_id}: {error} Leave it out of the manifest.") from error
