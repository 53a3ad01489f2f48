"""Embeddings of clips and of their frames, for what others build on them."""
