"""Degradations of speech between speaker and model: noise, rooms, channels, codecs, levels and length.

A degradation acts on the decoded clip, mono at 16 kHz, before anything that the model does to it. Its randomness comes
from its family and the utterance's id alone, so that the three levels of a noise are the same noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.data.augmentations.channel import CODECS, Telephone, coded
from emotune.data.augmentations.noise import add_at_snr, coloured_noise
from emotune.data.augmentations.pipeline import generator_of
from emotune.data.augmentations.reverberation import in_room, simulated_response
from emotune.evaluation.robustness.babble import Voices
from emotune.registry import Registry
from emotune.schema.utterance import Utterance

Change = Callable[[FloatArray, np.random.Generator], FloatArray]
NOISE, BABBLE, CHANNEL, LEVEL, ROOM, PIECE = "noise", "babble", "channel", "level", "room", "piece"


@dataclass(frozen=True)
class Degradation:
    """A degradation's family, what it is in words, and what it does to a clip: (samples, generator) -> samples.

    ``snr_db`` is that of the babble, for which the clip alone is not enough; ``change`` is not used then.
    """

    family: str
    words: str
    change: Change = lambda samples, _: samples
    snr_db: float | None = None

    def __call__(self, utterance: Utterance, voices: Voices) -> FloatArray:
        """An utterance under the degradation, shape (samples,).

        Raises:
            AudioError: when it, or every voice for its babble, cannot be decoded.
        """
        samples = voices.samples_of(utterance)
        generator = generator_of(0, 0, f"{self.family} {utterance.utterance_id}")
        if self.snr_db is not None:
            return add_at_snr(samples, voices.babble_for(utterance, len(samples), generator), self.snr_db)
        return self.change(samples, generator)


def white_noise(snr_db: float) -> Change:
    """White noise, by the mean power of the whole clip."""
    return lambda samples, generator: add_at_snr(samples, coloured_noise(len(samples), 0.0, generator), snr_db)


def telephone(samples: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Telephone channel of a clip, shape (samples,): 300 to 3400 Hz at 8 kHz in A-law, 64 kbit/s."""
    return coded(Telephone()(samples, generator), CODECS["alaw"])


def codec(name: str, level: float) -> Change:
    """Codec: encodes and decodes a clip, ``level`` as libsndfile's compression."""
    return lambda samples, _: coded(samples, CODECS[name], level)


def quieter(largest_db: float) -> Change:
    """Lower level in 16-bit samples, which leaves fewer bits in use."""

    def change(samples: FloatArray, _: np.random.Generator) -> FloatArray:
        scaled = np.clip(samples * 10 ** (-largest_db / 20), -1, 1)
        return (np.round(scaled * 32767) / 32767).astype(np.float32)

    return change


def overdriven(peak_db: float) -> Change:
    """Clipping: gain until the peak would lie ``peak_db`` over full scale; silence stays silence."""

    def change(samples: FloatArray, _: np.random.Generator) -> FloatArray:
        peak = float(np.abs(samples).max())
        return np.clip(samples * (10 ** (peak_db / 20) / peak), -1, 1).astype(np.float32) if peak else samples

    return change


def room(rt60_s: float, direct_db: float) -> Change:
    """A simulated room, another one for each clip."""
    return lambda samples, generator: in_room(samples, simulated_response(rt60_s, direct_db, generator))


def first(seconds: float) -> Change:
    """Beginning of a clip; a shorter clip stays whole."""
    return lambda samples, _: samples[: round(seconds * SAMPLING_RATE_HZ)]


def middle(seconds: float) -> Change:
    """Middle of a clip; a shorter clip stays whole."""

    def change(samples: FloatArray, _: np.random.Generator) -> FloatArray:
        length = round(seconds * SAMPLING_RATE_HZ)
        start = max(0, (len(samples) - length) // 2)
        return samples[start : start + length]

    return change


DEGRADATIONS: Registry[Degradation] = Registry(
    "degradation",
    {
        "white_20db": Degradation(NOISE, "white noise, 20 dB under the speech", white_noise(20)),
        "white_10db": Degradation(NOISE, "white noise, 10 dB under the speech", white_noise(10)),
        "white_0db": Degradation(NOISE, "white noise as loud as the speech", white_noise(0)),
        "babble_20db": Degradation(BABBLE, "other people talking, 20 dB under the speech", snr_db=20),
        "babble_10db": Degradation(BABBLE, "other people talking, 10 dB under the speech", snr_db=10),
        "babble_0db": Degradation(BABBLE, "other people talking as loud as the speech", snr_db=0),
        "telephone": Degradation(CHANNEL, "telephone, 300 to 3400 Hz, A-law", telephone),
        "mp3": Degradation(CHANNEL, "MP3 at 16 kbit/s", codec("mp3", 0.95)),
        "opus": Degradation(CHANNEL, "Opus at 6 kbit/s", codec("opus", 0.99)),
        "quiet": Degradation(LEVEL, "20 dB softer, 16 bits", quieter(20)),
        "overdriven": Degradation(LEVEL, "peaks cut, 12 dB over full scale", overdriven(12)),
        "room_300ms": Degradation(ROOM, "room of 0.3 s, reflections 5 dB under the voice", room(0.3, 5)),
        "room_800ms": Degradation(ROOM, "room of 0.8 s, reflections as loud as the voice", room(0.8, 0)),
        "first_1s": Degradation(PIECE, "the first second alone", first(1)),
        "first_2s": Degradation(PIECE, "the first two seconds alone", first(2)),
        "middle_1s": Degradation(PIECE, "the middle second alone", middle(1)),
    },
)
