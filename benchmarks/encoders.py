"""Speed of the encoders against transformers in one run: padded batches of eight, and clips alone.

Random weights of a published width, a few layers of it: time a layer is what differs, and weights do not change it.

    python benchmarks/encoders.py [--layers 4] [--encoders wav2vec2-bert whisper]

It prints, for each encoder, the seconds for all clips by transformers and by emotune, and the largest difference of a
last state for a clip alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers

from emotune.models.backbones import BACKBONES
from emotune.models.backbones.checkpoint import load_weights

SECONDS = (1.3, 1.8, 2.2, 2.7, 3.1, 3.9, 5.2, 7.5)
REPEATS = 3  # and one to warm up
CLASSES = {
    "wav2vec2-bert": ("Wav2Vec2BertConfig", "Wav2Vec2BertModel"),
    "data2vec-audio": ("Data2VecAudioConfig", "Data2VecAudioModel"),
    "unispeech-sat": ("UniSpeechSatConfig", "UniSpeechSatModel"),
}


def clips() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [(0.1 * generator.standard_normal(round(16000 * s))).astype(np.float32) for s in SECONDS]


def timed(work: Callable[[], object]) -> float:
    """Median seconds after one run to warm up."""
    work()
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@torch.no_grad()
def compare(name: str, layers: int) -> tuple[float, float, float, float, float]:
    """Seconds of all clips: theirs padded, ours in a batch, theirs alone, ours alone; and the largest difference."""
    config_class, model_class = (getattr(transformers, one) for one in CLASSES[name])
    torch.manual_seed(0)
    config = config_class(num_hidden_layers=layers)
    theirs = model_class(config).eval()
    ours = BACKBONES[name].from_config(config.to_dict()).eval()
    load_weights(ours, theirs.state_dict(), source="transformers")
    bert = name == "wav2vec2-bert"
    extractor = (
        transformers.SeamlessM4TFeatureExtractor()
        if bert
        else transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    )
    heard = clips()
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(clip) for clip in heard], batch_first=True)
    mask = torch.arange(padded.shape[1])[None, :] < torch.tensor([len(clip) for clip in heard])[:, None]

    def ask(batch: list[np.ndarray]) -> Any:
        return theirs(**extractor(batch, sampling_rate=16000, padding=True, return_tensors="pt")).last_hidden_state

    def alone(clip: np.ndarray) -> torch.Tensor:
        samples = torch.from_numpy(clip)[None]
        return ours(samples, torch.ones_like(samples, dtype=torch.bool)).states[-1]

    apart = max(
        float((alone(clip)[0] - ask([clip])[0, : alone(clip).shape[1]]).abs().max()) for clip in (heard[0], heard[-1])
    )
    return (
        timed(lambda: ask(heard)),
        timed(lambda: ours(padded, mask)),
        timed(lambda: [ask([clip]) for clip in heard]),
        timed(lambda: [alone(clip) for clip in heard]),
        apart,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--encoders", nargs="+", default=list(CLASSES), choices=list(CLASSES))
    options = parser.parse_args()
    print(f"{len(SECONDS)} clips, {sum(SECONDS):.1f} s, {options.layers} layers, {torch.get_num_threads()} threads")
    for name in options.encoders:
        batch, packed, single, own, apart = compare(name, options.layers)
        print(
            f"{name}: batch of 8 {batch:.2f} s -> {packed:.2f} s ({batch / packed:.2f}x),"
            f" alone {single:.2f} s -> {own:.2f} s ({single / own:.2f}x), differs {apart:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
