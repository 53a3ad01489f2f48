"""The tiny encoder: its size, what it does not hear, and a spectrogram that is small where it is exported."""

import pytest
import torch

from emotune.models.backbones import BACKBONES
from emotune.models.backbones.log_mel import power_spectra
from emotune.models.backbones.short_transform import short_power_spectra


@pytest.mark.parametrize("samples", [400, 479, 560, 16000])
def test_the_transform_in_two_steps_is_that_in_one(samples, monkeypatch):
    waveforms = torch.randn(2, samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    truth = power_spectra(waveforms)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    found = short_power_spectra(waveforms)
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-10 * float(truth.max()))


def weights_of(**config: int) -> int:
    return sum(parameter.numel() for parameter in BACKBONES["depthwise"].from_config(config).parameters())


def test_it_has_as_many_weights_as_the_documentation_says():
    assert weights_of() == 439_840
    assert weights_of(hidden_size=72, intermediate_size=144) == 96_552


def test_it_does_not_hear_how_loud_a_clip_is():
    torch.manual_seed(0)
    backbone = BACKBONES["depthwise"].from_config({}).eval()
    clip = 0.05 * torch.randn(1, 16000)
    mask = torch.ones_like(clip, dtype=torch.bool)
    with torch.no_grad():
        quiet, loud = (backbone(gain * clip, mask).states[-1] for gain in (1.0, 4.0))
    torch.testing.assert_close(quiet, loud, rtol=0, atol=1e-4)
