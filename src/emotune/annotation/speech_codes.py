"""Discrete speech codes over the frame states of an encoder: by k-means, or learnt by a VQ-VAE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.errors import AudioError, ConfigError, CorpusError, TableError
from emotune.inference.embeddings.embed import embed, embedded
from emotune.inference.embeddings.embedder import FRAME, Embedder, embedder_of
from emotune.inference.items import Item
from emotune.io.tables import atomic_path, parse_json, to_json
from emotune.runtime.extras import needs
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest

SCHEMA = "emotune-codebook/1"
_MOST_FRAMES = 200_000
_MOST_CODES = 4096


@dataclass(frozen=True)
class Codebook:
    """Centroids of frame states, shape (codes, size), and whence they come.

    ``about`` names model, layer, frame rate, and the share of codes that training frames used. With a ``weight``, shape
    (size, features), and a ``bias``, shape (size,), states are mapped by these first.
    """

    centroids: NDArray[np.float32]
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    weight: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None

    def encode(self, frames: NDArray[np.floating]) -> NDArray[np.int64]:
        """Nearest centroid of each frame, shape (frames, features) -> (frames,), each from 0 to codes - 1."""
        if self.weight is not None and self.bias is not None:
            frames = frames @ self.weight.T + self.bias
        products = frames @ self.centroids.T
        return (np.sum(self.centroids**2, axis=1) - 2 * products).argmin(axis=1)

    def write(self, path: Path) -> None:
        """Writes the codebook as .npz, without anything pickled.

        Raises:
            TableError: when it cannot be written.
        """
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            arrays: dict[str, Any] = {"centroids": self.centroids, "weight": self.weight, "bias": self.bias}
            arrays = {name: array for name, array in arrays.items() if array is not None}
            np.savez(stream, **arrays, about=np.array(to_json({"schema": SCHEMA, **self.about})))

    @classmethod
    def read(cls, path: Path) -> Codebook:
        """Reads a codebook.

        Raises:
            TableError: for a file that is none.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                centroids, about = content["centroids"], parse_json(str(content["about"]))
                mapped = {name: content[name].astype(np.float32) for name in ("weight", "bias") if name in content}
            if about.get("schema") != SCHEMA or centroids.ndim != 2 or not np.isfinite(centroids).all():
                raise ValueError(f"its schema is {about.get('schema')!r}, expected {SCHEMA!r}")
        except Exception as error:  # numpy and zipfile raise what they like for what is no archive
            raise TableError(f"{path} is no codebook of `emotune codebook`: {error}.") from error
        return cls(centroids.astype(np.float32), about, **mapped)


def fit_codebook(
    embedder: Embedder,
    manifest: Manifest,
    *,
    codes: int = 100,
    seed: int = 0,
    progress: Progress = silent,
) -> Codebook:
    """Fits k-means to the frames of a manifest's utterances.

    Args:
        embedder: of the level ``frame``.
        manifest: whose frames are clustered: a training split.
        codes: how many there are.
        seed: of the clustering, and of the frames where there are more than 200,000.
        progress: shows how far the work is.

    Raises:
        ConfigError: for fewer than two codes, or an embedder of clips.
        CorpusError: for fewer frames than codes.
    """
    if not 2 <= codes <= _MOST_CODES:
        raise ConfigError(f"codes is {codes}, expected 2 to {_MOST_CODES}.")
    if embedder.about.get("level") != FRAME:
        raise ConfigError("Speech codes are of frames: the embedder must be of the level frame.")
    with needs("train", "Clustering"):
        from sklearn.cluster import MiniBatchKMeans  # noqa: PLC0415
    found = embedded(embedder, [_item(manifest, place) for place in range(len(manifest))])
    clips = list(progress(found, total=len(manifest), title="embedding"))
    frames, skipped = [own.vectors for own in clips if own.error is None], [own.error for own in clips if own.error]
    rows = np.concatenate(frames) if frames else np.zeros((0, 1), np.float32)
    if len(rows) < codes:
        reason = f" {len(skipped)} cannot be used, such as: {skipped[0]}" if skipped else ""
        raise CorpusError(f"There are {len(rows)} frames, fewer than the {codes} codes: name more recordings.{reason}")
    generator = np.random.default_rng(seed)
    drawn = rows[generator.permutation(len(rows))[:_MOST_FRAMES]]
    kind: Any = MiniBatchKMeans
    clusters = kind(n_clusters=codes, random_state=seed, n_init=3, batch_size=4096)
    fitted = Codebook(np.asarray(clusters.fit(drawn).cluster_centers_, dtype=np.float32))
    about = {**embedder.about, "codes": codes, "seed": seed, **use_of(fitted.encode(rows), codes)}
    return Codebook(fitted.centroids, {**about, "skipped": skipped})


def learn_codebook(
    model: str,
    manifest: Manifest,
    *,
    layer: int,
    codes: int = 100,
    epochs: int = 4,
    seed: int = 0,
    device: str | None = None,
) -> Codebook:
    """Learns codes by a VQ-VAE, a task of the training loop, over the frames of a manifest's utterances.

    Args:
        model: a bare encoder or a model, as ``embedder_of`` has it.
        manifest: a training split.
        layer: the state that is coded.
        codes: how many there are.
        epochs: through the utterances.
        seed: of weights and order.
        device: as ``embedder_of`` has it.

    Raises:
        ConfigError: for fewer than two codes.
        CorpusError: for fewer frames than codes.
        EmotuneError: for a model or recordings that cannot be used.
    """
    if not 2 <= codes <= _MOST_CODES:
        raise ConfigError(f"codes is {codes}, expected 2 to {_MOST_CODES}.")
    with needs("train", "A VQ-VAE"):
        from emotune.inference.embeddings.layer_states import LayerStates  # noqa: PLC0415 (torch)
        from emotune.training.vq_vae import fit_vq_vae  # noqa: PLC0415 (as above)
    embedder = embedder_of(model, level=FRAME, layer=layer, device=device)
    assert isinstance(embedder, LayerStates)
    try:
        weight, bias, centroids = fit_vq_vae(
            embedder.backbone, embedder.preprocessing, manifest, layer=layer, codes=codes, epochs=epochs, seed=seed
        )
    except ValueError as error:
        raise CorpusError(f"The codes cannot be learnt: {error}. Name more recordings, or fewer codes.") from error
    made = Codebook(centroids.numpy(), {}, weight.numpy(), bias.numpy())
    found = embedded(embedder, [_item(manifest, place) for place in range(len(manifest))])
    used = np.concatenate([made.encode(own.vectors) for own in found if own.error is None])
    about = {**embedder.about, "codes": codes, "seed": seed, "epochs": epochs, **use_of(used, codes)}
    return Codebook(made.centroids, about, made.weight, made.bias)


def use_of(codes: NDArray[np.int64], size: int) -> dict[str, float]:
    """Use of a codebook: frames, share of codes that occur, and perplexity (2 to the entropy in bits).

    >>> use_of(np.array([0, 1, 0, 1]), 4)
    {'frames': 4, 'used_share': 0.5, 'perplexity': 2.0}
    """
    shares = np.bincount(codes, minlength=size) / max(1, len(codes))
    positive = shares[shares > 0]
    entropy_bits = float(-(positive * np.log2(positive)).sum())
    return {
        "frames": len(codes),
        "used_share": float((shares > 0).mean()),
        "perplexity": round(2**entropy_bits, 6),
    }


def without_repeats(codes: Iterable[int]) -> list[int]:
    """Codes of frames as a sequence in which none follows itself.

    >>> without_repeats([3, 3, 1, 3])
    [3, 1, 3]
    """
    kept: list[int] = []
    for code in codes:
        if not kept or kept[-1] != code:
            kept.append(int(code))
    return kept


class Codes:
    """Codes of a clip by a codebook and the encoder that it was made with.

    Args:
        codebook: of frames.
        embedder: the encoder; None = loaded by the codebook's own words.

    Raises:
        ModelError: when the encoder cannot be had any more.
    """

    def __init__(self, codebook: Codebook, embedder: Embedder | None = None) -> None:
        self.codebook = codebook
        self._given = embedder

    @cached_property
    def _embedder(self) -> Embedder:
        about = self.codebook.about
        found = self._given or embedder_of(str(about["model"]), level=FRAME, layer=about["layer"])
        if found.about.get("model_fingerprint") != about.get("model_fingerprint"):
            raise ConfigError(
                f"{about['model']} is not the encoder that the codebook was made with: make it again with"
                " `emotune codebook`."
            )
        return found

    def __call__(self, samples: FloatArray) -> Sequence[int]:
        """Codes of a clip, shape (samples,) at 16 kHz, without repeats.

        Raises:
            AudioError: for a clip that the encoder does not take.
        """
        (own,) = embed(self._embedder, (samples, SAMPLING_RATE_HZ))
        if own.error is not None:
            raise AudioError(own.error)
        return without_repeats(self.codebook.encode(own.vectors))


def _item(manifest: Manifest, place: int) -> Item:
    u = manifest.utterances[place]
    return Item(u.utterance_id, manifest.path_of(u), u.start_s, u.end_s, channel=u.heard_channel)
