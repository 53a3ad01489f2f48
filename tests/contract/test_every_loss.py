"""What every loss of the table keeps to; a new entry is tested at once."""

import math

import pytest
import torch

from emotune.batch import Output, Targets
from emotune.losses import LOSSES

LEARNS = {"ccc": "dimensions", "cross_entropy": "classes"}
SIZE, CLASSES, DIMENSIONS = 12, 4, 2


def example(seed: int = 0) -> tuple[Output, Targets]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(SIZE, CLASSES, generator=generator, requires_grad=True)
    values = torch.rand(SIZE, DIMENSIONS, generator=generator, requires_grad=True)
    truth = Targets(
        torch.randint(0, CLASSES, (SIZE,), generator=generator), torch.rand(SIZE, DIMENSIONS, generator=generator)
    )
    return Output(logits, values, logits), truth


def part(output: Output, targets: Targets, rows: torch.Tensor) -> tuple[Output, Targets]:
    return (
        Output(output.logits[rows], output.dimensions[rows], output.features[rows]),
        Targets(targets.classes[rows], targets.dimensions[rows]),
    )


def what_is_learnt(name: str, output: Output) -> torch.Tensor:
    return output.logits if LEARNS[name] == "classes" else output.dimensions


def test_every_loss_of_the_table_is_known_here():
    assert set(LOSSES) == set(LEARNS)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_finite_sum_and_its_normaliser_is_known_from_the_targets_alone(name):
    loss, (output, targets) = LOSSES[name](), example()
    found = loss(output, targets)
    assert found.total.shape == found.normaliser.shape == ()
    assert found.total.item() > 0
    assert found.normaliser.item() == loss.normaliser(targets).item() > 0


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_down_the_gradient_makes_the_loss_smaller(name):
    loss, (output, targets) = LOSSES[name](), example()
    before = loss(output, targets).total
    learnt = what_is_learnt(name, output)
    (gradient,) = torch.autograd.grad(before, learnt)
    moved = learnt - 0.01 * gradient / gradient.norm()
    assert loss(Output(moved, moved, moved), targets).total < before


@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_utterances_does_not_matter(name):
    loss, (output, targets) = LOSSES[name](), example()
    turned = loss(*part(output, targets, torch.arange(SIZE).flip(0)))
    torch.testing.assert_close(turned.total, loss(output, targets).total)


@pytest.mark.parametrize("name", LOSSES)
def test_utterances_without_truth_change_nothing(name):
    loss, (output, targets) = LOSSES[name](), example()
    known = torch.arange(SIZE) % 3 > 0
    blank = Targets(torch.where(known, targets.classes, -1), torch.where(known[:, None], targets.dimensions, math.nan))
    some, only = loss(output, blank), loss(*part(output, targets, known.nonzero().squeeze(1)))
    torch.testing.assert_close(some.total, only.total)
    torch.testing.assert_close(some.normaliser, only.normaliser)
    (gradient,) = torch.autograd.grad(some.total, what_is_learnt(name, output))
    assert gradient.isfinite().all()
    assert not gradient[~known].any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_any_truth_gives_no_loss_and_no_gradient(name):
    loss, (output, _) = LOSSES[name](), example()
    blank = Targets(torch.full((SIZE,), -1), torch.full((SIZE, DIMENSIONS), math.nan))
    total = loss(output, blank).total
    assert total.item() == 0
    (gradient,) = torch.autograd.grad(total, what_is_learnt(name, output))
    assert not gradient.any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_says_truly_whether_its_parts_add_up(name):
    loss, (output, targets) = LOSSES[name](), example()
    parts = [loss(*part(output, targets, rows)) for rows in torch.arange(SIZE).split(5)]
    whole = loss(output, targets)
    adds_up = torch.isclose(sum(p.total for p in parts), whole.total) and torch.isclose(
        sum(p.normaliser for p in parts), whole.normaliser
    )
    assert bool(adds_up) is loss.additive
