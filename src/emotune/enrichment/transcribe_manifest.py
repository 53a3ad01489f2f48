"""Transcripts of the recordings of a manifest file."""

from __future__ import annotations

from pathlib import Path

from emotune.enrichment.speech_recogniser import Transcriber
from emotune.enrichment.transcribe import CACHE, one_language, transcribed
from emotune.io.tables import check_output
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest


def transcribe_manifest(
    manifest_path: Path,
    output: Path,
    model: str,
    *,
    revision: str | None = None,
    language: str | None = None,
    cache: Path = CACHE,
    batch_size: int = 8,
    device: str | None = None,
    spreadsheet_safe: bool = False,
    progress: Progress = silent,
) -> tuple[Manifest, dict[str, str]]:
    """Transcribes a manifest's recordings, and writes it with the column ``text_predicted``.

    Args:
        manifest_path: to read.
        output: the manifest to write.
        model: as ``Transcriber`` has it.
        revision: branch, tag or commit of a model of the Hub.
        language: of all recordings; the manifest's if it names one, else found for each, when None.
        cache: folder of transcripts that are there already.
        batch_size: windows of 30 s a batch.
        device: cpu or cuda; a GPU where there is one when None.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.
        progress: shows how far the work is.

    Returns:
        The manifest, and utterance_id -> error of recordings that cannot be used.

    Raises:
        EmotuneError: for a manifest, a model or an output that cannot be used.
    """
    check_output(output, inputs=[manifest_path], spreadsheet_safe=spreadsheet_safe)
    manifest = Manifest.read(manifest_path)
    transcriber = Transcriber(
        model,
        revision=revision,
        device=device,
        language=language or one_language(manifest),
        batch_size=batch_size,
    )
    manifest, errors = transcribed(manifest, transcriber, cache=cache, progress=progress)
    manifest.write(output, spreadsheet_safe=spreadsheet_safe)
    return manifest, errors
