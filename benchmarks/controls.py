"""Word error rates of a recogniser on clips as they are, with levelled prosody, and with the words filtered out.

    python benchmarks/controls.py MANIFEST RECOGNISER [--split test] [--clips 192] [--json FILE]

Shows what the controls of ``evaluate --words`` leave of the words: levelled clips should be understood nearly as well
as the recordings, filtered ones not at all. MANIFEST has transcripts (``text``), RECOGNISER is a Whisper folder for
CTranslate2. Errors over the words of all clips, with intervals over speakers.
"""

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.audio.prosody import flattened, without_words
from emotune.enrichment.speech_recogniser import Transcriber
from emotune.evaluation.statistics.bootstrap import ClusterBootstrap, cluster_codes
from emotune.metrics.words import word_errors
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

WAYS: dict[str, Callable[[FloatArray, int], FloatArray]] = {
    "as recorded": lambda samples, _: samples,
    "prosody levelled": flattened,
    "words filtered out": without_words,
}


def rate(utterances: list[Utterance], heard: list[str]) -> dict[str, float]:
    """Errors a word, with the interval over speakers, and clips in which nothing was heard."""
    codes = cluster_codes([utterance.speaker for utterance in utterances])
    counts = np.zeros((codes.max() + 1, 2))
    for utterance, code, text in zip(utterances, codes, heard, strict=True):
        errors = word_errors([(utterance.text or "", text)])
        counts[code] += errors.errors, errors.words
    estimate = ClusterBootstrap(counts).estimate(lambda sums: sums[..., 0] / sums[..., 1])
    return {
        "rate": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "silent": sum(not text for text in heard) / len(heard),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("recogniser", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--clips", type=int, default=192)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    manifest = Manifest.read(options.manifest)
    known = [u for u in manifest if u.text and (options.split is None or u.split == options.split)]
    chosen = random.Random(0).sample(known, min(options.clips, len(known)))
    recogniser = Transcriber(options.recogniser)
    found = {}
    for way, change in WAYS.items():
        texts = []
        for start in range(0, len(chosen), 8):
            clips = [manifest.clip_of(u, sampling_rate_hz=SAMPLING_RATE_HZ).samples for u in chosen[start : start + 8]]
            texts += [heard.text for heard in recogniser.transcribe([change(clip, SAMPLING_RATE_HZ) for clip in clips])]
        found[way] = rate(chosen, texts)
        row = found[way]
        print(f"{way:20} {row['rate']:.3f} [{row['low']:.3f}, {row['high']:.3f}], no word heard in {row['silent']:.0%}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
