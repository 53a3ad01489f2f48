"""Paralinguistic descriptors of a clip: what a voice does, as named numbers, without a model."""
