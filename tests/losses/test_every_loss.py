"""What every loss of the table keeps to; a new entry is tested at once."""

import math

import pytest
import torch
from torch import Tensor

from emotune.batch import LayerOutputs, Output, Targets, one_hot_shares
from emotune.losses import LOSSES
from emotune.losses.base import BatchLoss, Loss
from emotune.losses.combined import CombinedLoss

LEARNS = {
    "ccc": "dimensions",
    "cross_entropy": "logits",
    "focal": "logits",
    "gender": "gender_logits",
    "kl": "logits",
    "soft_cross_entropy": "logits",
}
SIZE, CLASSES, DIMENSIONS, LAYERS = 12, 4, 2, 3
MEANS = [name for name in LOSSES if issubclass(LOSSES[name], Loss)]
OF_LAYERS = [name for name in MEANS if LEARNS.get(name) == "logits"]


def example(seed: int = 0) -> tuple[Output, Targets]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(SIZE, CLASSES, generator=generator, requires_grad=True)
    values = torch.rand(SIZE, DIMENSIONS, generator=generator, requires_grad=True)
    truth = Targets(
        one_hot_shares(torch.randint(0, CLASSES, (SIZE,), generator=generator), CLASSES),
        torch.rand(SIZE, DIMENSIONS, generator=generator),
        torch.rand(SIZE, CLASSES, generator=generator).softmax(dim=1),
        one_hot_shares(torch.randint(0, 2, (SIZE,), generator=generator), 2),
    )
    gender = torch.randn(SIZE, 2, generator=generator, requires_grad=True)
    return Output(logits, values, logits, gender_logits=gender), truth


def part(output: Output, targets: Targets, rows: Tensor) -> tuple[Output, Targets]:
    return (
        Output(
            output.logits[rows],
            output.dimensions[rows],
            output.features[rows],
            gender_logits=output.gender_logits[rows],
        ),
        Targets(targets.classes[rows], targets.dimensions[rows], targets.votes[rows], targets.gender[rows]),
    )


def blanked(targets: Targets, known: Tensor) -> Targets:
    return Targets(
        torch.where(known[:, None], targets.classes, math.nan),
        torch.where(known[:, None], targets.dimensions, math.nan),
        torch.where(known[:, None], targets.votes, math.nan),
        torch.where(known[:, None], targets.gender, math.nan),
    )


def combined(name: str) -> CombinedLoss:
    return CombinedLoss({name: (1.0, LOSSES[name]())})


def value(name: str, output: Output, targets: Targets) -> Tensor:
    """The loss of one batch, as training has it."""
    loss = combined(name)
    if loss.wholes:
        return loss.whole_losses(output.dimensions, targets.dimensions)
    return loss.mean_losses(output, targets, loss.normalisers(targets))


def test_every_loss_of_the_table_is_known_here():
    assert set(LOSSES) == set(LEARNS)
    assert all(issubclass(LOSSES[name], Loss) or issubclass(LOSSES[name], BatchLoss) for name in LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_positive_scalar_and_a_step_down_its_gradient_makes_it_smaller(name):
    output, targets = example()
    before = value(name, output, targets)
    assert before.shape == ()
    assert before.item() > 0
    learnt = getattr(output, LEARNS[name])
    (gradient,) = torch.autograd.grad(before, learnt)
    moved = learnt - 0.01 * gradient / gradient.norm()
    assert value(name, Output(moved, moved, moved, gender_logits=moved), targets) < before


@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_utterances_does_not_matter(name):
    output, targets = example()
    turned = part(output, targets, torch.arange(SIZE).flip(0))
    torch.testing.assert_close(value(name, *turned), value(name, output, targets))


@pytest.mark.parametrize("name", LOSSES)
def test_utterances_without_truth_change_nothing(name):
    output, targets = example()
    known = torch.arange(SIZE) % 3 > 0
    some = value(name, output, blanked(targets, known))
    torch.testing.assert_close(some, value(name, *part(output, targets, known.nonzero().squeeze(1))))
    (gradient,) = torch.autograd.grad(some, getattr(output, LEARNS[name]))
    assert gradient.isfinite().all()
    assert not gradient[~known].any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_any_truth_gives_no_loss_and_no_gradient(name):
    output, targets = example()
    nothing = value(name, output, blanked(targets, torch.zeros(SIZE, dtype=torch.bool)))
    assert nothing.item() == 0
    (gradient,) = torch.autograd.grad(nothing, getattr(output, LEARNS[name]))
    assert not gradient.any()


@pytest.mark.parametrize("name", MEANS)
def test_values_are_one_an_utterance_and_add_up_over_micro_batches(name):
    loss, (output, targets) = LOSSES[name](), example()
    whole = loss.values(output, targets)
    assert whole.shape == (SIZE,)
    parts = [part(output, targets, rows) for rows in torch.arange(SIZE).split(5)]
    torch.testing.assert_close(torch.cat([loss.values(*each) for each in parts]), whole)
    torch.testing.assert_close(sum(loss.normaliser(truth) for _, truth in parts), loss.normaliser(targets))


@pytest.mark.parametrize("name", OF_LAYERS)
def test_layers_count_with_each_clips_own_posterior(name):
    loss, (output, targets) = LOSSES[name](), example()
    generator = torch.Generator().manual_seed(5)
    posterior = torch.rand(SIZE, LAYERS, generator=generator).softmax(dim=1)
    logits = torch.randn(SIZE, LAYERS, CLASSES, generator=generator)
    found = loss.values_over_layers(Output(None, None, logits, LayerOutputs(posterior, logits, None)), targets)
    for clip in range(SIZE):
        alone = [loss.values(Output(logits[:, layer], None, logits), targets)[clip] for layer in range(LAYERS)]
        expected = sum(posterior[clip, layer] * alone[layer] for layer in range(LAYERS))
        torch.testing.assert_close(found[clip], expected)
    torch.testing.assert_close(loss.values_over_layers(output, targets), loss.values(output, targets))


def test_a_models_own_penalty_is_a_mean_over_the_clips_of_the_step():
    loss, (output, targets) = combined("cross_entropy"), example()
    penalty = torch.arange(float(SIZE))
    with_penalty = Output(output.logits, output.dimensions, output.features, penalty=penalty)
    normalisers = loss.normalisers(targets)
    difference = loss.mean_losses(with_penalty, targets, normalisers) - loss.mean_losses(output, targets, normalisers)
    torch.testing.assert_close(difference, penalty.mean())
