"""Our dropout drops the share that is asked, scales the rest, and is repeated by its seed."""

import pytest
import torch

from emotune.models.backbones.dropout import Dropout, dropped
from emotune.models.backbones.layouts import Padded


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_is_dropped_and_the_others_keep_the_mean(share):
    torch.manual_seed(0)
    ones = torch.ones(1001, 999)
    found = dropped(ones, share)
    zeros = (found == 0).float()
    assert zeros.mean().item() == pytest.approx(share, abs=4 * (share * (1 - share) / ones.numel()) ** 0.5)
    assert found.max().item() == pytest.approx(1 / (1 - share), rel=1e-4)
    # neighbours, which share a number of the generator, are independent
    together = (zeros.flatten()[:-1] * zeros.flatten()[1:]).mean().item()
    assert together == pytest.approx(share**2, abs=2e-3)


def test_a_seed_gives_the_same_masks_and_the_next_call_others():
    def twice(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [dropped(torch.ones(7, 5), 0.5) for _ in range(2)]

    first, again, other = twice(1), twice(1), twice(2)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(*first)
    assert not torch.equal(first[0], other[0])


def test_the_gradient_goes_where_the_value_went():
    hidden = torch.ones(40, 30, requires_grad=True)
    output = dropped(hidden, 0.25)
    (3 * output).sum().backward()
    torch.testing.assert_close(hidden.grad, 3 * output.detach())


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_nothing_and_all(share, expected):
    assert torch.equal(dropped(torch.ones(5), share), torch.full((5,), expected))
    assert torch.equal(Dropout(share).eval()(torch.ones(5)), torch.ones(5))


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("is_padded", [True, False])
def test_attention_with_next_to_no_dropout_is_attention_without(gated, is_padded):
    """A share that is rounded to nothing takes the way of training."""
    torch.manual_seed(0)
    parts, mask = [torch.randn(2, 6, 8) for _ in range(3)], torch.ones(2, 6, dtype=torch.bool)
    if is_padded:
        mask[0, 4:] = False
    gate, bias = (torch.rand(2, 6, 2), torch.randn(2, 6, 6)) if gated else (None, None)
    layout = Padded(mask, bias, is_padded=is_padded)
    found, expected = (layout.attend(*parts, gate, heads=2, dropout=share) for share in (1e-9, 0.0))
    torch.testing.assert_close(found[mask], expected[mask])


def test_pytorchs_own_serves_elsewhere():
    """On devices other than a CPU: a tensor without memory stands for them."""
    assert dropped(torch.ones(3, device="meta"), 0.5).device.type == "meta"
