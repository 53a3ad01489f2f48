"""Genders that a predictor hears in the recordings of a manifest file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.conditions.gender import GenderPredictor, gender_accuracy
from emotune.inference.loading import load
from emotune.io.tables import check_output
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest


@dataclass(frozen=True)
class FilledGender:
    """Outcome of gender prediction.

    Args:
        manifest: with its column ``gender_predicted``.
        errors: one for each utterance that could not be predicted.
        right: utterances predicted as the corpus says.
        compared: utterances of which both are known.
    """

    manifest: Manifest
    errors: Sequence[str]
    right: int
    compared: int


def fill_gender(
    manifest_path: Path,
    output: Path,
    model: str,
    *,
    device: str | None = None,
    batch_seconds: float = 40.0,
    spreadsheet_safe: bool = False,
    progress: Progress = silent,
) -> FilledGender:
    """Predicts the gender of every utterance of a manifest, and writes it with the column ``gender_predicted``.

    Args:
        manifest_path: to read.
        output: the manifest to write.
        model: trained with ``data.target=gender``.
        device: as ``emotune.load`` has it.
        batch_seconds: as ``emotune.load`` has it.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.
        progress: shows how far the work is.

    Raises:
        EmotuneError: for a manifest, a model or an output that cannot be used.
    """
    check_output(output, inputs=[manifest_path], spreadsheet_safe=spreadsheet_safe)
    manifest = Manifest.read(manifest_path)
    predictor = GenderPredictor(load(model, device=device, batch_seconds=batch_seconds))
    manifest, errors = predictor.fill_and_tell(manifest, progress=progress)
    manifest.write(output, spreadsheet_safe=spreadsheet_safe)
    return FilledGender(manifest, errors, *gender_accuracy(manifest))
