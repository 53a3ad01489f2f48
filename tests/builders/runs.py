"""Folders as finished runs leave them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotune.io.tables import to_json, write_text
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder


def finished_run(
    folder: Path, manifest: Manifest, tables: Mapping[str, Predictions] | None = None, **provenance: Any
) -> RunFolder:
    """A run folder without its model: manifest, provenance, and predictions by split."""
    run = RunFolder(folder)
    manifest.write(run.manifest)
    write_text(run.provenance, to_json({"recipe": "tiny", "finished": "now", **provenance}))
    for split, table in (tables or {}).items():
        table.write(run.predictions(split))
    return run
