"""Contract of every view: padding and batch mates change nothing, unknown numbers are no numbers."""

import numpy as np
import pytest
import torch

from builders.models import WAVLM
from emotune.batch import pad
from emotune.errors import ConfigError
from emotune.models.views import VIEWS
from emotune.models.views.encoder import refuse_otherwise_normalised
from emotune.models.views.view import Standardised

OPTIONS = {"encoder": {"family": "wavlm", "config": WAVLM}}


@pytest.fixture(params=list(VIEWS))
def view(request):
    torch.manual_seed(0)
    return VIEWS[request.param](**OPTIONS.get(request.param, {})).eval()


def clips() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.standard_normal(size).astype(np.float32) * 0.1 for size in (5000, 9000, 6100)]


def numbers(view, waveforms) -> list[dict]:
    return [{view.measures: view.measure(own)} for own in waveforms] if view.measures else []


def test_a_clip_gives_the_same_vector_alone_and_in_a_batch(view):
    waveforms = clips()
    with torch.inference_mode():
        together = view(pad(waveforms, conditions=numbers(view, waveforms)))
        alone = torch.cat([view(pad([own], conditions=numbers(view, [own]))) for own in waveforms])
    assert together.shape == (3, view.output_size)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_gradients_reach_what_trains(view):
    waveforms = clips()
    view.train()
    view(pad(waveforms, conditions=numbers(view, waveforms))).sum().backward()
    trained = [parameter for parameter in view.parameters() if parameter.requires_grad]
    assert trained
    assert all(parameter.grad is not None for parameter in trained)


def test_unknown_numbers_are_those_of_the_mean_clip():
    standardised = Standardised(2)
    standardised.fit(torch.tensor([[1.0, 5.0], [3.0, 5.0], [torch.nan, 5.0]]))
    found = standardised(torch.tensor([[torch.nan, 5.0], [4.0, torch.nan], [99.0, 6.0]]))
    assert found.tolist() == [[0.0, 0.0], [2.0, 0.0], [5.0, 1.0]]


def test_an_encoder_that_takes_other_sound_than_the_model_is_refused():
    view = VIEWS["encoder"](family="whisper", config={"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2})
    refuse_otherwise_normalised("encoder", view, view.normalize)
    with pytest.raises(ConfigError, match="Name an encoder that takes the same"):
        refuse_otherwise_normalised("encoder", view, "clip")
