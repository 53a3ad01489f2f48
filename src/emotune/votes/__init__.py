"""Annotators' votes: labels from them, and how far the annotators agree."""
