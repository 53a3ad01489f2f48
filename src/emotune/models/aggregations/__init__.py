"""From hidden states to one vector an utterance: a layer mix, then a pooling over time.

``varan`` stands beside the mixes: it pools every layer, gives each its own head and weighs them for each clip.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.models.aggregations.layer_mix import LayerMix
    from emotune.models.aggregations.pooling import Pooling

LAYER_MIXES: Registry[type[LayerMix]] = Registry(
    "layer mix",
    {
        "attentive_merging": "emotune.models.aggregations.attentive_merging:AttentiveMerging",
        "last": "emotune.models.aggregations.layer_mix:Last",
        "weighted_sum": "emotune.models.aggregations.layer_mix:WeightedSum",
    },
    extra="train",
)
POOLINGS: Registry[type[Pooling]] = Registry(
    "pooling",
    {
        "attention": "emotune.models.aggregations.pooling:AttentivePooling",
        "attentive_stats": "emotune.models.aggregations.pooling:AttentiveStats",
        "covariance": (
            "emotune.models.aggregations.covariance:Covariance",
            "emotune.models.aggregations.options:CovarianceOptions",
        ),
        "mean": "emotune.models.aggregations.pooling:Mean",
        "mean_std": "emotune.models.aggregations.pooling:MeanStd",
        "normed_mean": "emotune.models.aggregations.pooling:NormedMean",
        "projected_mean": (
            "emotune.models.aggregations.pooling:ProjectedMean",
            "emotune.models.aggregations.options:ProjectedMeanOptions",
        ),
        "refined_mean": (
            "emotune.models.aggregations.pooling:RefinedMean",
            "emotune.models.aggregations.options:RefinedMeanOptions",
        ),
        "std": "emotune.models.aggregations.pooling:Std",
    },
    extra="train",
)
VARAN = "varan"
