"""Spectral fingerprints: find recordings that are nearly the same sound, however they were cut, levelled or recoded."""

from emotune.fingerprints.near_copies import NearCopy, copies_by_position, near_copies
from emotune.fingerprints.spectral import RATE_HZ, Fingerprint, fingerprint

__all__ = ["RATE_HZ", "Fingerprint", "NearCopy", "copies_by_position", "fingerprint", "near_copies"]
