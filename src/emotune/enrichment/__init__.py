"""Enrichment of clips by other models: transcripts, text embeddings, gender."""
