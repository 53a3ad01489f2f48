"""Features without their speakers' means."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from emotune.config.reading import load_recipe
from emotune.errors import ConfigError, CorpusError
from emotune.training.speaker_means import without_speaker_means


def test_each_speaker_moves_by_its_own_share():
    features = np.array([[1.0], [3.0], [3.0], [5.0], [13.0]], dtype=np.float32)
    moved = without_speaker_means(features, ["a", "a", "b", "b", "b"])
    assert moved.dtype == np.float32
    # mean of all 5; a: mean 2, two of five parts of the way; b: mean 7, half of the way
    np.testing.assert_allclose(moved[:, 0], [1 + 0.4 * 3, 3 + 0.4 * 3, 3 - 1, 5 - 1, 13 - 1], rtol=1e-6)
    assert features[0, 0] == 1  # the given ones stay


def test_a_linear_model_of_moved_features_listens_to_what_changes_within_a_speaker():
    """One feature tells the emotions apart but for the speaker's way, the other a little in every speaker."""
    generator = np.random.default_rng(0)
    speakers = np.repeat([f"s{number}" for number in range(16)], 40)
    emotion = np.tile([0, 1], 320)
    features = np.stack([emotion + np.repeat(generator.normal(0, 3, 16), 40), 0.5 * emotion], axis=1)
    features += generator.normal(0, [0.2, 0.5], (640, 2))
    learnt, heard = np.arange(640) < 320, np.arange(640) >= 320

    def accuracy(train: np.ndarray) -> float:
        model = LogisticRegression().fit(train, emotion[learnt])
        test = without_speaker_means(features[heard], speakers[heard].tolist())
        return model.score(test - test.mean(axis=0) + train.mean(axis=0), emotion[heard])  # as adapting to all does

    plain = accuracy(features[learnt])
    assert accuracy(without_speaker_means(features[learnt], speakers[learnt].tolist())) > plain + 0.1


def test_a_speaker_who_is_not_known_is_refused():
    with pytest.raises(CorpusError, match=r"needs a speaker for every training utterance; 1 have none"):
        without_speaker_means(np.zeros((2, 3), dtype=np.float32), ["a", None])


def test_it_does_not_go_with_leaving_out():
    with pytest.raises(ConfigError, match=r"probe\.standardize=speaker does not go with probe\.leave_out"):
        load_recipe(
            "general/small_cpu", ["data.manifest=m.csv", "probe.standardize=speaker", "probe.leave_out=speaker"]
        )
