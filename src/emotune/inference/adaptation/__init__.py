"""Adapting to recordings without labels: offsets of the classes by speaker, found from the model's own answers."""
