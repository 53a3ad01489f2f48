"""Task vectors: from the encoder to models that were trained from it, exact at both ends, and to no others."""

from pathlib import Path

import pytest
import torch

from builders.models import TINY, WAVLM, save_tiny_model, tiny_backbone
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError, EmotuneError
from emotune.models.adapters.task_vectors import add_task_vectors, merge_task_vectors, task_coefficients
from emotune.models.backbones.base import Backbone
from emotune.models.emotion_model import EmotionModel
from emotune.models.encoder_folder import save_encoder
from emotune.models.store import save_model
from emotune.schema.labels import LabelSpace


def trained_from(encoder: Backbone, *, seed: int, layers: slice = slice(None), below: bool = True) -> Backbone:
    """The same encoder with other weights in these layers and, if asked, between front end and layers."""
    front_end = {id(parameter) for module in encoder.front_end() for parameter in module.parameters()}
    own = encoder.layer_parameters()
    in_layers = {id(parameter) for layer in own for parameter in layer}
    moves = {id(parameter) for layer in own[layers] for parameter in layer}
    if below:
        moves |= {id(parameter) for parameter in encoder.parameters()} - in_layers - front_end
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in encoder.parameters():
            change = 0.1 * torch.randn(parameter.shape, generator=generator)
            parameter.add_(change if id(parameter) in moves else 0)
    return encoder


@pytest.fixture
def folder_of(tmp_path):
    def save(name: str, encoder: Backbone) -> Path:
        (tmp_path / name).mkdir()
        save_encoder(tmp_path / name, encoder)
        return tmp_path / name

    return save


def merged(start: Backbone, models: list[Path], *, coefficients: dict[str, list[float]] | float) -> Backbone:
    """The start with models merged by coefficients of each layer, or by the same of all."""
    inserted = add_task_vectors(start, start.layer_modules(), models=[str(model) for model in models])
    with torch.no_grad():
        for place, parameter in inserted.outputs.items():
            own = coefficients[place] if isinstance(coefficients, dict) else coefficients
            parameter.copy_(torch.as_tensor(own))
    merge_task_vectors(start)
    return start


def assert_same(encoder: Backbone, other: Backbone) -> None:
    own, theirs = encoder.state_dict(), other.state_dict()
    assert own.keys() == theirs.keys()
    assert [name for name in own if not torch.equal(own[name], theirs[name])] == []


@pytest.mark.parametrize("flavour", TINY)
def test_one_model_by_a_coefficient_of_one_is_that_model_and_by_zero_the_start(flavour, folder_of):
    def start() -> Backbone:
        return tiny_backbone(TINY[flavour], flavour.partition(",")[0])

    model = folder_of("model", trained_from(start(), seed=1))
    assert_same(merged(start(), [model], coefficients=1.0), trained_from(start(), seed=1))
    assert_same(merged(start(), [model], coefficients=0.0), start())


def test_each_layer_is_the_start_and_its_own_share_of_each_models_change(folder_of):
    ones = [trained_from(tiny_backbone(WAVLM), seed=seed) for seed in (1, 2)]
    models = [folder_of(f"model{number}", one) for number, one in enumerate(ones)]
    shares = {"below the layers": [0.5, 0.25], "1": [-0.5, 1.0], "2": [0.0, 2.0]}
    found = merged(tiny_backbone(WAVLM), models, coefficients=shares).state_dict()
    start, (first, second) = tiny_backbone(WAVLM).state_dict(), [one.state_dict() for one in ones]
    for name, weight in start.items():
        one, other = shares["1" if ".layers.0." in name else "2" if ".layers.1." in name else "below the layers"]
        expected = weight + one * (first[name] - weight) + other * (second[name] - weight)
        torch.testing.assert_close(found[name], expected, rtol=1e-5, atol=1e-6)


def test_coefficients_start_as_the_mean_and_only_where_a_model_changed_something(folder_of):
    models = [folder_of("top", trained_from(tiny_backbone(WAVLM), seed=1, layers=slice(1, None), below=False))] * 4
    start = tiny_backbone(WAVLM)
    inserted = add_task_vectors(start, start.layer_modules(), models=[str(model) for model in models])
    assert task_coefficients(start) == {"2": [0.25] * 4} and len(inserted.trained) == 1
    assert start.get_parameter("encoder.layers.1.coefficients") is inserted.trained[0]
    merge_task_vectors(start)
    assert task_coefficients(start) == {}


def test_a_model_of_ours_is_merged_as_its_encoder_is(folder_of, tmp_path):
    ours = save_tiny_model(tmp_path / "ours", LabelSpace(("anger", "neutral")))
    start = trained_from(tiny_backbone(WAVLM), seed=1)
    assert_same(merged(start, [ours], coefficients=1.0), tiny_backbone(WAVLM))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"hidden_size": 32}, r"has \S+ of shape \[32, 8\] instead of \[16, 8\].* Name models that were trained from"),
        ({"num_hidden_layers": 1}, r"another than that of model.backbone: it lacks encoder.layers.1\.\S+, lacks"),
    ],
)
def test_an_encoder_of_other_shapes_is_refused(other, words, tmp_path):
    encoder = tiny_backbone({**WAVLM, **other})
    model = EmotionModel(encoder, LabelSpace(("anger", "neutral")))
    save_model(tmp_path / "other", model, Preprocessing(encoder.normalize, min_samples=encoder.min_samples))
    start = tiny_backbone(WAVLM)
    with pytest.raises(ConfigError, match=words):
        add_task_vectors(start, start.layer_modules(), models=[str(tmp_path / "other")])


def test_what_was_not_trained_from_the_encoder_is_refused(folder_of, tmp_path):
    start = tiny_backbone(WAVLM)
    stranger = folder_of("stranger", tiny_backbone(WAVLM, seed=5))
    untrained = folder_of("untrained", tiny_backbone(WAVLM))
    for model, words in (
        (
            stranger,
            r"stranger was not trained from the encoder of model.backbone, or its front end trained too: its fea",
        ),
        (untrained, "untrained did not train these layers of the encoder: nothing to merge"),
        (tmp_path / "nowhere", "nowhere"),
    ):
        with pytest.raises(EmotuneError, match=words):
            add_task_vectors(start, start.layer_modules(), models=[str(model)])
    assert_same(start, tiny_backbone(WAVLM))
