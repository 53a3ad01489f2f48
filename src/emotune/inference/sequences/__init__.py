"""Prediction of sequences: what a sequence model writes of recordings."""

from emotune.inference.sequences.writer import Writer, Written, load

__all__ = ["Writer", "Written", "load"]
