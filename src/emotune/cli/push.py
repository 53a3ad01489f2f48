"""emotune push: a trained model to the Hugging Face Hub, with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from emotune.cli.console import out


def push(
    run: Annotated[Path, typer.Argument(help="A run folder with a finished model.")],
    repository: Annotated[str, typer.Argument(help="owner/name on the Hub; made where it is not there.")],
    licence: Annotated[str | None, typer.Option(help="Of the weights, as the Hub names it: cc-by-4.0.")] = None,
    base_model: Annotated[
        str | None, typer.Option(help="owner/name of the encoder, where the recipe has none.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="A corpus; repeatable. Default as in the manifest.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A further tag; repeatable.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Visible to its owner alone.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be sent, and send nothing.")] = False,
) -> None:
    """Upload a model to the Hugging Face Hub: its own files and a card whose metadata is complete.

    Figures are those of the test split, with their intervals, once `emotune evaluate` has made them. Sound, tables and
    folders of this machine never leave it.
    """
    from emotune.export.hub_card import StatedMetadata
    from emotune.export.push import push as push_model

    stated = StatedMetadata(licence, base_model, tuple(dataset or ()), tuple(tag or ()))
    done = push_model(run, repository, stated, dry_run=dry_run, private=private)
    for name, size in done.files.items():
        out.print(f"  {name}: {size / 1e6:.3f} MB", markup=False)
    out.print("metadata of the card:", markup=False)
    for line in yaml.safe_dump(done.metadata, sort_keys=False, allow_unicode=True).splitlines():
        out.print(f"  {line}", markup=False)
    if "model-index" not in done.metadata:
        out.print("no figures: the test split has none yet (emotune evaluate)", markup=False)
    said = f"{done.repository}: nothing was sent" if done.address is None else f"{done.address}: uploaded"
    out.print(said, markup=False)
