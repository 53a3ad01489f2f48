"""Readers of corpora: one file each, and beside it what only that reader needs."""
