"""Victims: scores and gradients through all that lies between a clip and its answer."""

import numpy as np
import pytest
import torch

from builders.models import WAVLM, WHISPER, tiny_backbone
from builders.recordings import noise, tone
from emotune.attacks.attacking import attack_clip, heard_part
from emotune.attacks.plan import planned
from emotune.attacks.victim import LogMelVictim, WaveformVictim, normalised
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError
from emotune.inference.torch_engine import TorchEngine
from emotune.models.emotion_model import EmotionModel
from emotune.schema.labels import LabelSpace

CLIP = (tone(seconds=0.4, harmonics=5) + noise(6400)).astype(np.float32)
SPACE = LabelSpace(("anger", "neutral", "sadness"))
NORMALISATIONS = [
    Preprocessing(),
    Preprocessing("clip"),
    Preprocessing("fixed", mean=0.1, std=0.3),
]


def model_of(config: dict, name: str) -> EmotionModel:
    torch.manual_seed(1)
    return EmotionModel(tiny_backbone(config, name), SPACE, layer_mix="last").eval()


@pytest.fixture(scope="module")
def whisper() -> EmotionModel:
    return model_of(WHISPER, "whisper")


@pytest.mark.parametrize("preprocessing", NORMALISATIONS, ids=lambda own: own.normalize)
def test_the_clip_is_normalised_as_in_prediction(preprocessing):
    found = normalised(torch.from_numpy(CLIP)[None], preprocessing)[0]
    np.testing.assert_allclose(found, preprocessing.finish(CLIP), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("preprocessing", NORMALISATIONS, ids=lambda own: own.normalize)
@pytest.mark.parametrize(("config", "name"), [(WHISPER, "whisper"), (WAVLM, "wavlm")], ids=["whisper", "wavlm"])
def test_gradients_flow_through_normalisation_and_spectrogram(config, name, preprocessing):
    model = model_of(config, name).double()
    victim = WaveformVictim(model, preprocessing, CLIP)
    clean = victim.clean.double().requires_grad_(True)
    (gradient,) = torch.autograd.grad(victim.scores(clean[None])[0, 1], clean)
    way = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        up, down = (victim.scores((clean + step * way)[None])[0, 1] for step in (1e-6, -1e-6))
    assert float(gradient @ way) == pytest.approx(float((up - down) / 2e-6), rel=1e-4)
    assert float((gradient @ way).abs()) > 1e-6


def test_the_spectrogram_of_a_clip_has_the_scores_of_the_clip(whisper):
    sound, picture = (kind(whisper, Preprocessing(), CLIP) for kind in (WaveformVictim, LogMelVictim))
    assert picture.clean.shape == (80, 40)
    with torch.no_grad():
        torch.testing.assert_close(picture.scores(picture.clean[None]), sound.scores(sound.clean[None]))
    assert (picture.low, picture.high) == (float(picture.clean.min()), float(picture.clean.max()))


def test_only_what_the_model_hears_is_changed(whisper):
    silent = np.concatenate([np.zeros(4000), CLIP, np.zeros(5000)]).astype(np.float32)
    preprocessing = Preprocessing(trim_silence_db=40.0)
    heard, start = heard_part(preprocessing, silent)
    np.testing.assert_array_equal(silent[start : start + len(heard)], heard)
    engine = TorchEngine(whisper, preprocessing)
    found = attack_clip(engine, planned("fgsm:epsilon=0.01"), silent, 0, key="a")
    changed = np.flatnonzero(found.samples != silent)
    assert start <= changed.min() <= changed.max() < start + len(heard)
    assert found.change.largest == pytest.approx(0.01, rel=1e-4)
    assert found.change.snr_db == pytest.approx(
        10 * np.log10(np.mean(heard**2) / np.mean((found.samples - silent)[start : start + len(heard)] ** 2)), abs=0.01
    )


def test_a_spectrogram_is_refused_where_the_encoder_hears_samples():
    engine = TorchEngine(model_of(WAVLM, "wavlm"), Preprocessing("clip"))
    with pytest.raises(ConfigError, match=r"this model's encoder, wavlm, hears the samples\. Use domain=waveform"):
        attack_clip(engine, planned("fgsm:domain=log_mel,epsilon=0.1"), CLIP, 0, key="a")
