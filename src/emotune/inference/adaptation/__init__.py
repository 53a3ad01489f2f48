"""Adapting to recordings without labels: offsets of the classes for each speaker, found from the model's own answers."""
