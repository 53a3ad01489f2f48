"""Sequence models that write in milliseconds, and the tones as a corpus with words."""

import dataclasses
from pathlib import Path

import torch

from builders.models import WAVLM, tiny_backbone
from emotune.models.sequences.base import build_base
from emotune.models.sequences.encoder_decoder import EncoderDecoder
from emotune.models.sequences.sequence_model import SequenceModel
from emotune.models.sequences.spoken_task import SpokenTask
from emotune.schema.manifest import Manifest

DECODER = {"d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
LAYERS = WAVLM["num_hidden_layers"] + DECODER["decoder_layers"]
EMOTION = SpokenTask("emotion", "label", "emotion", ("anger", "neutral", "neutrality"), size=4)
PHONEMES = SpokenTask("phonemes", "symbols", "phonemes", ("a", "a#", "t", "tS"), size=4, ctc=True, most_tokens=20)
SLOTS = SpokenTask("slots", "slots", "slots", ("room hall", "room hall way", "number two"), size=4)
WORDS = SpokenTask("words", "text", "text", size=4, ctc=True, most_tokens=24)


def tiny_base(seed: int = 0) -> EncoderDecoder:
    backbone = tiny_backbone(WAVLM, seed=seed)
    return build_base(backbone, DECODER).eval()


def tiny_sequences(*tasks: SpokenTask, seed: int = 0) -> SequenceModel:
    model = SequenceModel(tiny_base(seed))
    for task in tasks:
        model.add(task)
    return model.eval()


def shaken(model: SequenceModel, *names: str) -> SequenceModel:
    """The model with adapters and tokens as training might leave them."""
    generator = torch.Generator().manual_seed(1)
    for name in names:
        for parameter in model.parts_of(name).parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


def spoken_tones(tones: Manifest, path: Path) -> Path:
    """A manifest of the tones that has words and slots of its own."""
    told = {"anger": ("high tone", "height high"), "neutral": ("low tone", "height low")}
    rows = [
        dataclasses.replace(
            u, text=told[u.emotion][0], extra={"slots": told[u.emotion][1], "sounds": " ".join(u.emotion)}
        )
        for u in tones
    ]
    tones.replace_utterances(rows).write(path)
    return path


def clips(count: int = 2, seconds: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of different lengths with its mask, each shape (clips, samples)."""
    samples = round(16000 * seconds)
    waveforms = 0.1 * torch.randn(count, samples, generator=torch.Generator().manual_seed(2))
    lengths = torch.tensor([samples - 800 * row for row in range(count)])
    mask = torch.arange(samples)[None] < lengths[:, None]
    return waveforms * mask, mask
