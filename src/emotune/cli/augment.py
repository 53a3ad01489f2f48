"""emotune corpus augment: a rater's labels in place of people's, for a study of what they are worth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from emotune.cli.console import SpreadsheetSafe, out


def augment(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write: .csv, .jsonl or .parquet.")],
    rater: Annotated[str, typer.Option(help="Whose labels are added, such as llm:lexicon.")],
    human: Annotated[float, typer.Option(help="Share of the training split that keeps people's labels.")],
    extra: Annotated[float, typer.Option(help="Share of the rest that is labelled by the rater; 0 adds none.")],
    labels: Annotated[
        Literal["rater", "random", "human"],
        typer.Option(help="Of what is added; random: the control; human: the best."),
    ] = "rater",
    seed: Annotated[int, typer.Option(min=0, help="Of the parts and of random labels.")] = 0,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Put a rater's labels in place of people's in part of the training split; other splits stay as they are."""
    from emotune.annotation.augmentation import augment_manifest
    from emotune.evaluation.raters import SOURCE

    made = augment_manifest(
        manifest_path,
        output,
        rater,
        human_share=human,
        extra_share=extra,
        labels=labels,
        seed=seed,
        spreadsheet_safe=spreadsheet_safe,
    )
    sources = Counter(str(u.extra[SOURCE]) for u in made if u.split == "train")
    counts = ", ".join(f"{count} by {source}" for source, count in sorted(sources.items()))
    out.print(f"{output}: training split: {counts}; {len(made)} utterances in all", markup=False)
