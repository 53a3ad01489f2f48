"""The losses against PyTorch's cross-entropy and audmetric's CCC, and their sums over micro-batches."""

import audmetric
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from emotune.batch import Output, Targets
from emotune.losses import CCCLoss, CrossEntropy, Loss, LossSum
from emotune.losses.cross_entropy import balanced_class_weights

WEIGHTS = torch.tensor([0.5, 2.0, 1.25, 0.25])


def logits_and_classes(size: int = 24, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(size, 4, generator=generator)
    return logits, torch.randint(0, 4, (size,), generator=generator)


def entropy(loss: Loss, logits: Tensor, classes: Tensor) -> LossSum:
    return loss(Output(logits, None, logits), Targets(classes=classes))


def value(loss_sum: LossSum) -> Tensor:
    return loss_sum.total / loss_sum.normaliser


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_that_of_pytorch(weights):
    logits, classes = logits_and_classes()
    found = value(entropy(CrossEntropy(class_weights=weights), logits, classes))
    torch.testing.assert_close(found, F.cross_entropy(logits, classes, weight=weights))


@pytest.mark.parametrize("smoothing", [0.05, 0.5])
def test_smoothing_without_weights_is_that_of_pytorch(smoothing):
    logits, classes = logits_and_classes()
    found = value(entropy(CrossEntropy(smoothing=smoothing), logits, classes))
    torch.testing.assert_close(found, F.cross_entropy(logits, classes, label_smoothing=smoothing))


def test_with_weights_and_smoothing_every_utterance_counts_with_the_weight_of_its_class():
    logits, classes = logits_and_classes()
    log_p = np.log(np.exp(logits.double().numpy()) / np.exp(logits.double().numpy()).sum(axis=1, keepdims=True))
    total, weight_sum = 0.0, 0.0
    for row, label in zip(log_p, classes.tolist(), strict=True):
        target = np.full(4, 0.1 / 4)
        target[label] += 0.9
        total += WEIGHTS[label].item() * -(target * row).sum()
        weight_sum += WEIGHTS[label].item()
    found = entropy(CrossEntropy(class_weights=WEIGHTS, smoothing=0.1), logits, classes)
    assert found.total.item() == pytest.approx(total, rel=1e-5)
    assert found.normaliser.item() == pytest.approx(weight_sum, rel=1e-6)


def test_scaling_all_weights_changes_nothing():
    logits, classes = logits_and_classes()
    found = [value(entropy(CrossEntropy(class_weights=f * WEIGHTS, smoothing=0.1), logits, classes)) for f in (1, 7)]
    torch.testing.assert_close(*found)


def test_utterances_without_a_class_do_not_count():
    logits, classes = logits_and_classes()
    unknown = torch.zeros(len(classes), dtype=torch.bool)
    unknown[::3] = True
    loss = CrossEntropy(class_weights=WEIGHTS, smoothing=0.1)
    some = entropy(loss, logits.requires_grad_(), torch.where(unknown, -1, classes))
    torch.testing.assert_close(value(some), value(entropy(loss, logits[~unknown], classes[~unknown])))
    some.total.backward()
    assert not logits.grad[unknown].any()
    nothing = entropy(loss, logits, torch.full_like(classes, -1))
    assert nothing.total.item() == nothing.normaliser.item() == 0


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_gradients_of_the_parts_add_up_to_those_of_the_whole(weights):
    inputs = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    _, classes = logits_and_classes(20)
    classes[3] = -1
    loss = CrossEntropy(class_weights=weights, smoothing=0.1)

    def gradient(parts: list[slice]) -> Tensor:
        torch.manual_seed(0)
        head = torch.nn.Linear(6, 4)
        normaliser = sum(loss.normaliser(Targets(classes=classes[part])) for part in parts)
        for part in parts:
            (entropy(loss, head(inputs[part]), classes[part]).total / normaliser).backward()
        return head.weight.grad

    whole = gradient([slice(0, 20)])
    torch.testing.assert_close(gradient([slice(0, 3), slice(3, 12), slice(12, 20)]), whole, rtol=1e-5, atol=1e-7)


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    truth = np.repeat([0, 1, 2], [10, 3, 7])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=truth)
    np.testing.assert_allclose(balanced_class_weights(torch.tensor([10.0, 3.0, 7.0])), expected, rtol=1e-6)
    assert balanced_class_weights(torch.tensor([10.0, 0.0, 10.0])).tolist() == [1.0, 0.0, 1.0]


def values(size: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(size, 3, generator=generator)
    return truth, (0.5 * truth + 0.3 * torch.rand(size, 3, generator=generator) + 0.1)


def ccc_loss(truth: Tensor, prediction: Tensor) -> Tensor:
    return value(CCCLoss()(Output(None, prediction, prediction), Targets(dimensions=truth)))


def one_minus_ccc(truth: Tensor, prediction: Tensor) -> float:
    pairs = zip(truth.double().numpy().T, prediction.double().numpy().T, strict=True)
    return float(np.mean([1 - audmetric.concordance_cc(t[~np.isnan(t)], p[~np.isnan(t)]) for t, p in pairs]))


def test_the_ccc_loss_is_one_minus_the_ccc_of_audmetric():
    truth, prediction = values()
    assert ccc_loss(truth, prediction).item() == pytest.approx(one_minus_ccc(truth, prediction), abs=1e-5)
    assert ccc_loss(truth, truth).item() == pytest.approx(0, abs=1e-6)


def test_unknown_values_do_not_count_for_the_ccc_loss():
    truth, prediction = values()
    truth[::4, 0] = torch.nan
    truth[5, 1] = torch.nan
    prediction.requires_grad_()
    found = ccc_loss(truth, prediction)
    assert found.item() == pytest.approx(one_minus_ccc(truth, prediction.detach()), abs=1e-5)
    found.backward()
    assert prediction.grad.isfinite().all()
    assert not prediction.grad[truth.isnan()].any()


def test_a_dimension_with_less_than_two_known_values_gives_no_loss():
    truth, prediction = values()
    truth[1:, 2] = torch.nan
    assert ccc_loss(truth, prediction).item() == pytest.approx(one_minus_ccc(truth[:, :2], prediction[:, :2]), abs=1e-5)
    nothing = prediction.requires_grad_()
    found = ccc_loss(torch.full_like(truth, torch.nan), nothing)
    found.backward()
    assert found.item() == 0
    assert not nothing.grad.any()


def test_a_constant_prediction_has_a_finite_gradient():
    truth, prediction = values()
    constant = torch.full_like(prediction, 0.5).requires_grad_()
    ccc_loss(truth, constant).backward()
    assert constant.grad.isfinite().all()
    assert constant.grad.any()
