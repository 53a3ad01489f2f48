"""Pages: evaluation, comparison, robustness, fusion; their figures and sentences."""
