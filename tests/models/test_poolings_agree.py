"""Poolings and layer mixes against plain NumPy loops over clips."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from emotune.errors import ConfigError
from emotune.models.aggregations import LAYER_MIXES, POOLINGS
from emotune.models.backbones.base import HiddenStates

FEATURES, LENGTHS = 5, [7, 1, 12, 3]


def sequence() -> tuple[torch.Tensor, torch.Tensor]:
    """A batch whose padding holds large numbers."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(len(LENGTHS), max(LENGTHS) + 2, FEATURES, generator=generator) + 0.5
    mask = torch.arange(frames.shape[1])[None, :] < torch.tensor(LENGTHS)[:, None]
    return frames.masked_fill(~mask[:, :, None], 1e4), mask


def uniform(clip: np.ndarray) -> np.ndarray:
    return np.full(len(clip), 1 / len(clip))


def attention(clip: np.ndarray, pool: torch.nn.Module) -> np.ndarray:
    """Okabe et al. (2018), equations 1 and 2, frame by frame."""
    weights = {name: value.double().numpy() for name, value in pool.state_dict().items()}
    scores = []
    for frame in clip:
        hidden = np.tanh(weights["projection.weight"] @ frame + weights["projection.bias"])
        scores.append(float((weights["score.weight"] @ hidden)[0]))
    shares = np.exp(np.array(scores) - max(scores))
    return shares / shares.sum()


def mean(clip: np.ndarray, shares: np.ndarray) -> np.ndarray:
    total = np.zeros(clip.shape[1])
    for frame, share in zip(clip, shares, strict=True):
        total += share * frame
    return total


def std(clip: np.ndarray, shares: np.ndarray) -> np.ndarray:
    variance = np.zeros(clip.shape[1])
    for frame, share in zip(clip, shares, strict=True):
        variance += share * (frame - mean(clip, shares)) ** 2
    return np.sqrt(np.maximum(variance, 1e-5))


def mean_and_std(clip: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return np.concatenate([mean(clip, shares), std(clip, shares)])


def normed_mean(clip: np.ndarray, pool: torch.nn.Module) -> np.ndarray:
    everything = [value for frame in clip for value in frame]
    centre = sum(everything) / len(everything)
    variance = sum((value - centre) ** 2 for value in everything) / len(everything)
    return mean((clip - centre) / np.sqrt(variance + 1e-5), uniform(clip))


def projected_mean(clip: np.ndarray, pool: torch.nn.Module) -> np.ndarray:
    projected = clip
    for number, layer in enumerate(pool.layers):
        inner = np.maximum(projected, 0) if number else projected
        projected = np.stack([layer.weight.numpy() @ frame + layer.bias.numpy() for frame in inner])
    return projected.mean(axis=0)


def refined_mean(clip: np.ndarray, pool: torch.nn.Module) -> np.ndarray:
    weights = {name: value.double().numpy() for name, value in pool.state_dict().items()}
    refined = []
    for frame in clip:
        normed = (frame - frame.mean()) / np.sqrt(frame.var() + 1e-5)
        inner = np.maximum(weights["inner.weight"] @ normed + weights["inner.bias"], 0)
        refined.append(frame + weights["outer.weight"] @ inner + weights["outer.bias"])
    return mean(np.stack(refined), uniform(clip))


def covariance(clip: np.ndarray, pool: torch.nn.Module) -> np.ndarray:
    projected = clip @ pool.projection.weight.double().numpy().T + pool.projection.bias.double().numpy()
    both = np.atleast_2d(np.cov(projected.T, bias=True)) if len(clip) > 1 else np.zeros((projected.shape[1],) * 2)
    upper = both[np.triu_indices(len(both))]
    return upper / np.sqrt(np.abs(upper) + 1e-5)


# each pooling of one clip, frames x features, in plain NumPy; its second argument holds the learnt weights
EXPECTED: dict[str, Callable[[np.ndarray, torch.nn.Module], np.ndarray]] = {
    "attention": lambda clip, pool: mean(clip, attention(clip, pool)),
    "attentive_stats": lambda clip, pool: mean_and_std(clip, attention(clip, pool)),
    "covariance": covariance,
    "mean": lambda clip, pool: mean(clip, uniform(clip)),
    "mean_std": lambda clip, pool: mean_and_std(clip, uniform(clip)),
    "normed_mean": normed_mean,
    "projected_mean": projected_mean,
    "refined_mean": refined_mean,
    "std": lambda clip, pool: std(clip, uniform(clip)),
}
WITH_OPTIONS: dict[str, dict[str, object]] = {
    "covariance": {"size": 3},
    "projected_mean": {"sizes": [4, 3]},
    "refined_mean": {"hidden_size": 3},
}
CHOICES = [*EXPECTED, *({"name": name, **options} for name, options in WITH_OPTIONS.items())]


def test_every_pooling_and_every_mix_of_the_tables_has_its_formula_here():
    assert set(POOLINGS) == set(EXPECTED)
    assert {name for name in POOLINGS if POOLINGS.options(name)} == set(WITH_OPTIONS)
    assert set(LAYER_MIXES) == {"attentive_merging", "last", "weighted_sum"}


@torch.no_grad()
def pooled(choice: object) -> tuple[torch.nn.Module, torch.Tensor]:
    """A pooling whose weights have left where they start, and what it makes of the batch."""
    torch.manual_seed(3)
    pool = POOLINGS.make(choice, FEATURES)
    for weight in pool.parameters():
        weight.add_(0.1 * torch.rand_like(weight))
    return pool, pool(*sequence())


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_a_pooling_is_the_plain_loop_over_clips(choice):
    pool, found = pooled(choice)
    formula = EXPECTED[choice if isinstance(choice, str) else choice["name"]]
    for row, length in enumerate(LENGTHS):
        with torch.no_grad():
            expected = formula(sequence()[0][row, :length].double().numpy(), pool)
        assert expected.shape == (pool.output_size,)
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_an_option_of_a_pooling_changes_its_vector(name):
    plain, other = pooled(name)[1], pooled({"name": name, **WITH_OPTIONS[name]})[1]
    assert plain.shape != other.shape or not torch.allclose(plain, other, rtol=1e-3)


@torch.no_grad()
def test_an_untrained_refined_mean_is_the_plain_mean():
    refined = POOLINGS.make("refined_mean", FEATURES)(*sequence())
    torch.testing.assert_close(refined, POOLINGS.make("mean", FEATURES)(*sequence()))


def states(count: int) -> HiddenStates:
    generator = torch.Generator().manual_seed(1)
    layers = tuple(torch.randn(2, 4, FEATURES, generator=generator) for _ in range(count))
    return HiddenStates(layers, torch.ones(2, 4, dtype=torch.bool))


def test_the_last_layer_is_taken_as_it_is():
    hidden = states(4)
    assert torch.equal(LAYER_MIXES["last"](4, FEATURES)(hidden), hidden.states[3])


@torch.no_grad()
def test_the_weighted_sum_weighs_by_the_softmax_of_its_scalars():
    mix = LAYER_MIXES["weighted_sum"](4, FEATURES)
    mix.logits.copy_(torch.tensor([0.5, -1.0, 2.0, 0.0]))
    scalars = np.exp([0.5, -1.0, 2.0, 0.0])
    hidden = states(4)
    expected = sum(share * state.numpy() for share, state in zip(scalars / scalars.sum(), hidden.states, strict=True))
    np.testing.assert_allclose(mix(hidden), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_the_weighted_sum_starts_at_the_mean_or_at_the_shares_given():
    hidden = states(3)
    stacked = np.stack([state.numpy() for state in hidden.states])
    np.testing.assert_allclose(
        LAYER_MIXES["weighted_sum"](3, FEATURES)(hidden), stacked.mean(axis=0), rtol=1e-5, atol=1e-6
    )
    given = LAYER_MIXES["weighted_sum"](3, FEATURES, initial=[1, 1, 6])(hidden)
    np.testing.assert_allclose(given, np.average(stacked, axis=0, weights=[1, 1, 6]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("initial", [[1.0], [1.0, 2.0, 0.0], [1.0, 2.0, -1.0]])
def test_shares_that_do_not_fit_the_layers_are_an_error(initial):
    with pytest.raises(ConfigError, match="3 positive numbers"):
        LAYER_MIXES["weighted_sum"](3, FEATURES, initial=initial)


def test_attentive_merging_is_what_its_paper_writes():
    """Re-derived clip by clip and frame by frame, in float64, from arXiv 2406.10283."""
    torch.manual_seed(0)
    mix = LAYER_MIXES["attentive_merging"](5, FEATURES).double()
    lengths = [4, 2]
    hidden = HiddenStates(
        tuple(torch.randn(2, 4, FEATURES, dtype=torch.float64) for _ in range(5)),
        torch.arange(4)[None, :] < torch.tensor(lengths)[:, None],
    )
    weight = {name: tensor.numpy() for name, tensor in mix.state_dict().items()}

    def silu(x: np.ndarray) -> np.ndarray:
        return x / (1 + np.exp(-x))

    found = mix(hidden).detach().numpy()
    for clip, length in enumerate(lengths):
        layers = np.stack([state[clip, :length].numpy() for state in hidden.states[1:]])  # (layers, frames, features)
        z = silu(layers.mean(axis=1) @ weight["squeeze.weight"].T)[:, 0]
        gates = 1 / (1 + np.exp(-(weight["excite.2.weight"] @ silu(weight["excite.0.weight"] @ z))))
        for frame in range(length):
            merged = (layers[:, frame] * gates[:, None]).T.ravel()
            inner = silu(weight["project.0.weight"] @ merged + weight["project.0.bias"])
            expected = weight["project.2.weight"] @ inner + weight["project.2.bias"]
            np.testing.assert_allclose(found[clip, frame], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("layers", "parameters"), [(12, 40_899_728), (24, 157_295_168)])
def test_attentive_merging_has_the_published_number_of_parameters(layers, parameters):
    with torch.device("meta"):
        mix = LAYER_MIXES["attentive_merging"](layers + 1, 1024)
    assert sum(parameter.numel() for parameter in mix.parameters()) == parameters
