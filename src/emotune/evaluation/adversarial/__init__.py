"""Attacks on the clips that a model is scored on: what they cost, and how small the changes are."""
