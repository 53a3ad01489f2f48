"""Manifests, predictions, recordings, models, recipes and runs for tests, each built in one place."""
