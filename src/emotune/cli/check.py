"""emotune corpus check: the leakage doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.console import out, show_progress
from emotune.io.tables import check_file, to_json, write_text

if TYPE_CHECKING:
    from emotune.doctor import Diagnosis

_WIDTH = 120  # where there is no terminal that has one


def check(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A JSON file with all findings.")] = None,
) -> None:
    """Look for leaks between splits and broken data, by the sound itself; ends with 1 when there are errors."""
    from emotune.doctor import check_manifest

    if output is not None:
        check_file(output, inputs=[manifest_path])
    diagnosis = check_manifest(manifest_path, progress=show_progress)
    content = to_json(diagnosis.to_json())
    if output is not None:
        write_text(output, content + "\n")
    if as_json:
        typer.echo(content)
    else:
        _show(diagnosis)
    if diagnosis.errors:
        raise typer.Exit(1)


def _show(diagnosis: Diagnosis) -> None:
    from rich.table import Table
    from rich.text import Text

    shown = Table(show_edge=False, pad_edge=False, show_lines=True, width=None if out.is_terminal else _WIDTH)
    for name, share in (("severity", None), ("what", 3), ("such as", 4), ("cure", 3)):
        shown.add_column(name, ratio=share, no_wrap=share is None, overflow="fold")
    for finding in diagnosis.findings:
        style = "red" if finding.severity == "error" else ""
        cells = (f"{len(finding.cases)} {finding.what}", "\n".join(finding.examples), finding.cure)
        shown.add_row(Text(finding.severity, style=style), *map(Text, cells))
    if diagnosis.findings:
        out.print(shown, soft_wrap=False, crop=False)
    out.print(
        f"{diagnosis.manifest}: {diagnosis.utterances} utterances checked, {len(diagnosis.errors)} errors,"
        f" {len(diagnosis.notes)} notes",
        markup=False,
    )
