"""The whole check of a manifest and its recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.doctor.coverage import coverage
from emotune.doctor.finding import Finding
from emotune.doctor.listening import listen
from emotune.doctor.overlaps import overlaps
from emotune.doctor.rows import read_rows_leniently
from emotune.runtime.progress import Progress, silent

SCHEMA = "emotune-check/1"


@dataclass(frozen=True)
class Diagnosis:
    """All findings, errors first."""

    manifest: str
    utterances: int
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that make a score wrong or training impossible."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """Findings that are worth knowing."""
        return tuple(finding for finding in self.findings if finding.severity == "note")

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {
            "schema": SCHEMA,
            "manifest": self.manifest,
            "utterances": self.utterances,
            "errors": len(self.errors),
            "notes": len(self.notes),
            "findings": [finding.to_json() for finding in self.findings],
        }


def check_manifest(path: Path, *, progress: Progress = silent) -> Diagnosis:
    """Reads every row, decodes every recording once, and looks for all that would make a score wrong.

    Contents and copies are found anew in the audio; what the manifest says of them is not trusted.

    Raises:
        TableError: for a file that is no manifest at all. Broken rows are findings.
    """
    manifest, in_rows = read_rows_leniently(path)
    heard, in_sound = listen(manifest, progress=progress)
    findings = (*overlaps(heard), *in_rows, *in_sound, *coverage(heard))
    ordered = sorted(findings, key=lambda finding: finding.severity != "error")
    return Diagnosis(path.name, len(manifest), tuple(ordered))
