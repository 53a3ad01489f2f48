"""Overview of a manifest: counts, the agreement of its votes, and what its splits share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.doctor import overlap_sentences
from emotune.schema.manifest import Manifest
from emotune.votes.agreement import Agreement, agreement_of


@dataclass(frozen=True)
class ManifestOverview:
    """Figures of a manifest.

    Args:
        manifest: that they describe.
        counts: utterances, hours, of each emotion, speaker, gender and split, ``-`` for none, durations and skipped.
        agreement: of the votes; None where there are none.
        warnings: speakers or sessions that several splits share.
    """

    manifest: Manifest
    counts: Mapping[str, Any]
    agreement: Agreement | None
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """Counts and agreement as plain values."""
        return {**self.counts, "agreement": None if self.agreement is None else self.agreement.to_json()}


def overview_of(path: Path) -> ManifestOverview:
    """Reads a manifest and counts what is in it.

    Raises:
        TableError: for what is no manifest.
    """
    manifest = Manifest.read(path)
    return ManifestOverview(manifest, counts_of(manifest), agreement_of(manifest), overlap_sentences(manifest))


def counts_of(manifest: Manifest) -> dict[str, Any]:
    """Counts by emotion, speaker, gender and split, the hours, and the shortest, median and longest duration."""
    durations = sorted(u.duration_s for u in manifest if u.duration_s is not None) or [math.nan]
    counts: dict[str, Any] = {"utterances": len(manifest), "hours": round(sum(durations) / 3600, 4)}
    for field in ("emotion", "speaker", "gender", "split"):
        counts[field] = dict(sorted(Counter(getattr(u, field) or "-" for u in manifest).items()))
    counts["duration_s"] = {"min": durations[0], "median": durations[len(durations) // 2], "max": durations[-1]}
    counts["skipped"] = len(manifest.skipped)
    return counts
