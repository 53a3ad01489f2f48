"""What happens to a clip before the model."""

import numpy as np
import pytest

from emotune.audio.preprocessing import Preprocessing
from emotune.errors import AudioError, ModelError

CLIP = (0.2 * np.random.default_rng(0).standard_normal(8000) + 0.05).astype(np.float32)


def test_clip_normalisation_is_the_published_formula():
    exact = CLIP.astype(np.float64)
    expected = (exact - exact.mean()) / np.sqrt(((exact - exact.mean()) ** 2).mean() + 1e-7)
    np.testing.assert_allclose(Preprocessing(normalize="clip")(CLIP), expected, rtol=0, atol=1e-5)


def test_without_normalisation_the_samples_stay_as_they_are():
    np.testing.assert_array_equal(Preprocessing()(CLIP), CLIP)


def test_silence_is_cut_before_the_normalisation():
    padded = np.concatenate([np.zeros(8000), CLIP, np.zeros(8000)]).astype(np.float32)
    prepared = Preprocessing(normalize="clip", trim_silence_db=40)(padded)
    assert len(prepared) < 9000
    assert prepared.mean() == pytest.approx(0, abs=1e-5)
    assert prepared.std() == pytest.approx(1, abs=1e-3)


def test_a_clip_of_zeros_stays_finite():
    assert np.isfinite(Preprocessing(normalize="clip")(np.zeros(8000, np.float32))).all()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (399, r"at least 0\.0250 s"),
        (16001, r"1 s\. .*`emotune timeline`, .*`model\.timeline\(.*POST /v1/timeline\. Or cut it"),
    ],
)
def test_clips_too_short_or_too_long_are_errors(samples, message):
    preprocessing = Preprocessing(max_duration_s=1.0, min_samples=400)
    assert len(preprocessing(np.ones(400, np.float32))) == 400
    assert len(preprocessing(np.ones(16000, np.float32))) == 16000
    with pytest.raises(AudioError, match=message):
        preprocessing(np.ones(samples, np.float32))


def test_preprocessing_survives_its_json():
    preprocessing = Preprocessing("clip", 30.0, 12.5, 800, 16000)
    assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing


def test_json_that_lacks_a_step_is_refused_instead_of_guessed():
    data = Preprocessing().to_json()
    del data["trim_silence_db"]
    with pytest.raises(ModelError, match="lacks trim_silence_db"):
        Preprocessing.from_json(data)
    with pytest.raises(ModelError, match="none, clip, fixed, got 'layer'"):
        Preprocessing(normalize="layer")
