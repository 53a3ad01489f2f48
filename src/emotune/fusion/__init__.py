"""Fusion of several systems' predictions, and shifts of one system's: no torch, no audio."""

from emotune.fusion.fuse import METHODS, Fitted, fuse

__all__ = ["METHODS", "Fitted", "fuse"]
