"""Data of multi-view pre-training: numbers of clips and speakers, and what views measure of the clips."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import CorpusError
from emotune.io.array_cache import array_path, read_array, write_array
from emotune.losses.contrastive import UNKNOWN_SPEAKER
from emotune.models.views.view import View
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.truth import Numbers, Truth
from emotune.schema.utterance import Utterance
from emotune.training.features import utterance_waveforms
from emotune.training.loop import processes


def clip_truth(manifest: Manifest) -> Truth:
    """The number of each clip and of its speaker, who may be unknown."""
    clips = {utterance.utterance_id: number for number, utterance in enumerate(manifest)}
    known = sorted({_speaker_of(utterance) for utterance in manifest if utterance.speaker is not None})
    speakers = {name: number for number, name in enumerate(known)}

    def numbers(utterance: Utterance) -> Numbers:
        speaker = speakers.get(_speaker_of(utterance), UNKNOWN_SPEAKER)
        return float(clips[utterance.utterance_id]), float(speaker)

    return Truth(numbers)


def refuse_unknown_speakers(manifest: Manifest) -> None:
    """Refuses options of speakers where some are unknown.

    Raises:
        CorpusError: naming the first clip.
    """
    unknown = [utterance.utterance_id for utterance in manifest if utterance.speaker is None]
    if unknown:
        raise CorpusError(
            f"task.same_speaker needs speakers, and {len(unknown)} clips have none, such as {unknown[0]}. Give the"
            " manifest a column speaker, or task.same_speaker=keep."
        )


def measured_numbers(
    views: Mapping[str, View],
    manifest: Manifest,
    preprocessing: Preprocessing,
    *,
    cache: Path,
    progress: Progress = silent,
) -> dict[str, FloatArray]:
    """Measures of each clip, trimmed as the model hears it, by view, shape (clips, numbers), NaN = undefined.

    Each process measures its part; what was measured before comes from the folder ``cache``.

    Raises:
        AudioError: for a clip that cannot be used.
    """
    plain = dataclasses.replace(preprocessing, normalize="none")
    found: dict[str, FloatArray] = {}
    for view in views.values():
        if view.measures is not None:
            settings = json.dumps([view.measures, view.version, plain.to_json()], sort_keys=True)
            folder = cache / hashlib.sha256(settings.encode()).hexdigest()[:24]
            own_part = partial(_measured, view, folder, manifest, plain, progress)
            found[view.measures] = np.stack(processes.shared_out(manifest.utterances, own_part))
    return found


def _measured(
    view: View,
    folder: Path,
    manifest: Manifest,
    preprocessing: Preprocessing,
    progress: Progress,
    utterances: Sequence[Utterance],
) -> list[FloatArray]:
    """Numbers of some clips, shape (numbers,) each; what the folder lacks is measured and kept there."""
    part = manifest.replace_utterances(utterances)
    files = {utterance.utterance_id: array_path(folder, str(utterance.content_sha256)) for utterance in part}
    found = {name: _kept(path) for name, path in files.items()}
    missing = part.filter(lambda utterance: found[utterance.utterance_id] is None)
    rows = utterance_waveforms(missing, preprocessing)
    for utterance, samples in progress(rows, total=len(missing), title=str(view.measures)):
        name, numbers = utterance.utterance_id, view.measure(samples)
        found[name] = numbers
        write_array(files[name], np.stack([np.nan_to_num(numbers), np.isnan(numbers)]).astype(np.float32))
    return [numbers for numbers in found.values() if numbers is not None]


def _kept(path: Path) -> FloatArray | None:
    """Numbers that were kept beside marks of what is undefined, shape (numbers,); None where there are none."""
    kept = read_array(path, (2, None))
    return None if kept is None else np.where(kept[1] > 0, np.float32(np.nan), kept[0])


def _speaker_of(utterance: Utterance) -> str:
    if utterance.speaker is None:
        return f"clip {utterance.utterance_id}"
    return f"{utterance.corpus or ''}/{utterance.speaker}"
