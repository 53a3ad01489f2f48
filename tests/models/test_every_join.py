"""What every way to join conditions to the sound keeps to; a new entry is tested at once."""

import pytest
import torch

from emotune.batch import Batch
from emotune.errors import ConfigError
from emotune.models.backbones import BACKBONES
from emotune.models.conditions import JOINS
from emotune.models.conditions.joined import Joined
from emotune.models.emotion_model import EmotionModel
from emotune.models.heads import HEADS
from emotune.schema.labels import LabelSpace

SPACE = LabelSpace(("anger", "neutral"))


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("shape", [(4, 7), (4, 3, 7)])
def test_a_join_keeps_rows_apart_and_gives_the_size_it_promises(join, shape):
    torch.manual_seed(0)
    made = JOINS[join](7, 5)
    for parameter in made.parameters():  # zero at the start, in feature-wise modulation
        torch.nn.init.normal_(parameter)
    features, extra = torch.randn(*shape), torch.randn(4, 5)
    whole = made(features, extra)
    assert whole.shape == (*shape[:-1], made.output_size)
    torch.testing.assert_close(made(features[1:2], extra[1:2]), whole[1:2])
    changed = extra.clone()
    changed[2] += 1
    assert (made(features, changed) != whole).flatten(1).any(dim=1).tolist() == [False, False, True, False]


def test_feature_wise_modulation_changes_nothing_at_first():
    torch.manual_seed(0)
    features = torch.randn(4, 7)
    torch.testing.assert_close(JOINS["film"](7, 5)(features, torch.randn(4, 5)), features)


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("mix", ["last", "varan"])
def test_a_model_depends_on_its_conditions_and_rows_stay_apart(tiny_wavlm, join, mix):
    torch.manual_seed(0)
    about = {"gender": {"size": 3, "dropout": 0.0}, "text": {"size": 4, "width": 6}}
    backbone = BACKBONES["wavlm"].from_config(tiny_wavlm)
    model = EmotionModel(backbone, SPACE, layer_mix=mix, conditions=about, join=join, heads=HEADS).eval()
    if join == "film":
        torch.nn.init.normal_(model.joined.join.modulation.weight)
    waveforms, mask = torch.randn(4, 8000), torch.ones(4, 8000, dtype=torch.bool)
    given = {"gender": torch.eye(2)[[0, 1, 0, 1]], "text": torch.randn(4, 6)}
    whole = model(Batch(waveforms, mask, conditions=given))
    nothing = model(Batch(waveforms, mask))
    assert not torch.isclose(whole.heads["classes"], nothing.heads["classes"]).any()
    torch.testing.assert_close(whole.heads["gender"], nothing.heads["gender"])  # learnt from the sound alone
    one = Batch(waveforms, mask, conditions=given).rows(slice(1, 2))
    torch.testing.assert_close(model(one).heads["classes"], whole.heads["classes"][1:2], atol=1e-5, rtol=1e-4)
    again = EmotionModel.from_config(model.settings)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(
        again.eval()(Batch(waveforms, mask, conditions=given)).heads["classes"], whole.heads["classes"]
    )


def test_a_text_condition_needs_the_width_of_its_embedding():
    with pytest.raises(ConfigError, match="Condition 'text' lacks an option"):
        Joined(7, {"text": {"size": 4}}, "concat")
    with pytest.raises(ConfigError, match="Unknown condition 'gendre', did you mean 'gender'"):
        Joined(7, {"gendre": {"size": 4}}, "concat")
