"""The losses against PyTorch, SciPy and audmetric, and their sums over micro-batches."""

import audmetric
import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
import torch.nn.functional as F
from torch import Tensor

from emotune.batch import one_hot_shares
from emotune.losses.base import Loss
from emotune.losses.ccc import CCCLoss
from emotune.losses.cross_entropy import CrossEntropy, balanced_class_weights
from emotune.losses.focal import Focal
from emotune.losses.votes import KL, SoftCrossEntropy

WEIGHTS = torch.tensor([0.5, 2.0, 1.25, 0.25])


def logits_and_classes(size: int = 24, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(size, 4, generator=generator)
    return logits, torch.randint(0, 4, (size,), generator=generator)


def total(loss: Loss, logits: Tensor, **truth: Tensor) -> Tensor:
    return loss.values(logits, truth_of(**truth)).sum()


def mean(loss: Loss, logits: Tensor, **truth: Tensor) -> Tensor:
    return total(loss, logits, **truth) / loss.normaliser(truth_of(**truth))


def truth_of(*, classes: Tensor | None = None, votes: Tensor | None = None) -> Tensor:
    """Truth from indices of four classes, -1 where unknown, from shares of classes, or from votes."""
    if classes is None:
        return votes
    return classes if classes.ndim == 2 else one_hot_shares(classes, 4)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_that_of_pytorch(weights):
    logits, classes = logits_and_classes()
    found = mean(CrossEntropy(class_weights=weights), logits, classes=classes)
    torch.testing.assert_close(found, F.cross_entropy(logits, classes, weight=weights))


@pytest.mark.parametrize("smoothing", [0.05, 0.5])
def test_smoothing_without_weights_is_that_of_pytorch(smoothing):
    logits, classes = logits_and_classes()
    found = mean(CrossEntropy(smoothing=smoothing), logits, classes=classes)
    torch.testing.assert_close(found, F.cross_entropy(logits, classes, label_smoothing=smoothing))


def test_with_weights_and_smoothing_every_utterance_counts_with_the_weight_of_its_class():
    logits, classes = logits_and_classes()
    log_p = np.log(np.exp(logits.double().numpy()) / np.exp(logits.double().numpy()).sum(axis=1, keepdims=True))
    expected, weight_sum = 0.0, 0.0
    for row, label in zip(log_p, classes.tolist(), strict=True):
        target = np.full(4, 0.1 / 4)
        target[label] += 0.9
        expected += WEIGHTS[label].item() * -(target * row).sum()
        weight_sum += WEIGHTS[label].item()
    loss = CrossEntropy(class_weights=WEIGHTS, smoothing=0.1)
    assert total(loss, logits, classes=classes).item() == pytest.approx(expected, rel=1e-5)
    assert loss.normaliser(truth_of(classes=classes)).item() == pytest.approx(weight_sum, rel=1e-6)


def test_scaling_all_weights_changes_nothing():
    logits, classes = logits_and_classes()
    found = [mean(CrossEntropy(class_weights=f * WEIGHTS, smoothing=0.1), logits, classes=classes) for f in (1, 7)]
    torch.testing.assert_close(*found)


def test_utterances_without_a_class_do_not_count():
    logits, classes = logits_and_classes()
    unknown = torch.zeros(len(classes), dtype=torch.bool)
    unknown[::3] = True
    loss = CrossEntropy(class_weights=WEIGHTS, smoothing=0.1)
    some = mean(loss, logits.requires_grad_(), classes=torch.where(unknown, -1, classes))
    torch.testing.assert_close(some, mean(loss, logits[~unknown], classes=classes[~unknown]))
    some.backward()
    assert not logits.grad[unknown].any()
    nothing = torch.full_like(classes, -1)
    assert total(loss, logits, classes=nothing).item() == loss.normaliser(truth_of(classes=nothing)).item() == 0


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_gradients_of_the_parts_add_up_to_those_of_the_whole(weights):
    inputs = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    _, classes = logits_and_classes(20)
    classes[3] = -1
    loss = CrossEntropy(class_weights=weights, smoothing=0.1)

    def gradient(parts: list[slice]) -> Tensor:
        torch.manual_seed(0)
        head = torch.nn.Linear(6, 4)
        normaliser = sum(loss.normaliser(truth_of(classes=classes[part])) for part in parts)
        for part in parts:
            (total(loss, head(inputs[part]), classes=classes[part]) / normaliser).backward()
        return head.weight.grad

    whole = gradient([slice(0, 20)])
    torch.testing.assert_close(gradient([slice(0, 3), slice(3, 12), slice(12, 20)]), whole, rtol=1e-5, atol=1e-7)


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    truth = np.repeat([0, 1, 2], [10, 3, 7])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=truth)
    np.testing.assert_allclose(balanced_class_weights(torch.tensor([10.0, 3.0, 7.0])), expected, rtol=1e-6)
    assert balanced_class_weights(torch.tensor([10.0, 0.0, 10.0])).tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_loss_is_the_formula_of_its_paper(gamma):
    logits, classes = logits_and_classes()
    p = scipy.special.softmax(logits.double().numpy(), axis=1)[np.arange(len(classes)), classes.numpy()]
    weight = WEIGHTS.double().numpy()[classes.numpy()]
    expected = (weight * (1 - p) ** gamma * -np.log(p)).sum() / weight.sum()
    found = mean(Focal(class_weights=WEIGHTS, gamma=gamma), logits, classes=classes)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_focal_loss_of_gamma_zero_is_cross_entropy():
    logits, classes = logits_and_classes()
    expected = mean(CrossEntropy(class_weights=WEIGHTS), logits, classes=classes)
    torch.testing.assert_close(mean(Focal(class_weights=WEIGHTS, gamma=0.0), logits, classes=classes), expected)


def test_focal_loss_has_a_finite_gradient_where_the_truth_is_certain():
    logits = torch.tensor([[200.0, 0.0, 0.0, 0.0]], requires_grad=True)
    mean(Focal(gamma=0.5), logits, classes=torch.tensor([0])).backward()
    assert logits.grad.isfinite().all()


def votes(size: int = 24) -> Tensor:
    counts = torch.randint(0, 4, (size, 4), generator=torch.Generator().manual_seed(3)).float()
    counts[:, 1] += 1
    return counts / counts.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_soft_cross_entropy_is_that_of_pytorch_with_probabilities(smoothing):
    logits, _ = logits_and_classes()
    found = mean(SoftCrossEntropy(smoothing=smoothing), logits, votes=votes())
    torch.testing.assert_close(found, F.cross_entropy(logits, votes(), label_smoothing=smoothing))


def test_kl_is_the_relative_entropy_of_scipy():
    logits, _ = logits_and_classes()
    p = scipy.special.softmax(logits.double().numpy(), axis=1)
    expected = scipy.stats.entropy(votes().double().numpy(), p, axis=1).mean()
    assert mean(KL(), logits, votes=votes()).item() == pytest.approx(expected, rel=1e-5)


def test_unanimous_votes_are_hard_classes():
    logits, classes = logits_and_classes()
    unanimous = F.one_hot(classes, 4).float()
    expected = F.cross_entropy(logits, classes)
    torch.testing.assert_close(mean(SoftCrossEntropy(), logits, votes=unanimous), expected)
    torch.testing.assert_close(mean(KL(), logits, votes=unanimous), expected)


def test_votes_teach_what_the_majority_hides():
    """Two kinds of clip with the majority alike: only the votes tell how far annotators agree."""
    kinds = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(50, 1)
    shares = torch.tensor([[0.55, 0.45], [0.95, 0.05]]).repeat(50, 1)

    def fitted(loss: Loss, **truth: Tensor) -> Tensor:
        torch.manual_seed(0)
        head = torch.nn.Linear(2, 2)
        optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
        for _ in range(400):
            optimiser.zero_grad()
            mean(loss, head(kinds), **truth).backward()
            optimiser.step()
        return torch.softmax(head(kinds), dim=1).detach()

    soft = fitted(KL(), votes=shares)
    hard = fitted(CrossEntropy(), classes=one_hot_shares(shares.argmax(dim=1), 2))
    assert (soft - shares).abs().max() < 0.02
    assert (hard - shares).abs().max() > 0.3


def values(size: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(size, 3, generator=generator)
    return truth, (0.5 * truth + 0.3 * torch.rand(size, 3, generator=generator) + 0.1)


def ccc_loss(truth: Tensor, prediction: Tensor) -> Tensor:
    return CCCLoss()(prediction, truth)


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
