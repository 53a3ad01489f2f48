"""Prediction of sequences: what a sequence model writes of recordings."""
