"""emotune export: a trained model as ONNX or for transformers, with evidence that it answers the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.choices import ExportFormat, ExportPrecision
from emotune.cli.console import Words, out, show_progress
from emotune.errors import ConfigError
from emotune.runtime.extras import needs

if TYPE_CHECKING:
    from emotune.export.parity import Parity


def export(
    model: Annotated[str, typer.Argument(help="A model folder, a run folder, or hf:owner/name[@revision].")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to make; it must not be there yet.")],
    form: Annotated[
        ExportFormat,
        typer.Option("--format", help="hf: a folder for transformers; peft: an adapter of PEFT."),
    ] = "onnx",
    base: Annotated[
        str | None, typer.Option(help="With peft: the encoder that training started from, a folder or hf:owner/name.")
    ] = None,
    precision: Annotated[
        ExportPrecision, typer.Option(help="int8: eight-bit weights, a quarter of the size and faster.")
    ] = "fp32",
    check: Annotated[
        Path | None, typer.Option(help="A manifest: UAR and CCC of the model and of its export are compared on it.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of the manifest; default all of it.")] = None,
) -> None:
    """Export a model as ONNX: samples in, named answers out; `emotune predict` runs it without torch.

    Or, with --format hf, as a classifier that transformers loads, where that has all its parts; with --format peft, as
    an adapter over its base. Both sides are compared on generated clips, and nothing is written where they differ.
    """
    if form != "onnx" and (precision != "fp32" or check is not None or split is not None):
        raise ConfigError("--precision, --check and --split go with --format onnx; leave them out.")
    if (form == "peft") != (base is not None):
        raise ConfigError("--format peft and --base, the encoder that training started from, go together.")
    if base is not None:
        _for_peft(model, output, base)
        return
    if form == "hf":
        _for_transformers(model, output)
        return
    with needs("export"):
        from emotune.export.export_model import export_model
    from emotune.schema.manifest import Manifest

    manifest = None if check is None else Manifest.read(check)
    if manifest is not None and split is not None:
        manifest = manifest.split(split)
    made = export_model(model, output, precision=precision, check=manifest, listener=Words(), progress=show_progress)
    _print(made.parity)
    out.print(f"{output}: {made.size_bytes / 1e6:.1f} MB, {made.precision}", markup=False)


def _for_transformers(model: str, output: Path) -> None:
    with needs("train"):
        from emotune.export.transformers_folder import export_for_transformers

    made = export_for_transformers(model, output)
    theirs = "transformers is not installed" if made.theirs is None else f"read by transformers {made.theirs:.1e}"
    out.print(f"{output}: {made.architecture}", markup=False)
    out.print(f"largest difference of a probability: read back {made.ours:.1e}, {theirs}", markup=False)


def _for_peft(model: str, output: Path, base: str) -> None:
    with needs("train"):
        from emotune.export.peft_folder import export_for_peft

    made = export_for_peft(model, output, base=base)
    out.print(f"{output}: LoRA of rank {made.rank} on {made.layers} layers of {base}", markup=False)
    out.print(f"largest difference of a state, read back: {made.difference:.1e}", markup=False)
    if not made.with_head:
        out.print("without the head, which stays with emotune:", markup=False)
        for part in made.beside:
            out.print(f"  {part}", markup=False)


def _print(parity: Parity) -> None:
    what = "generated clips" if parity.generated else "clips"
    out.print(
        f"largest differences over {parity.clips} {what} of {parity.shortest_s:.2f} to {parity.longest_s:.1f} s:"
        f" probabilities {parity.probabilities:.1e}, dimensions {parity.dimensions:.1e} of their scale,"
        f" a clip in a batch from alone {parity.batch:.1e}",
        markup=False,
    )
    for name, (source, exported) in parity.scores.items():
        out.print(f"{name}: {source:.3f} -> {exported:.3f} ({exported - source:+.4f})", markup=False)
