"""From hidden states to one vector an utterance: a layer mix, then a pooling over time."""

from emotune.models.aggregations.layer_mix import LAYER_MIXES, LayerMix
from emotune.models.aggregations.pooling import POOLINGS, Pooling

__all__ = ["LAYER_MIXES", "POOLINGS", "LayerMix", "Pooling"]
