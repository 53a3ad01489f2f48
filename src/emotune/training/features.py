"""Pooled features of every layer of a frozen encoder, cached on disk by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emotune import audio
from emotune.audio.preprocessing import Preprocessing, batches_under
from emotune.batch import Batch, pad
from emotune.data.augmentations.pipeline import Augmentation, generator_of
from emotune.errors import AudioError
from emotune.io.array_cache import array_path, read_array, write_array
from emotune.models.aggregations import POOLINGS
from emotune.models.backbones.base import Backbone
from emotune.models.emotion_model import EmotionModel
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest, by_recording
from emotune.schema.utterance import Utterance
from emotune.training.loop import processes

FloatArray = NDArray[np.float32]
_BATCH_SECONDS = 40.0
_POOL = 256  # segments in memory
_FEATURES_VERSION = 2  # raise it when an encoder's forward changes, so that old features are not reused


@dataclass(frozen=True)
class AugmentedCopy:
    """An augmented copy of each utterance; the same one wherever seed, number and recording are the same.

    Args:
        augmentation: what changes it.
        settings: those of the augmentation, as plain JSON, which tell its features in the cache from others.
        seed, number: of the randomness.
    """

    augmentation: Augmentation
    settings: Mapping[str, Any]
    seed: int
    number: int

    def __call__(self, utterance: Utterance, samples: audio.FloatArray) -> audio.FloatArray:
        """The copy of a trimmed clip, shape (samples,) -> (samples,), perhaps of another length."""
        return self.augmentation(samples, generator_of(self.seed, self.number, str(utterance.content_sha256)))

    @property
    def key(self) -> dict[str, Any]:
        """Settings that the features of the copy depend on, beside the recording."""
        return {"augmentation": dict(self.settings), "seed": self.seed, "number": self.number}


def utterance_waveforms(
    manifest: Manifest, preprocessing: Preprocessing, *, copy: AugmentedCopy | None = None
) -> Iterator[tuple[Utterance, audio.FloatArray]]:
    """Each utterance, or its augmented copy, decoded and prepared, shape (samples,).

    Raises:
        AudioError: for an utterance that cannot be used, naming it.
    """
    rate, longest_s = preprocessing.sampling_rate_hz, preprocessing.longest_decoded_s
    clips = manifest.clips_of(manifest.utterances, sampling_rate_hz=rate, max_duration_s=longest_s)
    for utterance, clip in zip(manifest, clips, strict=True):
        try:
            if isinstance(clip, AudioError):
                raise clip
            samples = preprocessing.trim(clip.samples)
            changed = samples if copy is None else copy(utterance, samples)
            yield utterance, preprocessing.finish(changed if preprocessing.fits(changed) else samples)
        except AudioError as error:
            raise AudioError(f"{utterance.utterance_id}: {error} Leave it out of the manifest.") from error


def layer_features(
    backbone: Backbone,
    preprocessing: Preprocessing,
    manifest: Manifest,
    *,
    pooling: str,
    cache: Path,
    copy: AugmentedCopy | None = None,
    progress: Progress = silent,
) -> FloatArray:
    """Pooled hidden states, shape (utterances, layers + 1, features); state 0 is the input of the first layer.

    Each utterance's features lie in the cache under a key of the encoder's weights, the preprocessing and the pooling,
    in a file named by the content of the recording, so another manifest or split reuses them. What lies there and is
    of another shape or not finite is computed again.

    Args:
        backbone: a frozen encoder.
        preprocessing: what it needs.
        manifest: the utterances, with their content fingerprints.
        pooling: ``mean`` or ``mean_std``: one without parameters.
        cache: folder of the cache; made where it does not exist.
        copy: an augmented copy of each utterance instead of the clip itself.

    Raises:
        AudioError: for an utterance that cannot be used.
    """
    folder = cache / _cache_key(backbone, preprocessing, pooling, copy)
    pool = POOLINGS[pooling](backbone.hidden_size)  # mean and mean_std have no parameters
    shape = (backbone.num_layers + 1, pool.output_size)
    found = {utterance.content_sha256: read_array(_cache_file(folder, utterance), shape) for utterance in manifest}
    missing = manifest.filter(lambda utterance: found[utterance.content_sha256] is None)
    backbone.eval()

    def encode(batch: Batch) -> torch.Tensor:
        states = backbone(batch.waveforms, batch.mask)
        return torch.stack([pool(state, states.mask) for state in states.states], dim=1)

    rows = _encoded(encode, missing, preprocessing, next(backbone.parameters()).device, copy=copy)
    for utterance, features in progress(rows, total=len(missing), title="features"):
        write_array(_cache_file(folder, utterance), features)
        found[utterance.content_sha256] = features
    complete = {content: features for content, features in found.items() if features is not None}
    return np.stack([complete[utterance.content_sha256] for utterance in manifest])


def pooled_features(
    model: EmotionModel, preprocessing: Preprocessing, manifest: Manifest, *, progress: Progress = silent
) -> FloatArray:
    """Inputs of an emotion model's heads before standardisation, shape (utterances, features), in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    rows = _encoded(lambda batch: model(batch).features, manifest, preprocessing, device)
    found = {u.utterance_id: features for u, features in progress(rows, total=len(manifest), title="features")}
    return np.stack([found[utterance.utterance_id] for utterance in manifest])


def pooled_together(
    model: EmotionModel, preprocessing: Preprocessing, manifest: Manifest, *, progress: Progress = silent
) -> FloatArray:
    """Pooled features as of ``pooled_features``, encoded by all processes that train together, each its part."""

    def own_part(utterances: Sequence[Utterance]) -> list[FloatArray]:
        part = manifest.replace_utterances(utterances)
        return list(pooled_features(model, preprocessing, part, progress=progress))

    return np.stack(processes.shared_out(manifest.utterances, own_part))


def _encoded(
    encode: Callable[[Batch], torch.Tensor],
    manifest: Manifest,
    preprocessing: Preprocessing,
    device: torch.device,
    *,
    copy: AugmentedCopy | None = None,
) -> Iterator[tuple[Utterance, FloatArray]]:
    """Runs ``encode`` over the utterances in padded batches of at most ``_BATCH_SECONDS``.

    The shortest come first, then the segments, recording by recording, so that each is decoded once.
    """
    whole = [manifest.utterances[group[0]] for group in by_recording(manifest.utterances) if len(group) == 1]
    segments = [manifest.utterances[n] for group in by_recording(manifest.utterances) if len(group) > 1 for n in group]
    by_length = sorted(whole, key=lambda utterance: utterance.duration_s or 0.0)
    prepared = chain(
        utterance_waveforms(manifest.replace_utterances(by_length), preprocessing, copy=copy),
        _sorted_pools(utterance_waveforms(manifest.replace_utterances(segments), preprocessing, copy=copy)),
    )
    limit = _BATCH_SECONDS * preprocessing.sampling_rate_hz
    for batch in batches_under(prepared, samples_of=lambda item: len(item[1]), limit=limit):
        with torch.inference_mode():
            encoded = encode(pad([waveform for _, waveform in batch]).to(device)).cpu().numpy()
        yield from zip([utterance for utterance, _ in batch], encoded, strict=True)


def _sorted_pools(
    prepared: Iterator[tuple[Utterance, audio.FloatArray]],
) -> Iterator[tuple[Utterance, audio.FloatArray]]:
    """The same, sorted by length so many at a time, so that little is padded."""
    while pool := list(islice(prepared, _POOL)):
        yield from sorted(pool, key=lambda item: len(item[1]))


def _cache_file(folder: Path, utterance: Utterance) -> Path:
    content = utterance.content_sha256
    assert content is not None, "build_manifest refuses utterances without a fingerprint"
    return array_path(folder, content)


def _cache_key(backbone: Backbone, preprocessing: Preprocessing, pooling: str, copy: AugmentedCopy | None) -> str:
    settings: dict[str, Any] = {
        "features": _FEATURES_VERSION,
        "backbone": backbone.config,
        "preprocessing": preprocessing.to_json(),
        "pooling": pooling,
        **({} if copy is None else {"copy": copy.key}),
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    backbone.add_weights_to(digest.update)
    return digest.hexdigest()[:24]
