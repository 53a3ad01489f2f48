"""What every layer mix and every pooling of the tables keeps to; a new entry is tested at once."""

import pytest
import torch

from emotune.errors import ConfigError
from emotune.models.aggregations import LAYER_MIXES, POOLINGS
from emotune.models.backbones.base import HiddenStates

FEATURES, LENGTHS = 6, [9, 2, 5]


def sequence(garbage: float = 0.0, *, extra: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.randn(3, 9, FEATURES, generator=torch.Generator().manual_seed(0))
    frames = torch.nn.functional.pad(frames, (0, 0, 0, extra))
    mask = torch.arange(9 + extra)[None, :] < torch.tensor(LENGTHS)[:, None]
    return frames.masked_fill(~mask[:, :, None], garbage), mask


def pooling(name: str) -> torch.nn.Module:
    torch.manual_seed(1)
    return POOLINGS[name](FEATURES)


@pytest.mark.parametrize("name", POOLINGS)
def test_padding_does_not_change_a_pooled_vector(name):
    pool = pooling(name)
    clean = pool(*sequence())
    torch.testing.assert_close(pool(*sequence(1e6, extra=4)), clean)
    frames, mask = sequence()
    for row, length in enumerate(LENGTHS):
        alone = pool(frames[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], clean[row])


@pytest.mark.parametrize("name", POOLINGS)
def test_weights_over_time_sum_to_one_and_leave_padding_out(name):
    frames, mask = sequence()
    weights = pooling(name).weights(frames, mask)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    assert not weights[~mask].any()
    assert (weights[mask] > 0).all()


@pytest.mark.parametrize("name", POOLINGS)
def test_a_pooled_vector_has_the_promised_size_and_a_finite_gradient_even_for_one_constant_frame(name):
    pool = pooling(name)
    frames = torch.ones(2, 1, FEATURES, requires_grad=True)
    pooled = pool(frames, torch.ones(2, 1, dtype=torch.bool))
    assert pooled.shape == (2, pool.output_size)
    pooled.sum().backward()
    assert frames.grad.isfinite().all()


def states(count: int) -> HiddenStates:
    generator = torch.Generator().manual_seed(2)
    return HiddenStates(tuple(torch.randn(3, 9, FEATURES, generator=generator) for _ in range(count)), sequence()[1])


@pytest.mark.parametrize("name", LAYER_MIXES)
@pytest.mark.parametrize("count", [2, 5])
def test_a_mix_gives_one_sequence_that_does_not_depend_on_padding_or_batch_mates(name, count):
    torch.manual_seed(1)
    mix, hidden = LAYER_MIXES[name](count, FEATURES), states(count)
    mixed = mix(hidden)
    assert mixed.shape == hidden.states[0].shape
    for row, length in enumerate(LENGTHS):
        alone = HiddenStates(
            tuple(state[row : row + 1, :length] for state in hidden.states), hidden.mask[row : row + 1, :length]
        )
        torch.testing.assert_close(mix(alone)[0], mixed[row, :length])


@pytest.mark.parametrize("name", sorted(set(LAYER_MIXES) - {"last"}))
def test_every_parameter_of_a_mix_has_a_gradient(name):
    torch.manual_seed(1)
    mix = LAYER_MIXES[name](5, FEATURES)
    mix(states(5))[:, :2].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in mix.parameters())


@pytest.mark.parametrize("name", ["last", "weighted_sum"])
def test_a_mix_of_equal_layers_is_that_layer(name):
    layer = states(1).states[0]
    mix = LAYER_MIXES[name](4, FEATURES)
    torch.testing.assert_close(mix(HiddenStates((layer,) * 4, sequence()[1])), layer)


@pytest.mark.parametrize("name", ["last", "attentive_merging"])
def test_only_a_weighted_sum_takes_initial_weights(name):
    with pytest.raises(ConfigError, match="layer_mix_initial goes with layer_mix: weighted_sum"):
        LAYER_MIXES[name](3, FEATURES, initial=[1.0, 1.0, 1.0])


@pytest.mark.parametrize("registry", [LAYER_MIXES, POOLINGS], ids=lambda registry: registry.kind)
def test_an_unknown_name_is_answered_with_all_there_are(registry):
    with pytest.raises(ConfigError, match=f"Unknown {registry.kind} 'x'.*{', '.join(sorted(registry))}"):
        registry["x"]
