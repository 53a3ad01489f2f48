"""Every part of a model exports, with every other: the graph answers as the model does, alone and in a batch."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from builders.models import TINY, tiny_backbone
from emotune.audio.preprocessing import Preprocessing
from emotune.conditions import CONDITIONS
from emotune.errors import ConfigError
from emotune.export.export_model import LARGEST_DIFFERENCE, export_model
from emotune.export.onnx import whole_graph
from emotune.models.adapters import ADAPTERS
from emotune.models.aggregations import LAYER_MIXES, POOLINGS, VARAN
from emotune.models.conditions import JOINS
from emotune.models.emotion_model import EmotionModel
from emotune.models.exported import PRECISIONS
from emotune.models.normalisation import normalized
from emotune.models.store import save_model
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace, Scale

SPACES = {
    "both": LabelSpace(("anger", "happiness", "neutral"), {"arousal": Scale(1, 7), "valence": Scale(-1, 1)}),
    "classes": LabelSpace(("anger", "neutral")),
    "dimensions": LabelSpace((), {"arousal": Scale(1, 7)}),
}
WIDTHS = {"gender": {}, "text": {"width": 6, "size": 4}}
SMALLER = {"conv_dim": [16] * 3, "conv_kernel": [40, 8, 4], "conv_stride": [20, 8, 4], "num_hidden_layers": 1}
"""the exporter's time goes by the number of operations"""
FLAVOURS = {
    name: config | ({"encoder_layers": 1} if name == "whisper" else SMALLER)
    for name, config in TINY.items()
    if "final norm" not in name
}
TARGETS = {
    "depthwise": ["intermediate_dense"],
    "wav2vec2-bert": ["linear_q", "linear_v"],
    "emotion2vec": ["qkv", "proj"],
}
"""of LoRA and PEFT, where they are not called q_proj and v_proj"""
PARTS: dict[str, list] = {
    "backbone": list(FLAVOURS),
    "layer_mix": [*LAYER_MIXES, VARAN],
    "pooling": list(POOLINGS),
    "adapter": [None, *(name for name in ADAPTERS if name != "task_vectors")],  # of these a saved model holds none
    "conditions": [(), *((name,) for name in CONDITIONS), tuple(CONDITIONS)],
    "join": list(JOINS),
    "hidden_size": [None, 8],
    "labels": list(SPACES),
    "precision": list(PRECISIONS),
}
INT8_DIFFERENCE = 0.08
"""of a probability or unit-scale dimension of these tiny random models: a few numbers share each quantised sum"""


def pairs_of(row: tuple) -> set:
    return set(itertools.combinations(enumerate(row), 2))


def every_pair() -> list[tuple]:
    """Rows of parts so that any two parts of different kinds meet in one of them."""
    generator = np.random.default_rng(0)
    kinds = list(PARTS.values())
    left = {
        ((a, one), (b, other))
        for a, b in itertools.combinations(range(len(kinds)), 2)
        for one, other in itertools.product(kinds[a], kinds[b])
    }
    rows = []
    while left:
        (a, one), (b, other) = min(left, key=repr)
        tried = []
        for _ in range(200):
            row = [kind[generator.integers(len(kind))] for kind in kinds]
            row[a], row[b] = one, other
            tried.append(tuple(row))
        rows.append(max(tried, key=lambda row: len(pairs_of(row) & left)))
        left -= pairs_of(rows[-1])
    return rows


def adapter_of(name: str, backbone: str) -> dict:
    targets = TARGETS.get(backbone) if name in ("lora", "peft") else None
    return {"name": name} | ({"targets": targets} if targets else {})


def saved(folder: Path, parts: dict) -> Path:
    backbone = tiny_backbone(FLAVOURS[parts["backbone"]], parts["backbone"].split(",")[0])
    torch.manual_seed(1)
    model = EmotionModel(
        backbone,
        SPACES[parts["labels"]],
        layer_mix=parts["layer_mix"],
        varan={"parameter": 5.0} if parts["layer_mix"] == VARAN else None,
        pooling=parts["pooling"],
        adapter=parts["adapter"] and adapter_of(parts["adapter"], parts["backbone"]),
        conditions={name: WIDTHS[name] for name in parts["conditions"]} or None,
        join=parts["join"],
        hidden_size=parts["hidden_size"],
    )
    with torch.no_grad():  # adapters, and the statistics of features, change nothing at first
        for name, parameter in model.named_parameters():
            if name in model.adapter_parameters or "modulation" in name:
                parameter.add_(0.05 * torch.randn(parameter.shape))
        shape = model.standardize.mean.shape
        model.standardize.set(0.1 * torch.randn(shape), torch.rand(shape) + 0.5)
    preprocessing = Preprocessing(backbone.normalize, max_duration_s=3.0, min_samples=backbone.min_samples)
    save_model(folder, model, preprocessing, calibration=Calibration(temperature=1.4))
    return folder


@pytest.mark.load
@pytest.mark.parametrize("row", every_pair(), ids=lambda row: "-".join(str(part) for part in row))
def test_every_two_parts_export_together(tmp_path, row):
    parts = dict(zip(PARTS, row, strict=True))
    parity = export_model(saved(tmp_path / "model", parts), tmp_path / "out", precision=parts["precision"]).parity
    assert parity.clips == 50
    assert parity.batch < (LARGEST_DIFFERENCE if parts["precision"] == "fp32" else INT8_DIFFERENCE / 2)
    bound = LARGEST_DIFFERENCE if parts["precision"] == "fp32" else INT8_DIFFERENCE
    assert parity.probabilities < bound
    assert parity.dimensions < bound


@pytest.mark.load
def test_heads_and_normalisation_of_published_models_export(tmp_path):
    backbone = tiny_backbone(FLAVOURS["wavlm"], "wavlm")
    networks = {
        "classes": {"hidden_size": 5, "activation": "tanh"},
        "dimensions": {"hidden_size": 6, "activation": "relu", "sigmoid": True},
    }
    pooling = {"name": "projected_mean", "sizes": [8, 4]}
    model = EmotionModel(backbone, SPACES["both"], pooling=pooling, networks=networks)
    heard = Preprocessing("fixed", mean=0.01, std=0.08, max_duration_s=3.0, min_samples=backbone.min_samples)
    save_model(tmp_path / "model", model, heard)
    parity = export_model(tmp_path / "model", tmp_path / "out").parity
    assert max(parity.probabilities, parity.dimensions, parity.batch) < LARGEST_DIFFERENCE


def test_any_two_parts_meet():
    met = set().union(*map(pairs_of, every_pair()))
    for a, b in itertools.combinations(range(len(PARTS)), 2):
        for one, other in itertools.product(list(PARTS.values())[a], list(PARTS.values())[b]):
            assert ((a, one), (b, other)) in met
    most, next_most = sorted((len(kind) for kind in PARTS.values()), reverse=True)[:2]
    assert len(every_pair()) < 1.2 * most * next_most, "fewer rows cannot hold them all"


def test_conditions_that_are_known_here_are_all_there_are():
    assert set(WIDTHS) == set(CONDITIONS)


class Unheard(nn.Module):
    """Pooling of another package that sorts out on the way what ONNX has no operation for."""

    output_size = 32

    def forward(self, sequence: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.linalg.eigvalsh(sequence.transpose(1, 2) @ sequence)


@pytest.mark.load
def test_a_part_that_onnx_has_no_operations_for_is_refused_in_words():
    model = EmotionModel(tiny_backbone(TINY["whisper"], "whisper"), SPACES["classes"], pooling="mean").eval()
    model.pooling = Unheard()  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="cannot be exported to ONNX"):
        whole_graph(model, preprocessing=Preprocessing(), temperature=1.0)


def test_a_dimension_with_the_name_of_an_input_is_refused():
    space = LabelSpace((), {"lengths": Scale(0, 1)})
    model = EmotionModel(tiny_backbone(TINY["whisper"], "whisper"), space).eval()
    with pytest.raises(ConfigError, match="two inputs or outputs called 'lengths'"):
        whole_graph(model, preprocessing=Preprocessing(), temperature=1.0)


def test_clips_are_normalised_inside_as_the_preprocessing_does_it():
    generator = np.random.default_rng(0)
    clips = [generator.standard_normal(length).astype(np.float32) * 0.2 + 0.1 for length in (900, 400)]
    padded = torch.zeros(2, 900)
    for row, clip in enumerate(clips):
        padded[row, : len(clip)] = torch.from_numpy(clip)
    mask = torch.arange(900)[None, :] < torch.tensor([900, 400])[:, None]
    found = normalized(padded, mask, variance_floor=1e-7).numpy()
    for row, clip in enumerate(clips):
        np.testing.assert_allclose(found[row, : len(clip)], Preprocessing("clip").finish(clip), atol=1e-5)
        assert not found[row, len(clip) :].any()
