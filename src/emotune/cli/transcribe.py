"""emotune transcribe: what was said in a manifest's recordings, by a speech recogniser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import SpreadsheetSafe, err, out, show_progress

_SHOWN = 10


def transcribe(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write: .csv, .jsonl or .parquet.")],
    model: Annotated[
        str, typer.Option(help="Whisper: a folder (CTranslate2), a size such as small, or hf:owner/name.")
    ],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a model of the Hub.")] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Of all recordings, such as en; default: the manifest's if it names one, else found for each."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of transcripts that are there already; default ~/.cache/emotune/transcripts."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows of 30 s a batch.")] = 8,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: a GPU where there is one.")] = None,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Transcribe a manifest's recordings into its column text_predicted; what was transcribed before is not again."""
    from emotune.enrichment.transcribe import CACHE
    from emotune.enrichment.transcribe_manifest import transcribe_manifest
    from emotune.metrics.words import word_errors

    manifest, errors = transcribe_manifest(
        manifest_path,
        output,
        model,
        revision=revision,
        language=language,
        cache=cache or CACHE,
        batch_size=batch_size,
        device=device,
        spreadsheet_safe=spreadsheet_safe,
        progress=show_progress,
    )
    silent = sum(utterance.text_predicted == "" for utterance in manifest)
    out.print(
        f"{output}: {len(manifest)} utterances, {len(manifest) - silent - len(errors)} with words,"
        f" {silent} without speech, {len(errors)} that cannot be used",
        markup=False,
    )
    pairs = [(u.text, u.text_predicted or "") for u in manifest if u.text is not None and u.utterance_id not in errors]
    if pairs:
        wrong = word_errors(pairs)
        out.print(
            f"word error rate against the corpus's own text: {wrong.rate:.3f} ({wrong.words} words in"
            f" {wrong.utterances} utterances; case and punctuation aside)",
            markup=False,
        )
    if errors:
        for utterance_id, error in list(errors.items())[:_SHOWN]:
            err.print(f"  {utterance_id}: {error}", markup=False)
        if len(errors) > _SHOWN:
            err.print(f"  and {len(errors) - _SHOWN} more", markup=False)
        raise typer.Exit(1)
