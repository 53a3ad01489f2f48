"""Fusion of several systems' predictions, and shifts of one system's: no torch, no audio."""

from emotune.fusion.fuse import METHODS, Fusion, fuse_tables
from emotune.fusion.runs import fuse

__all__ = ["METHODS", "Fusion", "fuse", "fuse_tables"]
