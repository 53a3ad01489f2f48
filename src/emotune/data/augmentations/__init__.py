"""Augmentation of clips in training. The table's order is the order in which steps are applied."""

from emotune.data.augmentations.channel import Compression, Telephone
from emotune.data.augmentations.crop import Crop
from emotune.data.augmentations.gain import Gain
from emotune.data.augmentations.masks import BandMasks, TimeMasks
from emotune.data.augmentations.noise import Noise
from emotune.data.augmentations.pipeline import Augmentation, Mix, generator_of
from emotune.data.augmentations.reverberation import Reverberation
from emotune.data.augmentations.speed import Speed
from emotune.data.augmentations.step import Step
from emotune.registry import Registry

AUGMENTATIONS: Registry[type[Step]] = Registry(
    "augmentation",
    {
        "speed": Speed,
        "crop": Crop,
        "reverberation": Reverberation,
        "noise": Noise,
        "telephone": Telephone,
        "compression": Compression,
        "gain": Gain,
        "band_masks": BandMasks,
        "time_masks": TimeMasks,
    },
)

__all__ = ["AUGMENTATIONS", "Augmentation", "Mix", "Step", "generator_of"]
