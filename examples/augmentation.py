"""Hear and see what each augmentation does to a clip.

    python examples/augmentation.py CLIP OUTPUT_FOLDER [--other CLIP]

Writes one .ogg for each, and augmentation.png with the spectrograms of all. Without a recorded room or noise at hand
they are simulated. The pictures in docs/pictures/augmentation were made with clips of the synthetic demo corpus.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import soundfile

from emotune import audio
from emotune.data.augmentations.channel import CODECS, Telephone, coded
from emotune.data.augmentations.crop import Crop, filled_to
from emotune.data.augmentations.gain import Gain
from emotune.data.augmentations.masks import BandMasks, TimeMasks
from emotune.data.augmentations.noise import Noise
from emotune.data.augmentations.pipeline import mixed
from emotune.data.augmentations.reverberation import Reverberation
from emotune.data.augmentations.speed import change_speed

RATE = audio.SAMPLING_RATE_HZ
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def changes(other: np.ndarray) -> dict[str, Change]:
    """Each at a setting that can be seen."""
    return {
        "clean": lambda clip, _: clip,
        "mix": lambda clip, generator: mixed(clip, filled_to(other, len(clip), generator), 0.6),
        "speed": lambda clip, _: change_speed(clip, 1.2),
        "crop": Crop(0.6),
        "reverberation": Reverberation(rt60_s=(0.7, 0.7), direct_db=(0.0, 0.0)),
        "noise-white": Noise((10.0, 10.0)),
        "noise-pink": Noise((10.0, 10.0), colour="pink"),
        "noise-brown": Noise((10.0, 10.0), colour="brown"),
        "telephone": Telephone(),
        **{
            f"compression-{name}": lambda clip, _, codec=codec: coded(clip, codec, (codec.compression or [None])[-1])
            for name, codec in CODECS.items()
        },
        "gain": Gain(12.0),
        "band_masks": BandMasks(2, 600.0),
        "time_masks": TimeMasks(2, 0.3),
    }


def show(axis: plt.Axes, samples: np.ndarray, name: str) -> None:
    axis.specgram(samples + 1e-6, NFFT=400, noverlap=240, Fs=RATE, cmap="magma", vmin=-120, vmax=-30)
    axis.set_title(name.replace("_", " "), fontsize=9)
    axis.set_ylim(0, RATE / 2)
    axis.tick_params(labelsize=7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--other", type=Path, help="the clip to mix with; default the same")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    clip = audio.decode(arguments.clip).mono()
    other = audio.decode(arguments.other or arguments.clip).mono()
    found = changes(other)
    figure, axes = plt.subplots(-(-len(found) // 3), 3, figsize=(10, 11), layout="constrained", sharey=True)
    for axis, (name, change) in zip(axes.flat, found.items(), strict=False):
        changed = change(clip, np.random.default_rng(1))
        soundfile.write(arguments.folder / f"{name}.ogg", np.clip(changed, -1, 1), RATE)
        show(axis, changed, name)
        axis.set_xlim(0, len(clip) / RATE)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("Hz", fontsize=9)
    figure.savefig(arguments.folder / "augmentation.png", dpi=80, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
