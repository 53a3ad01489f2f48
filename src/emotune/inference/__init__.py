"""Prediction: decode, prepare, batch, run an engine, give back one row for every input."""

from emotune.inference.engine import Engine
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor, load

__all__ = ["Engine", "Item", "Predictor", "load"]
