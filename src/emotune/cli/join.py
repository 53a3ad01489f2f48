"""emotune corpus join: several manifests in one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emotune.cli.console import SpreadsheetSafe, err, out, pairs, scales_named, table, warn_all
from emotune.io.tables import check_output

if TYPE_CHECKING:
    from emotune.schema.manifest import Manifest


def join(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="MANIFEST...", help="Manifests of different corpora, each as FILE or NAME=FILE.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write: .csv, .jsonl or .parquet.")],
    classes: Annotated[
        str, typer.Option(help="Which to keep: shared (every corpus has them), all, or A,B,C.")
    ] = "shared",
    map: Annotated[list[str], typer.Option(help="CLASS=CLASS: rename or merge a class, before --classes counts.")] = [],
    scale: Annotated[
        list[str], typer.Option(help="DIMENSION=LOW:HIGH, such as arousal=1:7; default the first corpus's.")
    ] = [],
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Join manifests of several corpora: nobody is merged, classes and scales are made the same, all changes shown."""
    from emotune.corpora.join import join_manifests, name_and_path

    check_output(output, inputs=[name_and_path(source)[1] for source in sources], spreadsheet_safe=spreadsheet_safe)
    names = [name.strip() for name in classes.split(",") if name.strip()]
    manifest = join_manifests(
        sources,
        classes="all" if classes == "all" else "shared" if classes == "shared" else names,
        mapping=pairs(map, "--map", "CLASS=CLASS"),
        scales=scales_named(scale),
    )
    manifest.write(output, spreadsheet_safe=spreadsheet_safe)
    _print_classes(manifest.information)
    _print_corpora(manifest)
    warn_all(manifest.information.get("warnings", []))
    out.print(
        f"{output}: {len(manifest)} utterances, classes {', '.join(manifest.label_space.classes) or 'none'}",
        markup=False,
    )


def _print_classes(information: Mapping[str, Any]) -> None:
    """Prints each class's utterances by corpus and what became of it."""
    corpora = list(information["corpora"])
    rows = [
        [name, fate["becomes"] or "(left out)", *(fate["utterances"][corpus] or "-" for corpus in corpora)]
        for name, fate in information.get("joined_classes", {}).items()
    ]
    table("classes", ["class", "becomes", *corpora], rows)
    for values, scales in information.get("scales_converted", {}).items():
        err.print(f"values converted: {values} {scales}", markup=False)


def _print_corpora(manifest: Manifest) -> None:
    """Prints what is left of each corpus, and its licence."""
    rows = []
    for name, about in manifest.information["corpora"].items():
        own = [utterance for utterance in manifest if utterance.corpus == name]
        languages = sorted({utterance.language for utterance in own if utterance.language is not None})
        speakers = len({utterance.speaker for utterance in own if utterance.speaker is not None})
        rows.append([name, len(own), speakers, " ".join(languages) or "-", about.get("licence", "unknown")])
    table("\ncorpora", ["corpus", "utterances", "speakers", "languages", "licence"], rows)
    out.print(f"licences together: {manifest.information['licence_rule']}", markup=False)
