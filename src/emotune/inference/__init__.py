"""Prediction: decode, prepare, batch, run an engine, give back one row for every input."""

from emotune.inference.predictor import Engine, Item, Predictor, load

__all__ = ["Engine", "Item", "Predictor", "load"]
