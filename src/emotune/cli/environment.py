"""emotune env: what is installed here, what is missing, and the cure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.console import out, table
from emotune.errors import page_here
from emotune.io.tables import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotune.runtime.environment import Extra


def env(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Show versions, cores, GPU, extras and caches here, what is missing and the cure; nothing is changed."""
    from emotune.runtime.environment import environment

    found = environment()
    if as_json:
        typer.echo(to_json(found.to_json()))
        return
    sets = ", ".join(found.instruction_sets) or "none known"
    out.print(f"emotune {found.versions['emotune']}, Python {found.python}, {found.system}", markup=False)
    out.print(f"processor: {found.processor}, {found.usable_cores} cores for this process, {sets}", markup=False)
    out.print(f"memory: {found.memory_gb:.0f} GB" if found.memory_gb else "memory: unknown")
    out.print(f"GPU: {', '.join(found.gpus) or 'none found'}", markup=False)
    out.print(f"documentation: {Path(page_here('docs/index.md')).parent}\n", markup=False)
    rows = [(one.name, "yes" if one.complete else "no", _in_words(one, found.extras)) for one in found.extras]
    table("extras", ["extra", "here", "packages"], rows, right=())
    out.print()
    table(
        "caches, which may be deleted", ["folder", "MB"], [(path, f"{size:.1f}") for path, size in found.caches.items()]
    )
    out.print("\nan extra comes by pip install 'emotune[NAME]', in a clone by pip install '.[NAME]'", markup=False)
    for lack in found.lacks:
        out.print(f"{lack.what}: {lack.cure}", markup=False)


def _in_words(extra: Extra, all_of_them: Sequence[Extra]) -> str:
    """Its packages, those of an extra that it contains under that one's name."""
    if extra.too_old:
        return extra.in_words()
    inner = [one for one in all_of_them if set(one.packages) < set(extra.packages)]
    named = [one.name for one in inner if not any(set(one.packages) < set(other.packages) for other in inner)]
    own = {name: there for name, there in extra.packages.items() if not any(name in one.packages for one in inner)}
    words = [name if there is None else f"{name} {there}" for name, there in own.items()]
    words += [f"those of {name}" for name in named]
    return f"{'' if extra.complete else 'needs '}{', '.join(words)}"
