"""Augmentation of clips in training. The table's order is the order in which steps are applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.data.augmentations.step import Step

AUGMENTATIONS: Registry[type[Step]] = Registry(
    "augmentation",
    {
        "speed": "emotune.data.augmentations.speed:Speed",
        "crop": "emotune.data.augmentations.crop:Crop",
        "reverberation": (
            "emotune.data.augmentations.reverberation:Reverberation",
            "emotune.data.augmentations.options:ReverberationOptions",
        ),
        "noise": ("emotune.data.augmentations.noise:Noise", "emotune.data.augmentations.options:NoiseOptions"),
        "telephone": (
            "emotune.data.augmentations.channel:Telephone",
            "emotune.data.augmentations.options:TelephoneOptions",
        ),
        "compression": (
            "emotune.data.augmentations.channel:Compression",
            "emotune.data.augmentations.options:CompressionOptions",
        ),
        "gain": "emotune.data.augmentations.gain:Gain",
        "band_masks": "emotune.data.augmentations.masks:BandMasks",
        "time_masks": "emotune.data.augmentations.masks:TimeMasks",
    },
)
"""A step of another package comes after these."""
