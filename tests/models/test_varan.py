"""VARAN: a posterior over layers for each clip, a head for each layer."""

import numpy as np
import pytest
import scipy.stats
import torch

from builders.models import tiny_backbone
from emotune.batch import one_hot_shares, pad
from emotune.errors import ConfigError
from emotune.losses.combined import CombinedLoss
from emotune.losses.cross_entropy import CrossEntropy
from emotune.models.aggregations.varan import LayerPosterior, log_prior_over_layers
from emotune.models.backbones import BACKBONES
from emotune.models.emotion_model import EmotionModel
from emotune.schema.labels import LabelSpace, Scale

SPACE = LabelSpace(("anger", "happiness", "neutral"), {"arousal": Scale(1, 7)})


def model_of(tiny_wavlm: dict, **options) -> EmotionModel:
    backbone = tiny_backbone(tiny_wavlm | {"num_hidden_layers": options.pop("layers", 3)})
    with torch.no_grad():
        for parameter in backbone.encoder.layers.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))  # layers that differ, as trained ones do
    return EmotionModel(backbone, SPACE, layer_mix="varan", **options).eval()


def total(losses) -> torch.Tensor:
    return torch.stack(list(losses.values())).sum()


def clips(count: int = 4):
    generator = np.random.default_rng(0)
    return pad([generator.standard_normal(4000 + 1500 * n).astype(np.float32) * (1 + n) for n in range(count)])


@torch.no_grad()
def test_the_posterior_sums_to_one_and_changes_with_the_input(tiny_wavlm):
    model = model_of(tiny_wavlm)
    features = model(clips()).features
    model.standardize.set(features.mean(dim=0), features.std(dim=0))
    posterior = model(clips()).layers.posterior
    torch.testing.assert_close(posterior.sum(dim=1), torch.ones(4))
    assert (posterior > 0).all()
    assert (posterior[0] - posterior[3]).abs().max() > 1e-4


@torch.no_grad()
def test_outputs_are_expectations_over_layers(tiny_wavlm):
    output = model_of(tiny_wavlm)(clips())
    layers = output.layers
    q = layers.posterior.numpy()
    log_p = np.log(scipy.special.softmax(layers.heads["classes"].numpy(), axis=2))
    np.testing.assert_allclose(output.heads["classes"], (q[:, :, None] * log_p).sum(axis=1), rtol=1e-4, atol=1e-5)
    expected = (q[:, :, None] * layers.heads["dimensions"].numpy()).sum(axis=1)
    np.testing.assert_allclose(output.heads["dimensions"], expected, rtol=1e-4, atol=1e-5)
    assert output.features.shape == (4, 3, 32)


@torch.no_grad()
def test_the_penalty_is_beta_times_the_relative_entropy_of_prior_and_posterior(tiny_wavlm):
    output = model_of(tiny_wavlm, varan={"beta": 0.3, "prior": "geometric", "parameter": 0.4})(clips())
    prior = np.array([1, 0.6, 0.36]) / 1.96
    expected = [0.3 * scipy.stats.entropy(prior, q) for q in output.layers.posterior.double().numpy()]
    np.testing.assert_allclose(output.penalty, expected, rtol=1e-4)


def test_priors_are_those_of_scipy():
    numbers = np.arange(1, 25)
    chi2 = scipy.stats.chi2(35).pdf(numbers)
    np.testing.assert_allclose(log_prior_over_layers("chi2", 24).exp(), chi2 / chi2.sum(), rtol=1e-9)
    geometric = scipy.stats.geom(0.2).pmf(numbers)
    np.testing.assert_allclose(log_prior_over_layers("geometric", 24, parameter=0.2).exp(), geometric / geometric.sum())
    np.testing.assert_allclose(log_prior_over_layers("uniform", 5).exp(), np.full(5, 0.2))
    with pytest.raises(ConfigError, match=r"prior 'geometric' with parameter 3\. Known: chi2"):
        log_prior_over_layers("geometric", 4, parameter=3)


def test_a_prior_far_from_some_layers_leaves_the_penalty_finite():
    posterior_of = LayerPosterior(24, 12, prior="geometric", parameter=1 - 1e-16)
    posterior = torch.softmax(torch.randn(2, 24), dim=1).requires_grad_()
    penalty = posterior_of.penalty(posterior)
    penalty.sum().backward()
    assert penalty.isfinite().all() and posterior.grad.isfinite().all()


@pytest.mark.parametrize(("beta", "near"), [(100.0, True), (0.0, False)])
def test_a_large_beta_drives_the_posterior_to_the_prior(tiny_wavlm, beta, near):
    torch.manual_seed(0)
    posterior_of = LayerPosterior(4, 12, beta=beta, prior="geometric", parameter=0.6)
    pooled = torch.randn(16, 4, 12)
    optimiser = torch.optim.Adam(posterior_of.parameters(), lr=0.02)
    prior = log_prior_over_layers("geometric", 4, parameter=0.6).exp().float()
    for _ in range(300):
        optimiser.zero_grad()
        q = posterior_of(pooled)
        wants_the_last_layer = -q[:, 3].log().mean()
        (wants_the_last_layer + posterior_of.penalty(q).mean()).backward()
        optimiser.step()
    q = posterior_of(pooled).detach()
    assert ((q - prior).abs().max() < 0.05).item() is near


def test_with_one_layer_it_is_the_plain_head(tiny_wavlm):
    varan = model_of(tiny_wavlm, layers=1)
    torch.manual_seed(0)
    plain = EmotionModel(
        BACKBONES["wavlm"].from_config(tiny_wavlm | {"num_hidden_layers": 1}), SPACE, layer_mix="last"
    ).eval()
    plain.load_state_dict(
        {
            name.replace(".heads.0.", "."): tensor
            for name, tensor in varan.state_dict().items()
            if "layer_mix" not in name
        }
        | {f"standardize.{name}": varan.state_dict()[f"standardize.{name}"][0] for name in ("mean", "std")}
    )
    found, expected = varan(clips()), plain(clips())
    torch.testing.assert_close(found.heads["classes"].softmax(dim=1), expected.heads["classes"].softmax(dim=1))
    torch.testing.assert_close(found.heads["dimensions"], expected.heads["dimensions"])
    assert not found.penalty.abs().max() > 1e-6
    truth = {"classes": one_hot_shares(torch.tensor([0, 1, 2, 0]), 3)}
    loss = CombinedLoss({"cross_entropy": (1.0, CrossEntropy())})
    normalisers = loss.normalisers(truth)
    values = [total(loss.mean_losses(output, truth, normalisers)) for output in (found, expected)]
    torch.testing.assert_close(*values)


def test_gradients_reach_every_part(tiny_wavlm):
    model = model_of(tiny_wavlm, hidden_size=8, varan={"beta": 0.1, "prior": "uniform"})
    truth = {"classes": one_hot_shares(torch.tensor([0, 1, 2, 0]), 3)}
    loss = CombinedLoss({"cross_entropy": (1.0, CrossEntropy())})
    total(loss.mean_losses(model(clips()), truth, loss.normalisers(truth))).backward()
    for name, parameter in model.named_parameters():
        if (
            name.startswith(("layer_mix", "heads.classes")) and name != "layer_mix.score.bias"
        ):  # the softmax takes it out
            assert parameter.grad is not None and parameter.grad.any(), name
