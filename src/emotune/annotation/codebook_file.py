"""Codebook of a manifest's speech, from its file to another."""

from __future__ import annotations

from pathlib import Path

from emotune.annotation.speech_codes import Codebook, fit_codebook, learn_codebook
from emotune.errors import ConfigError
from emotune.inference.embeddings.embedder import FRAME, embedder_of
from emotune.io.tables import check_file, check_suffix
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest


def make_codebook(
    model: str,
    manifest_path: Path,
    output: Path,
    *,
    split: str | None = None,
    codes: int = 100,
    layer: int | None = None,
    vq_vae: bool = False,
    epochs: int = 4,
    seed: int = 0,
    device: str | None = None,
    progress: Progress = silent,
) -> Codebook:
    """Makes a codebook of a manifest's frames and writes it as .npz.

    Args:
        model: an encoder or a model, as ``embedder_of`` has it.
        manifest_path: to read.
        output: to write.
        split: whose frames are coded; None = all.
        codes: how many there are.
        layer: of the encoder; None = the mix of a model, else the last.
        vq_vae: codes are learnt by a VQ-VAE instead of found by k-means; needs a layer.
        epochs: of the VQ-VAE.
        seed: of the clustering or learning.
        device: as ``emotune.load`` has it; a VQ-VAE learns on the encoder's.
        progress: shows how far the work is.

    Raises:
        EmotuneError: for a model, a manifest or an output that cannot be used, or options that do not fit.
    """
    check_suffix(output, (".npz",))
    check_file(output, inputs=[manifest_path])
    manifest = Manifest.read(manifest_path)
    manifest = manifest if split is None else manifest.split(split)
    if vq_vae:
        if layer is None:
            raise ConfigError("--vq-vae codes one layer: name it with --layer.")
        made = learn_codebook(model, manifest, layer=layer, codes=codes, epochs=epochs, seed=seed, device=device)
    else:
        embedder = embedder_of(model, level=FRAME, layer=layer, device=device)
        made = fit_codebook(embedder, manifest, codes=codes, seed=seed, progress=progress)
    made.write(output)
    return made
