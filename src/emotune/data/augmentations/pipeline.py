"""All augmentations of a recipe, one after the other; their randomness comes from (seed, epoch, utterance_id) alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emotune.audio import FloatArray
from emotune.data.augmentations.step import Step


def generator_of(seed: int, epoch: int, utterance_id: str) -> np.random.Generator:
    """The random generator of one utterance in one epoch: the same in whatever order and process it is drawn."""
    digest = hashlib.sha256(f"{seed} {epoch} {utterance_id}".encode(errors="surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


@dataclass(frozen=True)
class Augmentation:
    """Steps one after the other.

    Args:
        steps: each with its probability, drawn for each on its own, so that training hears clean speech too; None =
            always.
        mix: how clips are mixed with others before the steps; None = not.
    """

    steps: Sequence[tuple[Step, float | None]] = ()
    mix: Mix | None = None

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        """A changed copy, shape (samples,) -> (samples,), perhaps of another length."""
        for step, probability in self.steps:
            if probability is None or generator.random() < probability:
                samples = step(samples, generator)
        return samples


@dataclass(frozen=True)
class Mix:
    """Mixing with another clip of the training split of which the same labels are known, labels with labels.

    The clip keeps the share s = max(b, 1 - b), b from Beta(alpha, alpha), of sound and label; the other one, as loud
    and repeated or cut to the same length, gets 1 - s.

    Args:
        alpha: small = mostly one clip, large = near halves.
        probability: of a clip to be mixed.

    Reference:
        Zhang et al. (2018), mixup, arXiv 1710.09412, equation 1; equal loudness and length are ours.
    """

    alpha: float
    probability: float

    def draw(self, generator: np.random.Generator) -> float | None:
        """The share that a clip keeps; None where it is not mixed."""
        if generator.random() >= self.probability:
            return None
        share = float(generator.beta(self.alpha, self.alpha))
        return max(share, 1 - share)


def mixed(samples: FloatArray, other: FloatArray, share: float) -> FloatArray:
    """``share`` of one clip and 1 - ``share`` of another, which is made as loud; both of shape (samples,)."""
    power, other_power = np.mean(samples.astype(np.float64) ** 2), np.mean(other.astype(np.float64) ** 2)
    scale = np.sqrt(power / other_power) if other_power > 0 else 0.0
    return (share * samples + (1 - share) * scale * other).astype(np.float32)
