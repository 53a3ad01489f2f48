"""emotune annotate and codebook: emotion from a language model's answers, and the speech codes of its prompts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from emotune.cli.console import SpreadsheetSafe, leave_with, out, show_progress
from emotune.cli.corpus import print_raters

KEY_VARIABLES = ("EMOTUNE_LLM_KEY", "OPENAI_API_KEY")
"""Environment variables of the key for an endpoint, the first that is set: on the command line others could read it."""
_SHOWN = 10


def annotate(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write: .csv, .jsonl or .parquet.")],
    llm: Annotated[
        str,
        typer.Option(
            help="lexicon, gguf:FILE, openai:MODEL or openai-audio:MODEL (with --url; key from EMOTUNE_LLM_KEY)."
        ),
    ],
    url: Annotated[str | None, typer.Option(help="Of an endpoint, such as http://127.0.0.1:8080/v1.")] = None,
    split: Annotated[str | None, typer.Option(help="To annotate; default all utterances.")] = None,
    level: Annotated[
        Literal["text", "acoustics", "codes"],
        typer.Option(help="The transcript; also energy, pitch and gender; also speech codes."),
    ] = "text",
    shots: Annotated[int, typer.Option(min=0, help="Examples in each prompt, of other speakers.")] = 0,
    examples_from: Annotated[str, typer.Option(help="The split of the examples.")] = "train",
    samples: Annotated[int, typer.Option(min=1, help="Answers a clip and wording; needs a temperature.")] = 1,
    wordings: Annotated[int, typer.Option(min=1, help="Wordings of the task, each asked; at most 3.")] = 1,
    temperature: Annotated[float, typer.Option(min=0.0, help="0: always the most probable word.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of examples and samples.")] = 0,
    codebook: Annotated[Path | None, typer.Option(help="Of `emotune codebook`, for the level codes.")] = None,
    label: Annotated[
        bool, typer.Option("--label", help="Where there is no emotion, write the most voted class as one.")
    ] = False,
    predictions: Annotated[
        Path | None, typer.Option(help="Also a table of predictions for compare: .csv, .jsonl or .parquet.")
    ] = None,
    token_budget: Annotated[int | None, typer.Option(min=1, help="Most tokens of all new questions.")] = None,
    price: Annotated[tuple[float, float], typer.Option(help="Dollars a million tokens, of prompts and of answers.")] = (
        0.0,
        0.0,
    ),
    cache: Annotated[Path | None, typer.Option(help="Folder of answers; default ~/.cache/emotune/annotations.")] = None,
    patience: Annotated[float, typer.Option(min=0.0, help="Longest seconds to ask an endpoint again.")] = 300.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Longest seconds for one answer.")] = 120.0,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Ask a language model for the emotion of each utterance; its answers become votes of the rater llm:MODEL.

    What was answered before is not asked again, and an interrupted run goes on where it was.
    """
    from emotune.annotation.annotate import Annotating
    from emotune.annotation.annotate_manifest import annotate_manifest
    from emotune.annotation.engines.engine import EngineOptions

    key = next((value for name in KEY_VARIABLES if (value := os.environ.get(name))), None)
    found = annotate_manifest(
        manifest_path,
        output,
        llm,
        EngineOptions(url=url, key=key, timeout_s=timeout, patience_s=patience, temperature=temperature),
        Annotating(
            level=level,
            shots=shots,
            examples_from=examples_from,
            samples=samples,
            wordings=wordings,
            seed=seed,
            most_tokens_in_all=token_budget,
            price=price,
        ),
        split=split,
        codebook=codebook,
        label=label,
        predictions=predictions,
        cache=cache,
        spreadsheet_safe=spreadsheet_safe,
        progress=show_progress,
    )
    answers = sum(sum(counts.values()) for counts in found.counts.values())
    cost = f", {found.dollars:.4f} dollars" if any(price) else ""
    out.print(
        f"{output}: {len(found.counts)} utterances by {found.rater}, {answers} answers ({found.kept} kept from before,"
        f" {found.asked} new), {found.unparsed} unparsed; {sum(found.tokens)} new tokens{cost}",
        markup=False,
    )
    print_raters(found.manifest)
    leave_with(list(found.errors.values())[:_SHOWN], len(found.errors))


def codebook(
    model: Annotated[str, typer.Argument(help="An encoder or a model, as `emotune embed` has it.")],
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    output: Annotated[Path, typer.Option("-o", "--output", help="To write: .npz.")],
    split: Annotated[str | None, typer.Option(help="Whose frames are clustered; default all.")] = None,
    codes: Annotated[int, typer.Option("-k", "--codes", min=2, help="How many there are.")] = 100,
    layer: Annotated[int | None, typer.Option(help="Of the encoder; default mix or the last.")] = None,
    vq_vae: Annotated[
        bool, typer.Option("--vq-vae", help="Learn the codes by a VQ-VAE instead of k-means; needs --layer.")
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Of the VQ-VAE.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of the clustering.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
) -> None:
    """Cluster an encoder's frames into discrete speech codes, and report how many of them are used."""
    from emotune.annotation.codebook_file import make_codebook

    made = make_codebook(
        model,
        manifest_path,
        output,
        split=split,
        codes=codes,
        layer=layer,
        vq_vae=vq_vae,
        epochs=epochs,
        seed=seed,
        device=device,
        progress=show_progress,
    )
    about = made.about
    out.print(
        f"{output}: {about['codes']} codes of layer {about['layer']}, {about['frames']} frames; used"
        f" {about['used_share']:.1%}, perplexity {about['perplexity']:.1f}",
        markup=False,
    )
    skipped = about.get("skipped", [])
    leave_with(skipped[:_SHOWN], len(skipped))
