"""Embedding of files, folders and tables to one file of vectors."""

# pyright: strict
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotune.errors import ModelError
from emotune.inference.embeddings.embed import embedded
from emotune.inference.embeddings.embedder import CLIP, embedder_of
from emotune.inference.embeddings.vector_files import check_vector_output, write_vectors
from emotune.inference.inputs import Inputs
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent


@dataclass(frozen=True)
class EmbeddedFiles:
    """Outcome of an embedding: how many clips and vectors were written, of how many features, and what failed."""

    clips: int
    rows: int
    features: int
    errors: tuple[str, ...]


def embed_files(
    model: str,
    inputs: Inputs,
    output: Path,
    *,
    level: str = CLIP,
    layer: int | str | None = None,
    device: str | None = None,
    batch_seconds: float = 40.0,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> EmbeddedFiles:
    """Embeds files and writes their vectors; a recording that cannot be used is named, and the others are written.

    Args:
        model: as ``embedder_of`` has it.
        inputs: to be embedded.
        output: .npy, .parquet or .h5.
        level: ``clip`` or ``frame``.
        layer: as ``embedder_of`` has it.
        device: likewise.
        batch_seconds: longest padded batch in audio-seconds; changes speed only.
        listener: told of the columns taken and of files passed over.
        progress: shows how far the work is.

    Raises:
        EmotuneError: for inputs, a model or an output that cannot be used, or when no recording can be.
    """
    listener = listener or Listener()
    check_vector_output(output, inputs=inputs.paths)
    inputs.say_columns(listener)
    items = inputs.listed(listener)
    embedder = embedder_of(model, level=level, layer=layer, device=device)
    errors: list[str] = []

    def vectors() -> Iterator[tuple[str, NDArray[np.float32]]]:
        found = embedded(embedder, items, batch_seconds=batch_seconds)
        for own in progress(found, total=len(items), title="embedding"):
            if own.error is not None:
                errors.append(own.error)
            else:
                yield own.utterance_id, own.vectors
        if len(errors) == len(items):
            raise ModelError(f"None of {len(items)} recordings can be embedded, such as: {errors[0]}")

    file = write_vectors(output, vectors(), embedder.about)
    return EmbeddedFiles(len(file.index), file.rows, file.features or 0, tuple(errors))
