"""Comparison of runs or tables on one test set, from their folders to the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotune.evaluation.comparing.compare import compare
from emotune.evaluation.comparing.comparison import Comparison
from emotune.evaluation.comparing.sources import read_systems
from emotune.io.tables import check_output
from emotune.report.comparison_page import write_comparison


def compare_runs(
    systems: Sequence[tuple[str, Path]],
    folder: Path | None = None,
    *,
    split: str | None = None,
    manifest_path: Path | None = None,
    metrics: Sequence[str] = (),
    all_pairs: bool = False,
    on_shared_classes: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compares systems by their predictions, and writes ``compare.json`` and ``compare.html``.

    Args:
        systems: name and path of each run, as ``read_systems`` has it; the first is the baseline.
        folder: for the page; none is written when None.
        split: of the manifest, and of the run folders' results.
        manifest_path: of the truth; the run folders' own when None.
        metrics: to compare by; the usual ones of what there is when empty.
        all_pairs: compare every two systems, not each with the first.
        on_shared_classes: restrict truth and answers to the classes that all have.
        resamples: of bootstrap and test.
        seed: of bootstrap and test.

    Raises:
        EmotuneError: as ``read_systems`` and ``compare`` do, and when the folder cannot be written to.
    """
    if folder is not None:
        check_output(folder / "compare.csv")
    manifest, read, notes = read_systems(
        systems, manifest_path=manifest_path, split=split, on_shared_classes=on_shared_classes
    )
    comparison = compare(
        manifest, read, metrics=metrics, all_pairs=all_pairs, resamples=resamples, seed=seed, notes=notes
    )
    if folder is not None:
        write_comparison(folder, comparison)
    return comparison
