"""Codes lie in [0, K), are the nearest centroids, and come back out of their file."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from builders.models import save_tiny_model
from emotune.annotation.speech_codes import Codebook, Codes, fit_codebook, learn_codebook, use_of, without_repeats
from emotune.errors import ConfigError, CorpusError, TableError
from emotune.inference.embeddings.embedder import embedder_of
from emotune.schema.labels import LabelSpace


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    folder = save_tiny_model(tmp_path_factory.mktemp("tiny"), LabelSpace(("anger", "neutral")))
    return embedder_of(str(folder), level="frame", layer=2)


def test_codes_are_nearest_centroids_within_the_codebook(embedder, tones, tmp_path):
    part = tones.filter(lambda u: u.split == "train")
    made = fit_codebook(embedder, part, codes=8, seed=1)
    assert made.centroids.shape == (8, 16) and made.about["frames"] > 100 and 0 < made.about["used_share"] <= 1
    np.testing.assert_array_equal(made.centroids, fit_codebook(embedder, part, codes=8, seed=1).centroids)
    frames = np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32)
    codes = made.encode(frames)
    np.testing.assert_array_equal(codes, cdist(frames, made.centroids).argmin(axis=1))
    assert codes.min() >= 0 and codes.max() < 8
    made.write(tmp_path / "codes.npz")
    read = Codebook.read(tmp_path / "codes.npz")
    np.testing.assert_array_equal(read.centroids, made.centroids)
    spoken = Codes(read)(part.clip_of(part.utterances[0]).samples)
    assert spoken == Codes(made, embedder)(part.clip_of(part.utterances[0]).samples)
    assert all(0 <= code < 8 for code in spoken) and all(a != b for a, b in pairwise(spoken))


def test_learnt_codes_explain_frames_and_come_back_out_of_their_file(embedder, tones, tmp_path):
    part = tones.filter(lambda u: u.split == "train")
    model = str(embedder.about["model"])
    made = learn_codebook(model, part, layer=2, codes=8, epochs=1)
    assert made.centroids.shape == (8, 32) and made.weight.shape == (32, 16) and made.about["used_share"] > 0.25
    frames = np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32)
    codes = made.encode(frames)
    np.testing.assert_array_equal(codes, cdist(frames @ made.weight.T + made.bias, made.centroids).argmin(axis=1))
    made.write(tmp_path / "codes.npz")
    np.testing.assert_array_equal(Codebook.read(tmp_path / "codes.npz").encode(frames), codes)
    with pytest.raises(CorpusError, match=r"The codes cannot be learnt: .* frames, expected at least one for each"):
        learn_codebook(model, tones.replace_utterances(tones.utterances[:1]), layer=2, codes=4000)


def test_the_task_of_quantisation_has_three_means_over_real_frames(embedder):
    import torch

    from emotune.batch import pad
    from emotune.training.vq_vae import QuantisationTask, VqVae

    model = VqVae(embedder.backbone, 2, codes=4, size=3)
    clips = [np.random.default_rng(n).standard_normal(6000 + 4000 * n).astype(np.float32) for n in range(2)]
    batch = pad(clips)
    model.start_from(model.states(batch), torch.Generator().manual_seed(0))
    task, said = QuantisationTask(embedder.backbone), model(batch)
    divisors = task.normalisers(batch)
    assert {float(value) for value in divisors.values()} == {float(len(said.states))}
    losses = task.mean_losses(said, batch, divisors)
    expected = torch.mean((said.decoded - said.states) ** 2)
    torch.testing.assert_close(losses["reconstruction"], expected)
    torch.testing.assert_close(losses["commitment"], 0.25 * losses["codebook"])
    sum(losses.values()).backward()
    assert model.codebook.grad is not None and model.encoder.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in model.backbone.parameters())


def test_use_and_repeats():
    assert use_of(np.array([0, 0, 0, 0]), 4) == {"frames": 4, "used_share": 0.25, "perplexity": 1.0}
    assert without_repeats([]) == []


def test_what_is_no_codebook_or_cannot_be_fitted_is_refused(embedder, tones, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "b.npz", centroids=np.zeros((2, 2)), about=np.array('{"schema": "other"}'))
    for name in ("a", "b", "missing"):
        with pytest.raises(TableError, match=r"is no codebook of `emotune codebook`"):
            Codebook.read(tmp_path / f"{name}.npz")
    with pytest.raises(ConfigError, match="codes is 1, expected 2 to"):
        fit_codebook(embedder, tones, codes=1)
    with pytest.raises(CorpusError, match="frames, fewer than the 4000 codes"):
        fit_codebook(embedder, tones.replace_utterances(tones.utterances[:1]), codes=4000)


def test_recordings_that_cannot_be_coded_are_named(embedder, tones):
    part = tones.filter(lambda u: u.split == "train")
    broken = dataclasses.replace(part.utterances[0], utterance_id="gone", file="gone.wav")
    made = fit_codebook(embedder, part.replace_utterances([*part.utterances, broken]), codes=4)
    (reason,) = made.about["skipped"]
    assert "gone" in reason
