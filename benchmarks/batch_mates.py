"""How far a clip's output moves when it is batched with others: every backbone, layer mix and pooling.

    python benchmarks/batch_mates.py [FOLDER_OF_A_WHISPER_CHECKPOINT FOLDER_OF_RECORDINGS]

Prints, for each backbone, layer mix and pooling, the largest absolute difference of logits and of unit-scale dimensions
between clips alone and in one padded batch. WavLM Base+ and Large have their published shapes and random weights; the
Whisper folder, where given, real weights and real recordings. 4 layers each, to keep it short.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from emotune import audio
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import pad
from emotune.models.aggregations import LAYER_MIXES, POOLINGS, VARAN
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.models.emotion_model import EmotionModel
from emotune.schema.labels import LabelSpace, Scale

SPACE = LabelSpace(("anger", "happiness", "sadness", "neutral"), {"arousal": Scale(1, 7)})


def largest_difference(model: EmotionModel, clips: list[np.ndarray], *, graph: bool) -> float:
    with torch.set_grad_enabled(graph):  # without a graph the wav2vec 2.0 family packs the clips on a CPU
        together = model(pad(clips))
    differences = []
    for row, clip in enumerate(clips):
        with torch.no_grad():
            alone = model(pad([clip]))
        differences += [(together.heads[name][row] - alone.heads[name][0]).abs().max() for name in together.heads]
    return float(torch.stack(differences).detach().max())


def report(name: str, backbone: Backbone, clips: list[np.ndarray]) -> None:
    prepared = [Preprocessing(backbone.normalize, min_samples=backbone.min_samples)(clip) for clip in clips]
    for layer_mix in [*LAYER_MIXES, VARAN]:
        for pooling in POOLINGS:
            torch.manual_seed(0)
            model = EmotionModel(backbone, SPACE, layer_mix=layer_mix, pooling=pooling).eval()
            found = [f"{largest_difference(model, prepared, graph=graph):.1e}" for graph in (False, True)]
            print(f"{name:30} {layer_mix:17} {pooling:16} packed {found[0]}  padded {found[1]}", flush=True)


def main() -> None:
    generator = np.random.default_rng(0)
    noise = [generator.standard_normal(n).astype(np.float32) * 0.1 for n in (8000, 32000, 1000, 20000)]
    torch.manual_seed(0)
    report("WavLM Base+, random weights", BACKBONES["wavlm"].from_config({}, layers=4), noise)
    report("WavLM Large, random weights", BACKBONES["wavlm"].from_config(LARGE_SHAPE, layers=4), noise)
    report("HuBERT Base, random weights", BACKBONES["hubert"].from_config({}, layers=4), noise)
    report("Whisper tiny, random weights", BACKBONES["whisper"].from_config({}, layers=4), noise)
    if len(sys.argv) == 3:
        recordings = sorted(Path(sys.argv[2]).glob("*.flac"))[::360]
        speech = [audio.decode(path).mono() for path in recordings]
        report("Whisper, real weights and speech", load_pretrained("whisper", sys.argv[1]), speech)


if __name__ == "__main__":
    main()
