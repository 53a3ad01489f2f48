"""What every head of the table keeps to; a new entry is tested at once."""

import dataclasses
import math

import pytest
import torch

from emotune.batch import Batch
from emotune.errors import ConfigError
from emotune.losses import LOSSES
from emotune.metrics import METRICS
from emotune.models.backbones import BACKBONES
from emotune.models.emotion_model import EmotionModel
from emotune.models.heads import HEADS, LABELS, truths_of
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.utterance import Utterance

SPACE = LabelSpace(("anger", "happiness", "neutral"), {"arousal": Scale(1, 7), "valence": Scale(1, 7)})
UNKNOWN = Utterance("a", "a.wav")
KNOWN = dataclasses.replace(
    UNKNOWN,
    emotion="happiness",
    dimensions={"arousal": 4.0, "valence": 1.0},
    votes={"happiness": 3.0, "neutral": 1.0},
    gender="male",
)


def model_of(tiny_wavlm: dict, mix: str) -> EmotionModel:
    torch.manual_seed(0)
    return EmotionModel(BACKBONES["wavlm"].from_config(tiny_wavlm), SPACE, layer_mix=mix, heads=list(HEADS)).eval()


@pytest.mark.parametrize("name", HEADS)
def test_a_truth_has_as_many_numbers_as_its_head_known_or_not(name):
    head = HEADS[name](SPACE)
    assert head.size > 0
    assert head.truths
    for truth in head.truths.values():
        assert truth.is_known(KNOWN) and len(truth.of(KNOWN)) == head.size
        assert not truth.is_known(UNKNOWN) and len(truth.of(UNKNOWN)) == head.size
        assert all(map(math.isnan, truth.of(UNKNOWN)))


def test_truths_are_those_of_the_utterance():
    found = {name: truth.of(KNOWN) for name, truth in truths_of(SPACE, HEADS).items()}
    assert found == {
        "classes": (0.0, 1.0, 0.0),
        "votes": (0.0, 0.75, 0.25),
        "dimensions": (0.5, 0.0),
        "gender": (0.0, 1.0),
    }


def test_no_two_heads_share_a_truth_or_a_place_in_a_prediction():
    heads = [HEADS[name](SPACE) for name in HEADS]
    names = [truth for head in heads for truth in head.truths]
    places = [head.stored_as for head in heads if head.stored_as is not None]
    assert len(names) == len(set(names))
    assert len(places) == len(set(places))


@pytest.mark.parametrize("name", HEADS)
def test_a_head_has_a_loss_and_what_is_stored_has_a_metric(name):
    assert any(loss.head == name for loss in LOSSES.values())
    assert all(metric in METRICS for metric in HEADS[name].metrics)
    assert bool(HEADS[name].metrics) == (HEADS[name].stored_as is not None)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("mix", ["last", "varan"])
@torch.no_grad()
def test_a_model_gives_each_clip_as_many_scores_as_the_head_has_outputs(tiny_wavlm, name, mix):
    output = model_of(tiny_wavlm, mix)(Batch(torch.randn(3, 8000), torch.ones(3, 8000, dtype=torch.bool)))
    scores = output.heads[name]
    assert scores.shape == HEADS[name](SPACE).answers(scores).shape == (3, HEADS[name](SPACE).size)
    if output.layers is not None:
        assert (name in output.layers.heads) == HEADS[name].is_learnt_by_layer


@pytest.mark.parametrize("name", HEADS)
def test_the_loss_of_a_head_reaches_it_and_no_other(tiny_wavlm, name):
    model = model_of(tiny_wavlm, "last")
    model(Batch(torch.randn(2, 8000), torch.ones(2, 8000, dtype=torch.bool))).heads[name].sum().backward()
    reached = {other for other in HEADS if any(p.grad is not None for p in model.heads[other].parameters())}
    assert reached == {name}


def test_a_model_has_the_heads_that_its_label_space_has_something_for(tiny_wavlm):
    backbone = BACKBONES["wavlm"].from_config(tiny_wavlm)
    alone = EmotionModel(backbone, LabelSpace(("anger", "neutral")))
    assert list(alone.heads) == alone.settings["heads"] == ["classes"]
    assert set(LABELS) <= set(HEADS)
    with pytest.raises(ConfigError, match="Unknown head 'gendre', did you mean 'gender'"):
        EmotionModel(backbone, SPACE, heads=[*LABELS, "gendre"])
