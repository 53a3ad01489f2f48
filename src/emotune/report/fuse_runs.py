"""Fusion of runs, from their folders to the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotune.fusion.runs import FusedSplit, fuse
from emotune.io.tables import check_output
from emotune.report.fusion_page import write_fusion


def fuse_runs(
    systems: Sequence[tuple[str, Path]],
    folder: Path,
    *,
    split: str = "test",
    method: str = "weights",
    metric: str = "macro_f1",
    seed: int = 0,
    manifest_path: Path | None = None,
) -> FusedSplit:
    """Fuses systems as ``emotune.fusion.fuse`` does, and writes the table, its truth and the page.

    Args:
        systems: name and path of each run.
        folder: gets ``predictions.csv``, its truth as ``manifest.csv`` where there is one, ``fusion.json`` and
            ``fusion.html``.
        split, method, metric, seed, manifest_path: as ``emotune.fusion.fuse`` has them.

    Raises:
        EmotuneError: as ``fuse`` does, and when the folder cannot be written to.
    """
    check_output(folder / "predictions.csv")
    fused = fuse(systems, split=split, method=method, metric=metric, seed=seed, manifest_path=manifest_path)
    write_fusion(folder, fused)
    return fused
