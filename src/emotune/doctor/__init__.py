"""The leakage doctor: what makes a corpus or its splits unfit for an honest figure, and how to cure it."""

from emotune.doctor.checkup import Diagnosis, check_manifest
from emotune.doctor.finding import Finding
from emotune.doctor.overlaps import overlap_sentences, overlaps, refuse_overlaps

__all__ = ["Diagnosis", "Finding", "check_manifest", "overlap_sentences", "overlaps", "refuse_overlaps"]
