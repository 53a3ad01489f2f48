"""Utterances and manifests; no recordings lie behind them unless a root is given."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance


def utterance(name: str, emotion: str | None = None, **columns: Any) -> Utterance:
    """Utterance in a file of its own name."""
    return Utterance(name, f"{name}.wav", emotion=emotion, **columns)


def utterances(count: int, *, name: str = "u{}", **columns: Any) -> tuple[Utterance, ...]:
    """Utterances u0, u1, ...

    A column is a function of the number, a list of one value each, or a value of all.
    """

    def value(column: Any, number: int) -> Any:
        if callable(column):
            return column(number)
        return column[number] if isinstance(column, list) else column

    return tuple(
        utterance(name.format(number), **{key: value(column, number) for key, column in columns.items()})
        for number in range(count)
    )


def manifest_of(
    *rows: Utterance,
    classes: Sequence[str] = (),
    dimensions: Mapping[str, Scale] | None = None,
    root: Path = Path(),
    information: Mapping[str, Any] | None = None,
) -> Manifest:
    return Manifest(rows, LabelSpace(tuple(classes), dimensions or {}), root, information or {})


def reasons(manifest: Manifest) -> dict[str, str]:
    """Why each file was left out, by its name."""
    return {item.file: item.reason for item in manifest.skipped}
