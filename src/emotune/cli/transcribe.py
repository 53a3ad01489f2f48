"""emotune transcribe: what was said in a manifest's recordings, by a speech recogniser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import err, out, show_progress
from emotune.inference.asr import Transcriber
from emotune.inference.transcribe import CACHE, transcribed
from emotune.manifest import Manifest, Utterance
from emotune.metrics.words import word_errors
from emotune.tables import check_output

_SHOWN = 10


def transcribe(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write: .csv, .jsonl or .parquet.")],
    model: Annotated[str, typer.Option(help="Whisper: a folder (CTranslate2), a size such as small, or a Hub name.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a model of the Hub.")] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Of all recordings, such as en; default: the manifest's if it names one, else found for each."
        ),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Folder of transcripts that are there already.")] = CACHE,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows of 30 s a batch.")] = 8,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: a GPU where there is one.")] = None,
) -> None:
    """Transcribe a manifest's recordings into its column text_predicted; what was transcribed before is not again."""
    check_output(output)
    manifest = Manifest.read(manifest_path)
    transcriber = Transcriber(
        model,
        revision=revision,
        device=device,
        language=language or one_language(manifest),
        batch_size=batch_size,
    )
    faults: dict[str, str] = {}

    def on_fault(utterance: Utterance, fault: str) -> None:
        faults[utterance.utterance_id] = fault

    manifest = transcribed(manifest, transcriber, cache=cache, on_fault=on_fault, progress=show_progress)
    manifest.write(output)
    silent = sum(utterance.text_predicted is None for utterance in manifest) - len(faults)
    out.print(
        f"{output}: {len(manifest)} utterances, {len(manifest) - silent - len(faults)} with words,"
        f" {silent} without speech, {len(faults)} that cannot be used",
        markup=False,
    )
    pairs = [(u.text, u.text_predicted or "") for u in manifest if u.text is not None and u.utterance_id not in faults]
    if pairs:
        errors = word_errors(pairs)
        out.print(
            f"word error rate against the corpus's own text: {errors.rate:.3f} ({errors.words} words in"
            f" {errors.utterances} utterances; case and punctuation aside)",
            markup=False,
        )
    if faults:
        for utterance_id, fault in list(faults.items())[:_SHOWN]:
            err.print(f"  {utterance_id}: {fault}", markup=False)
        if len(faults) > _SHOWN:
            err.print(f"  and {len(faults) - _SHOWN} more", markup=False)
        raise typer.Exit(1)


def one_language(manifest: Manifest) -> str | None:
    """The language of all utterances as Whisper names it, or None when there are several or it is not known."""
    found = {utterance.language for utterance in manifest}
    tag = found.pop() if len(found) == 1 else None
    primary = (tag or "und").replace("_", "-").split("-")[0].lower()
    return None if primary == "und" or len(primary) != 2 else primary
