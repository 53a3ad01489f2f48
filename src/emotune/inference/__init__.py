"""Prediction: decode, prepare, batch, run an engine, give back one row for every input."""

from emotune.inference.engine import Engine
from emotune.inference.items import Item
from emotune.inference.loading import load
from emotune.inference.predictor import Predictor

__all__ = ["Engine", "Item", "Predictor", "load"]
