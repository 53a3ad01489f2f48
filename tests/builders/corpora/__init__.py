"""Miniatures of corpora, on disk as they are published."""
