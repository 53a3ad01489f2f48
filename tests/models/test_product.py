"""The faster matrix products give what PyTorch's own give, whatever happens to the weights."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from emotune.models.backbones import BACKBONES, product
from emotune.models.backbones.convolutions import FeatureExtractor, _ConvolvedWindows
from emotune.models.backbones.layouts import Packed, Padded, aligned
from emotune.models.backbones.product import dense
from emotune.models.backbones.transformer import _side_by_side


def tensors(*shape_before: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(*shape_before, 24), torch.randn(40, 24), torch.randn(40)


@pytest.mark.parametrize("shape", [(7,), (2, 5), (3, 2, 4), (1,)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_product_and_its_gradients_are_those_of_pytorch(shape, with_bias):
    found, expected = [], []
    for function, results in ((product.product, found), (F.linear, expected)):
        parts = [tensor.requires_grad_() for tensor in tensors(*shape)]
        output = function(parts[0], parts[1], parts[2] if with_bias else None)
        (output.sin().sum()).backward()
        results += [output.detach(), *(part.grad for part in parts if part.grad is not None)]
    assert len(found) == len(expected) == 3 + with_bias
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("float64", lambda x: x.double()),
        ("bfloat16", lambda x: x.bfloat16()),
        ("transposed weight", lambda x: x.T.contiguous().T if x.ndim == 2 else x),
        ("strided rows", lambda x: x.repeat_interleave(2, dim=-1)[..., ::2]),
        ("no rows", lambda x: x[:0] if x.shape[0] == 7 else x),
    ],
)
def test_what_onednn_does_not_suit_is_left_to_pytorch(name, change):
    hidden, weight, bias = (change(tensor) for tensor in tensors(7))
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(product.product(hidden, weight, bias), F.linear(hidden, weight, bias), **tolerance)


def test_only_what_needs_a_gradient_has_one():
    hidden, weight, bias = tensors(7)
    product.product(hidden.requires_grad_(), weight, bias).sum().backward()
    torch.testing.assert_close(hidden.grad, weight.sum(dim=0).expand(7, 24))
    assert weight.grad is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_hooked_or_changed_linear_layer_is_called():
    linear, seen = nn.Linear(24, 40), []
    hidden = torch.randn(3, 24)
    torch.testing.assert_close(dense(linear, hidden), linear(hidden))
    linear.register_forward_hook(lambda *_: seen.append(1))
    dense(linear, hidden)
    assert seen == [1]
    quantised = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(24, 40)), {nn.Linear})[0]
    assert dense(quantised, hidden).shape == (3, 40)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamic_quantisation_reaches_the_linear_layers(tiny_wavlm):
    backbone = BACKBONES["wavlm"].from_config(tiny_wavlm).eval()
    waveforms = torch.randn(1, 8000)
    mask = torch.ones_like(waveforms, dtype=torch.bool)
    quantised = torch.ao.quantization.quantize_dynamic(backbone, {nn.Linear})
    with torch.no_grad():
        exact, coarse = backbone(waveforms, mask).states[-1], quantised(waveforms, mask).states[-1]
    difference = (exact - coarse).abs().max()
    assert 0 < difference < 0.2 * exact.abs().max()


def sgd(backbone, states):
    optimiser = torch.optim.SGD(backbone.parameters(), lr=0.5)
    states.square().sum().backward()
    optimiser.step()
    return backbone


def fused_adamw(backbone, states):
    """Moves the weights without a count that PyTorch's versions would show."""
    optimiser = torch.optim.AdamW(backbone.parameters(), lr=0.01, fused=True)
    states.square().sum().backward()
    optimiser.step()
    return backbone


def written_through_data(backbone, states):
    for parameter in backbone.parameters():
        parameter.data.mul_(1.1)
    return backbone


def replaced(backbone, states):
    for parameter in backbone.parameters():
        parameter.data = parameter.data * 1.1
    return backbone


def copied_and_changed(backbone, states):
    return written_through_data(copy.deepcopy(backbone), states)


def loaded(backbone, states):
    backbone.load_state_dict({name: tensor * 1.1 for name, tensor in backbone.state_dict().items()})
    return backbone


CHANGES = [sgd, fused_adamw, written_through_data, replaced, copied_and_changed, loaded]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["hubert", "wavlm"])
def test_a_change_of_the_weights_reaches_the_next_prediction(tiny_wavlm, kind, change):
    torch.manual_seed(0)
    config = {key: value for key, value in tiny_wavlm.items() if kind == "wavlm" or "bucket" not in key}
    backbone = BACKBONES[kind].from_config(config).eval()
    waveforms = torch.randn(1, 8000)
    mask = torch.ones_like(waveforms, dtype=torch.bool)
    with torch.no_grad():
        before = backbone(waveforms, mask).states[-1]
    backbone = change(backbone, backbone(waveforms, mask).states[-1])
    with torch.no_grad():
        packed = backbone(waveforms, mask).states[-1]
    padded = backbone(waveforms, mask).states[-1].detach()
    assert (packed - before).abs().max() > 1e-3
    torch.testing.assert_close(packed, padded, rtol=1e-3, atol=1e-4)


def test_query_key_and_value_are_one_product_as_long_as_their_weights_lie_together(tiny_wavlm):
    attention = BACKBONES["wavlm"].from_config(tiny_wavlm).encoder.layers[0].attention
    weights = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
    attention.load_state_dict({name: tensor + 1 for name, tensor in attention.state_dict().items()})
    together = _side_by_side(weights)
    assert torch.equal(together, torch.cat(weights))
    assert together.data_ptr() == weights[0].data_ptr()
    assert _side_by_side(weights[::-1]) is None
    assert _side_by_side([weight.clone() for weight in weights]) is None


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("samples", [400, 7999, 16000 * 3])
@torch.no_grad()
def test_the_tiled_front_end_is_the_plain_one(norm, samples):
    """Over several tiles and their seams; the group norm's statistics are of the whole clip."""
    torch.manual_seed(0)
    front_end = FeatureExtractor(
        [16] * 7, [10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2], bias=norm == "layer", norm=norm
    )
    for parameter in front_end.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    waveform = torch.randn(samples) * 0.2 + 0.1
    expected = front_end(waveform[None], None)[0]
    (found,) = front_end.of_each_clip([waveform])
    assert found.shape == (front_end.frame_count(samples), 16)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (3, 2), (4, 4), (2, 3), (5, 2)])
def test_a_convolution_over_windows_and_its_gradients_are_those_of_pytorch(kernel, stride):
    generator = torch.Generator().manual_seed(0)
    features, weight, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in [(2, 23, 3), (4, 3, kernel), (4,)]
    )
    expected = nn.functional.conv1d(features.transpose(1, 2), weight, bias, stride).transpose(1, 2)
    found = _ConvolvedWindows.apply(features, weight, bias, stride)
    torch.testing.assert_close(found, expected)
    above = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad(outputs, (features, weight, bias), above) for outputs in (found, expected)]
    torch.testing.assert_close(*gradients)


@torch.no_grad()
def test_a_silent_clip_goes_through_the_group_norm():
    front_end = FeatureExtractor([16] * 3, [10, 3, 3], [5, 2, 2], bias=False, norm="group")
    (encoded,) = front_end.of_each_clip([torch.zeros(4000)])
    assert encoded.isfinite().all()


@pytest.mark.parametrize("frames", [1, 7, 8, 13])
def test_an_aligned_bias_is_the_same_with_rows_at_multiples_of_eight(frames):
    bias = torch.randn(2, 3, frames, frames)
    found = aligned(bias)
    assert torch.equal(found, bias)
    assert found.stride(-2) % 8 == 0


@torch.no_grad()
def test_packed_and_padded_attention_are_the_same():
    torch.manual_seed(0)
    counts, heads, features = [5, 2, 9], 2, 8
    bias = torch.randn(heads, 9, 9)
    packed = [torch.randn(16, features) for _ in range(3)]
    gate = torch.rand(16, heads)
    mask = torch.arange(9)[None, :] < torch.tensor(counts)[:, None]

    def padded(rows: torch.Tensor) -> torch.Tensor:
        return nn.utils.rnn.pad_sequence(list(rows.split(counts)), batch_first=True)

    for given, table in ((gate, bias), (None, None)):
        found = Packed(counts, table).attend(*packed, given, heads=heads, dropout=0.0)
        parts = [padded(part) for part in packed]
        together = Padded(mask, table, is_padded=True).attend(
            *parts, None if given is None else padded(given), heads=heads, dropout=0.0
        )
        torch.testing.assert_close(together[mask], found)
