"""What every loss of the table keeps to; a new entry is tested at once."""

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from emotune.batch import LayerOutputs, Output, Targets, one_hot_shares
from emotune.losses import LOSSES
from emotune.losses.base import BatchLoss, Loss
from emotune.losses.combined import CombinedLoss
from emotune.models.heads import HEADS
from emotune.schema.labels import LabelSpace, Scale

SIZE, CLASSES, DIMENSIONS, LAYERS = 12, 4, 2, 3
MEANS = [name for name in LOSSES if issubclass(LOSSES[name], Loss)]
OF_LAYERS = [name for name in MEANS if LOSSES[name].head == "classes"]


def example(seed: int = 0) -> tuple[Output, Targets]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(SIZE, CLASSES, generator=generator, requires_grad=True)
    values = torch.rand(SIZE, DIMENSIONS, generator=generator, requires_grad=True)
    truth = {
        "classes": one_hot_shares(torch.randint(0, CLASSES, (SIZE,), generator=generator), CLASSES),
        "dimensions": torch.rand(SIZE, DIMENSIONS, generator=generator),
        "votes": torch.rand(SIZE, CLASSES, generator=generator).softmax(dim=1),
        "gender": one_hot_shares(torch.randint(0, 2, (SIZE,), generator=generator), 2),
    }
    gender = torch.randn(SIZE, 2, generator=generator, requires_grad=True)
    return Output({"classes": logits, "dimensions": values, "gender": gender}, logits), truth


def part(output: Output, targets: Targets, rows: Tensor) -> tuple[Output, Targets]:
    heads = {name: scores[rows] for name, scores in output.heads.items()}
    return Output(heads, output.features[rows]), {name: truth[rows] for name, truth in targets.items()}


def blanked(targets: Targets, known: Tensor) -> Targets:
    return {name: torch.where(known[:, None], truth, math.nan) for name, truth in targets.items()}


def combined(name: str) -> CombinedLoss:
    return CombinedLoss({name: (1.0, LOSSES[name]())})


def value(name: str, output: Output, targets: Targets) -> Tensor:
    """The loss of one batch, as training has it."""
    loss = combined(name)
    if loss.wholes:
        whole = loss.wholes[name]
        return loss.whole_loss(name, output.heads[whole.head], targets[whole.truth])
    return total(loss.mean_losses(output, targets, loss.normalisers(targets)))


def total(losses: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_table_teaches_a_head_from_a_truth_of_it(name):
    assert issubclass(LOSSES[name], Loss) or issubclass(LOSSES[name], BatchLoss)
    space = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)})
    assert LOSSES[name].truth in HEADS[LOSSES[name].head](space).truths


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_positive_scalar_and_a_step_down_its_gradient_makes_it_smaller(name):
    output, targets = example()
    before = value(name, output, targets)
    assert before.shape == ()
    assert before.item() > 0
    learnt = output.heads[LOSSES[name].head]
    (gradient,) = torch.autograd.grad(before, learnt)
    moved = learnt - 0.01 * gradient / gradient.norm()
    assert value(name, Output({LOSSES[name].head: moved}, moved), targets) < before


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
    (gradient,) = torch.autograd.grad(some, output.heads[LOSSES[name].head])
    assert gradient.isfinite().all()
    assert not gradient[~known].any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_any_truth_gives_no_loss_and_no_gradient(name):
    output, targets = example()
    nothing = value(name, output, blanked(targets, torch.zeros(SIZE, dtype=torch.bool)))
    assert nothing.item() == 0
    (gradient,) = torch.autograd.grad(nothing, output.heads[LOSSES[name].head])
    assert not gradient.any()


@pytest.mark.parametrize("name", MEANS)
def test_values_are_one_an_utterance_and_add_up_over_micro_batches(name):
    loss, (output, targets) = LOSSES[name](), example()
    whole = loss.of_batch(output, targets)
    assert whole.shape == (SIZE,)
    parts = [part(output, targets, rows) for rows in torch.arange(SIZE).split(5)]
    torch.testing.assert_close(torch.cat([loss.of_batch(*each) for each in parts]), whole)
    normalisers = [loss.normaliser(truth[loss.truth]) for _, truth in parts]
    torch.testing.assert_close(sum(normalisers), loss.normaliser(targets[loss.truth]))


@pytest.mark.parametrize("name", OF_LAYERS)
def test_layers_count_with_each_clips_own_posterior(name):
    loss, (output, targets) = LOSSES[name](), example()
    generator = torch.Generator().manual_seed(5)
    posterior = torch.rand(SIZE, LAYERS, generator=generator).softmax(dim=1)
    logits = torch.randn(SIZE, LAYERS, CLASSES, generator=generator)
    layers = LayerOutputs(posterior, {"classes": logits})
    found = loss.of_batch(Output({"classes": logits.mean(dim=1)}, logits, layers), targets)
    for clip in range(SIZE):
        alone = [loss.values(logits[:, layer], targets[loss.truth])[clip] for layer in range(LAYERS)]
        expected = sum(posterior[clip, layer] * alone[layer] for layer in range(LAYERS))
        torch.testing.assert_close(found[clip], expected)
    plain = loss.values(output.heads["classes"], targets[loss.truth])
    torch.testing.assert_close(loss.of_batch(output, targets), plain)


def test_a_models_own_penalty_is_a_mean_over_the_clips_of_the_step():
    loss, (output, targets) = combined("cross_entropy"), example()
    penalty = torch.arange(float(SIZE))
    with_penalty = Output(output.heads, output.features, penalty=penalty)
    normalisers = loss.normalisers(targets)
    found = [total(loss.mean_losses(said, targets, normalisers)) for said in (with_penalty, output)]
    torch.testing.assert_close(found[0] - found[1], penalty.mean())
