"""From hidden states to one vector an utterance: a layer mix, then a pooling over time.

``varan`` stands beside the mixes: it pools every layer, gives each its own head and weighs them for each clip.
"""

from emotune.models.aggregations.attentive_merging import AttentiveMerging
from emotune.models.aggregations.layer_mix import Last, LayerMix, WeightedSum
from emotune.models.aggregations.pooling import POOLINGS, Pooling
from emotune.models.aggregations.varan import LayerPosterior
from emotune.registry import Registry

LAYER_MIXES: Registry[type[LayerMix]] = Registry(
    "layer mix", {"attentive_merging": AttentiveMerging, "last": Last, "weighted_sum": WeightedSum}
)
VARAN = "varan"

__all__ = ["LAYER_MIXES", "POOLINGS", "VARAN", "LayerMix", "LayerPosterior", "Pooling"]
