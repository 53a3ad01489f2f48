"""Lag and processor time of `emotune listen`: samples of 16 bits at 16 kHz, and mu-law at 8 kHz.

    python benchmarks/live.py MODEL RECORDING... [--seconds 60] [--hop 0.5] [--vad silero]

Plays the recordings one after another, with a second of silence between them, as fast as they sound, and listens to
them in this process. The share of a core is processor time of all threads by the time that passed. Of the first two
seconds nothing counts.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

import emotune
from emotune import audio
from emotune.audio.live import Played, RawSound, raw_blocks
from emotune.choices import SampleEncoding
from emotune.inference.listen import Summary, listen

SOURCES: dict[str, tuple[SampleEncoding, str, int]] = {
    "pcm16, 16 kHz": ("pcm16", "PCM_16", 16000),
    "mu-law, 8 kHz": ("mulaw", "ULAW", 8000),
}
LEFT_OUT_S = 2.0


def raw(samples: audio.FloatArray, subtype: str, rate: int) -> bytes:
    """Samples at 16 kHz as bytes without a header."""
    stream = io.BytesIO()
    soundfile.write(stream, soxr.resample(samples, 16000, rate), rate, format="RAW", subtype=subtype, endian="LITTLE")
    return stream.getvalue()


def played(recordings: Sequence[Path], seconds: float) -> audio.FloatArray:
    """Recordings with pauses, again and again until it is long enough, shape (samples,)."""
    parts: list[audio.FloatArray] = []
    while sum(map(len, parts)) < seconds * 16000:
        for path in recordings:
            parts += [audio.clip(path).samples, np.zeros(16000, dtype=np.float32)]
    return np.concatenate(parts)[: round(seconds * 16000)]


def measured(predictor: emotune.Predictor, path: Path, sound: RawSound, options: argparse.Namespace) -> str:
    """A row of the table."""
    stream = emotune.Stream(predictor, hop_s=options.hop, voice_activity=options.vad)
    summary, lags, used, passed = Summary(), [], 0.0, 0.0
    for estimate in listen(stream, Played(raw_blocks(path, sound)), summary=summary):
        if estimate.end_s < LEFT_OUT_S:
            used, passed = time.process_time(), time.monotonic()
        elif estimate.prediction is not None:
            lags.append(estimate.lag_s)
    share = (time.process_time() - used) / (time.monotonic() - passed)
    counted = len(lags) or 1
    cells = [f"{summary.estimates / summary.heard_s:.2f}", f"{counted / summary.estimates:.0%}"]
    cells += [f"{value:.3f}" for value in (*np.quantile(lags, [0.5, 0.95]), max(lags))]
    return " | ".join([*cells, f"{share:.1%}", str(summary.skipped)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hop", type=float, default=0.5)
    parser.add_argument("--vad", choices=("silero", "energy", "none"))
    options = parser.parse_args()
    predictor = emotune.load(options.model, device="cpu")
    samples = played(options.recordings, options.seconds)
    predictor.predict((samples[: 3 * 16000], 16000))
    load = os.getloadavg()[0]
    print(f"{options.model}, {options.seconds:g} s, a window of 3 s every {options.hop:g} s, load {load:.1f}")
    print("| source | estimates a second | with speech | lag in s: median | 95 % | longest | of one core | skipped |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (encoding, subtype, rate) in SOURCES.items():
            path = Path(folder) / "live.raw"
            path.write_bytes(raw(samples, subtype, rate))
            print(f"| {name} | {measured(predictor, path, RawSound(encoding, rate), options)} |", flush=True)


if __name__ == "__main__":
    main()
