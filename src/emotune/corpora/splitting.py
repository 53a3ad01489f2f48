"""Splitting of a manifest by speakers, from file to file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emotune.corpora.base import split_name
from emotune.doctor import overlap_sentences
from emotune.io.tables import check_output
from emotune.schema.manifest import Manifest
from emotune.schema.speakers import with_merged_spellings
from emotune.schema.splits import assign_folds, assign_splits, classes_missing, few_speakers

SHARES: Mapping[str, float] = {"train": 0.7, "development": 0.15, "test": 0.15}


@dataclass(frozen=True)
class ManifestSplit:
    """A manifest with new splits.

    Args:
        manifest: as it was written.
        merged: names of speakers and sessions that were merged -> the name that stays.
        warnings: on splits that lack classes or have few speakers.
    """

    manifest: Manifest
    merged: Mapping[str, str]
    warnings: list[str]


def split_manifest(
    path: Path,
    output: Path,
    *,
    shares: Mapping[str, float] = SHARES,
    folds: int | None = None,
    group: str = "speaker",
    seed: int = 0,
    merge_speakers: bool = False,
    spreadsheet_safe: bool = False,
) -> ManifestSplit:
    """Reads a manifest, and writes it with splits or folds that share no speaker.

    Args:
        path: of the manifest.
        output: gets the one with splits.
        shares: split -> its share; they sum to 1.
        folds: so many equal parts ``fold_1``, ``fold_2`` ... in place of shares.
        group: what no two splits share: speaker or session.
        seed: 0 = the best balanced split found; others draw among those nearly as balanced.
        merge_speakers: take names that differ only in spelling for one.
        spreadsheet_safe: write cells that no spreadsheet takes for a formula.

    Raises:
        TableError: for what is no manifest, or an output that cannot be written.
        ConfigError: as ``assign_splits`` and ``assign_folds``.
    """
    check_output(output, inputs=[path], spreadsheet_safe=spreadsheet_safe)
    manifest, merged = Manifest.read(path), dict[str, str]()
    if merge_speakers:
        manifest, merged = with_merged_spellings(manifest)
    if folds is not None:
        result = assign_folds(manifest, folds, group=group, seed=seed)
    else:
        own_names = {split_name(name) or name: share for name, share in shares.items()}
        result = assign_splits(manifest, own_names, group=group, seed=seed)
    result.write(output, spreadsheet_safe=spreadsheet_safe)
    warnings = [*overlap_sentences(result), *classes_missing(result), *([] if folds else few_speakers(result))]
    return ManifestSplit(result, merged, warnings)
