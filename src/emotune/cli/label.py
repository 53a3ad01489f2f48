"""emotune corpus label: labels of a manifest by a rule over its votes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import SpreadsheetSafe, counts_text, err, out
from emotune.io.tables import check_output
from emotune.votes import NO_AGREEMENTS, OTHERS, RULES, TIES


def label(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write: .csv, .jsonl or .parquet.")],
    rule: Annotated[str, typer.Option(help=f"What decides: {', '.join(RULES)}.")] = "plurality",
    ties: Annotated[str, typer.Option(help=f"Of a tied plurality: {', '.join(TIES)}.")] = "no_agreement",
    other: Annotated[str, typer.Option(help=f"The class 'other': {', '.join(OTHERS)}.")] = "keep",
    no_agreement: Annotated[
        str, typer.Option(help=f"Utterances without a label: {', '.join(NO_AGREEMENTS)}.")
    ] = "leave_out",
    minimum: Annotated[int, typer.Option(min=1, help="Fewer votes than this do not count.")] = 1,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Label utterances by their annotators' votes; every change is counted."""
    from emotune.schema.manifest import Manifest
    from emotune.votes.consensus import relabelled

    check_output(output, inputs=[manifest_path], spreadsheet_safe=spreadsheet_safe)
    manifest, report = relabelled(
        Manifest.read(manifest_path), label=rule, ties=ties, other=other, no_agreement=no_agreement, minimum=minimum
    )
    manifest.write(output, spreadsheet_safe=spreadsheet_safe)
    for what, count in report.items():
        err.print(f"  {count} {what}", markup=False)
    names = [*manifest.label_space.classes, None]
    counts = {name or "without a label": sum(u.emotion == name for u in manifest) for name in names}
    shown = counts_text({name: count for name, count in counts.items() if count})
    out.print(f"{output}: {len(manifest)} utterances, {shown}", markup=False)
