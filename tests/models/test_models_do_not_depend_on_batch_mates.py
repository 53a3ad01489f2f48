"""A clip is predicted alike alone and in any batch, through the whole model and through the Predictor."""

import numpy as np
import pytest
import torch

from builders.models import TINY, tiny_backbone
from emotune import audio
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Output, pad
from emotune.inference import Predictor
from emotune.inference.items import Item
from emotune.inference.torch_engine import TorchEngine
from emotune.models.aggregations import LAYER_MIXES, POOLINGS, VARAN
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.emotion_model import EmotionModel
from emotune.schema.labels import LabelSpace, Scale

SPACE = LabelSpace(("anger", "happiness", "neutral"), {"arousal": Scale(1, 7), "valence": Scale(-1, 1)})
TOLERANCE = 1e-4


def test_every_backbone_of_the_table_has_a_tiny_config_here():
    assert {name.split(",")[0] for name in TINY} == set(BACKBONES)


def model_of(backbone: Backbone, *, layer_mix: str = "weighted_sum", pooling: str = "mean_std") -> EmotionModel:
    torch.manual_seed(1)
    return EmotionModel(backbone, SPACE, layer_mix=layer_mix, pooling=pooling, hidden_size=16).eval()


def clips(backbone: Backbone) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    lengths = [16000, 24000, backbone.min_samples, 7777, 16000]
    return [generator.standard_normal(length).astype(np.float32) * 0.3 for length in lengths]


def assert_alone_as_together(model: EmotionModel, waveforms: list[np.ndarray]) -> None:
    together: Output = model(pad(waveforms))
    for row, waveform in enumerate(waveforms):
        alone: Output = model(pad([waveform]))
        found = {**alone.heads, "features": alone.features}
        expected = {**together.heads, "features": together.features}
        assert found.keys() == expected.keys() == {"classes", "dimensions", "features"}
        for name, values in expected.items():
            torch.testing.assert_close(values[row], found[name][0], rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layer_mix", [*LAYER_MIXES, VARAN])
@pytest.mark.parametrize("flavour", TINY)
@pytest.mark.parametrize("graph", [False, True], ids=["packed", "padded"])
def test_a_clip_gives_the_same_output_alone_and_in_a_batch(flavour, layer_mix, pooling, graph):
    backbone = tiny_backbone(TINY[flavour], flavour.split(",", maxsplit=1)[0])
    with torch.set_grad_enabled(graph):
        assert_alone_as_together(model_of(backbone, layer_mix=layer_mix, pooling=pooling), clips(backbone))


def assert_same_whatever_the_batch(predictor_of, sources: list) -> None:
    expected = [predictor_of(40.0).predict(source) for source in sources]
    for batch_seconds in (0.1, 3.0, 1000.0):
        rows = predictor_of(batch_seconds).predict_items([Item(f"c{n}", s) for n, s in enumerate(sources)]).rows
        for row, alone in zip(rows, expected, strict=True):
            assert list(row.probabilities.values()) == pytest.approx(list(alone.probabilities.values()), abs=TOLERANCE)
            assert list(row.dimensions.values()) == pytest.approx(list(alone.dimensions.values()), abs=6 * TOLERANCE)


@pytest.mark.parametrize("flavour", TINY)
def test_the_predictor_gives_the_same_answer_for_every_batch_seconds(flavour):
    backbone = tiny_backbone(TINY[flavour], flavour.split(",", maxsplit=1)[0])
    engine = TorchEngine(model_of(backbone), Preprocessing(backbone.normalize, min_samples=backbone.min_samples))
    sources = [(clip, 16000) for clip in clips(backbone)]
    assert_same_whatever_the_batch(lambda seconds: Predictor(engine, batch_seconds=seconds), sources)


@torch.no_grad()
def test_the_real_whisper_does_not_know_batch_mates_either(shared):
    checkpoint, recordings = shared / "models" / "whisper-tiny.en-encoder", shared / "data" / "ravdess" / "audio"
    if not checkpoint.is_dir() or not recordings.is_dir():
        pytest.skip(f"{checkpoint} or {recordings} does not exist")
    model = model_of(load_pretrained("whisper", str(checkpoint), layers=3))
    paths = sorted(recordings.glob("*.flac"))[::400]
    preprocessing = Preprocessing(trim_silence_db=40.0, min_samples=model.backbone.min_samples)
    assert_alone_as_together(model, [preprocessing(audio.decode(path).mono()) for path in paths])
    engine = TorchEngine(model, preprocessing)
    assert_same_whatever_the_batch(lambda seconds: Predictor(engine, batch_seconds=seconds), paths)
