"""The contrastive loss between views: closed forms, symmetry, order, and which clips count as negatives."""

import math

import pytest
import torch
from torch.nn import functional as F

from emotune.losses.contrastive import UNKNOWN_SPEAKER, PairwiseInfoNCE


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def unknown(clips: int) -> torch.Tensor:
    return torch.full((clips,), float(UNKNOWN_SPEAKER))


@pytest.mark.parametrize("hardness", [0.0, 1.0])
@pytest.mark.parametrize("clips", [2, 7, 64])
def test_equal_embeddings_give_the_logarithm_of_the_number_of_clips(clips, hardness):
    views = unit(1, 1, 8).expand(clips, 3, 8)
    loss = PairwiseInfoNCE(hardness=hardness)(views, torch.arange(clips), unknown(clips))
    assert float(loss) == pytest.approx(math.log(clips), rel=1e-12)


def test_of_two_views_it_is_half_of_both_cross_entropies():
    views = unit(6, 2, 5)
    logits = views[:, 0] @ views[:, 1].T / 0.2
    expected = (F.cross_entropy(logits, torch.arange(6)) + F.cross_entropy(logits.T, torch.arange(6))) / 2
    loss = PairwiseInfoNCE(temperature=0.2)(views, torch.arange(6), unknown(6))
    assert float(loss) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"hardness": 0.7}, {"same_speaker": "leave_out"}, {"same_speaker": "only"}])
def test_the_order_of_clips_and_of_views_does_not_matter(options):
    views, clips, speakers = unit(9, 3, 4), torch.arange(9), torch.arange(9) % 3
    loss, order = PairwiseInfoNCE(**options), torch.randperm(9, generator=torch.Generator().manual_seed(3))
    whole = float(loss(views, clips, speakers))
    assert float(loss(views[order], clips[order], speakers[order])) == pytest.approx(whole, rel=1e-12)
    assert float(loss(views[:, [2, 0, 1]], clips, speakers)) == pytest.approx(whole, rel=1e-12)


def test_hard_negatives_are_weighted_to_a_mean_of_one():
    """Against the weights written out."""
    views, beta, tau = unit(5, 2, 4), 0.8, 0.3
    total = 0.0
    for one, other in ((0, 1), (1, 0)):
        likeness = views[:, one] @ views[:, other].T / tau
        for i in range(5):
            negatives = torch.cat([likeness[i, :i], likeness[i, i + 1 :]])
            weights = (beta * negatives).exp() / (beta * negatives).exp().mean()
            total += float(torch.log(likeness[i, i].exp() + (weights * negatives.exp()).sum()) - likeness[i, i]) / 10
    loss = PairwiseInfoNCE(temperature=tau, hardness=beta)(views, torch.arange(5), unknown(5))
    assert float(loss) == pytest.approx(total, rel=1e-10)


def test_negatives_of_the_own_speaker_are_left_out_or_the_only_ones():
    views = unit(1, 1, 4).expand(5, 2, 4)
    speakers = torch.tensor([0, 0, 0, 1, UNKNOWN_SPEAKER])
    left_out = PairwiseInfoNCE(same_speaker="leave_out")(views, torch.arange(5), speakers)
    assert float(left_out) == pytest.approx((3 * math.log(3) + 2 * math.log(5)) / 5)
    only = PairwiseInfoNCE(same_speaker="only")(views, torch.arange(5), speakers)
    assert float(only) == pytest.approx(3 * math.log(3) / 5), "clips without negatives have no loss"


def test_a_clip_that_comes_again_is_no_negative_of_itself():
    views = unit(1, 1, 4).expand(4, 2, 4)
    loss = PairwiseInfoNCE()(views, torch.tensor([0, 0, 1, 2]), unknown(4))
    assert float(loss) == pytest.approx((2 * math.log(3) + 2 * math.log(4)) / 4)


@pytest.mark.parametrize("same_speaker", ["keep", "leave_out", "only"])
def test_gradients_are_finite_where_clips_have_no_negatives(same_speaker):
    views = unit(3, 2, 4).requires_grad_(True)
    speakers = torch.tensor([0, 1, 2])
    PairwiseInfoNCE(hardness=0.5, same_speaker=same_speaker)(views, torch.arange(3), speakers).backward()
    assert bool(torch.isfinite(views.grad).all())
