"""Joins clips of the demo corpus, which espeak-ng speaks, into the page's sample: public/sample.mp3."""

from pathlib import Path

import numpy as np
import soundfile

CORPUS = Path(__file__).parents[1] / "examples/demo/corpus/audio"
CLIPS = ("s2-neutral", "s4-neutral", "s1-happiness", "s3-happiness", "s2-sadness", "s4-sadness", "s3-anger", "s5-anger")
PAUSE_S = 0.7
"""Longer than the half second that parts two stretches of speech."""


def main() -> None:
    """Writes the sample: one voice, two sentences for each emotion, a pause after each."""
    parts: list[np.ndarray] = []
    rate = 16000
    for clip in CLIPS:
        samples, rate = soundfile.read(CORPUS / f"v16-{clip}.ogg", dtype="float32")
        parts += [samples * (0.5 / np.abs(samples).max()), np.zeros(int(PAUSE_S * rate), np.float32)]
    soundfile.write(
        Path(__file__).parent / "public/sample.mp3",
        np.concatenate(parts),
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=0.6,
        bitrate_mode="VARIABLE",
    )


if __name__ == "__main__":
    main()
