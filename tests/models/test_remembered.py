"""A frozen encoder's states are kept and are what the encoder gives."""

import copy

import numpy as np
import pytest
import torch

from builders.models import WAVLM, WHISPER, tiny_backbone
from emotune.batch import pad
from emotune.models.backbones.remembered import RememberedStates


@pytest.fixture
def clips() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.standard_normal(n).astype(np.float32) for n in (8000, 5000, 12000)]


def counted(backbone) -> list[int]:
    rows: list[int] = []
    backbone.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    return rows


@pytest.mark.parametrize("name", ["wavlm", "whisper"])
def test_states_are_those_of_the_encoder_and_no_clip_is_encoded_twice(name, clips):
    backbone = tiny_backbone(WAVLM if name == "wavlm" else WHISPER, name).eval()
    remembered, rows = RememberedStates(backbone, most_gb=1), counted(backbone)
    first = pad(clips[:2])
    remembered(first.waveforms, first.mask)
    whole = pad(clips)
    found = remembered(whole.waveforms, whole.mask)
    assert sum(rows) == 3
    with torch.no_grad():
        expected = backbone(whole.waveforms, whole.mask)
    assert torch.equal(found.mask, expected.mask)
    for state, other in zip(found.states, expected.states, strict=True):
        torch.testing.assert_close(state[found.mask], other[found.mask], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["wavlm", "whisper"])
def test_states_of_a_clip_are_the_same_bits_whatever_it_is_batched_with(name, clips):
    backbone = tiny_backbone(WAVLM if name == "wavlm" else WHISPER, name, seed=21).eval()
    remembered = RememberedStates(backbone, most_gb=0)  # keeps nothing
    alone, together = (pad(some) for some in (clips[1:2], clips))
    expected = remembered(alone.waveforms, alone.mask)
    found = remembered(together.waveforms, together.mask)
    for state, other in zip(found.states, expected.states, strict=True):
        assert torch.equal(state[1, : other.shape[1]], other[0])


def test_the_last_state_alone_is_kept_apart_from_all_of_them(clips):
    backbone, batch = tiny_backbone(WAVLM, seed=5).eval(), pad(clips)
    rows = counted(backbone)
    whole = RememberedStates(backbone, most_gb=1)(batch.waveforms, batch.mask)
    backbone.last_alone = True
    for _ in range(2):
        (state,) = RememberedStates(backbone, most_gb=1)(batch.waveforms, batch.mask).states
        assert torch.equal(state, whole.states[-1])
    assert sum(rows) == 6


def test_what_does_not_fit_is_encoded_anew(clips):
    backbone = tiny_backbone(WAVLM, seed=1).eval()
    remembered, rows = RememberedStates(backbone, most_gb=1e-9), counted(backbone)
    batch = pad(clips)
    for _ in range(2):
        remembered(batch.waveforms, batch.mask)
    assert sum(rows) == 6


def test_states_that_are_not_finite_are_not_kept(clips):
    backbone = tiny_backbone(WAVLM, seed=4).eval()
    remembered, rows = RememberedStates(backbone, most_gb=1), counted(backbone)

    def fill(_, __, found) -> None:
        found.states[1].fill_(torch.nan)

    spoil = backbone.register_forward_hook(fill)
    batch = pad(clips)
    remembered(batch.waveforms, batch.mask)
    spoil.remove()
    assert all(torch.isfinite(state).all() for state in remembered(batch.waveforms, batch.mask).states)
    assert sum(rows) == 6


def test_another_encoder_does_not_get_the_states_of_this_one(clips):
    batch = pad(clips)
    found = []
    for seed in (2, 3):
        backbone = tiny_backbone(WAVLM, seed=seed).eval()
        found.append(RememberedStates(backbone, most_gb=1)(batch.waveforms, batch.mask).states[-1])
    assert not torch.allclose(*found)


def test_two_encoders_in_turns_each_get_their_own_states(clips):
    batch = pad(clips)
    pair = [RememberedStates(tiny_backbone(WAVLM, seed=seed).eval(), most_gb=1) for seed in (2, 3)]
    first, second = (remembered(batch.waveforms, batch.mask).states[-1] for remembered in pair)
    assert not torch.allclose(first, second)


def test_states_of_one_precision_do_not_stand_in_for_another(clips):
    backbone = tiny_backbone(WAVLM, seed=4).eval()
    remembered, rows = RememberedStates(backbone, most_gb=1), counted(backbone)
    batch = pad(clips)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = remembered(batch.waveforms, batch.mask).states[-1]
    exact = remembered(batch.waveforms, batch.mask).states[-1]
    assert (half.dtype, exact.dtype) == (torch.bfloat16, torch.float32)
    assert sum(rows) == 6


def test_a_frozen_front_end_is_remembered_to_the_bit_and_within_its_memory(tiny_wavlm, monkeypatch):
    backbone = tiny_backbone(tiny_wavlm)
    backbone.feature_extractor.requires_grad_(False)
    waveforms = torch.randn(2, 9000)
    mask = torch.ones_like(waveforms, dtype=torch.bool)
    mask[0, 6000:] = False
    expected = backbone.train(False)(waveforms, mask).states[-1].detach()
    encoded, original = [], backbone.feature_extractor.of_each_clip
    monkeypatch.setattr(
        backbone.feature_extractor, "of_each_clip", lambda clips: encoded.append(len(clips)) or original(clips)
    )
    backbone.remember_front_end(most_gb=1.0)
    copied = copy.deepcopy(backbone)
    for model in (backbone, backbone, copied):
        assert torch.equal(model(waveforms, mask).states[-1].detach(), expected)
    assert encoded == [1, 1]
    backbone.remember_front_end(most_gb=0.0)
    assert torch.equal(backbone(waveforms, mask).states[-1].detach(), expected)
    assert backbone.remembered_clips.size == 0


def test_states_of_the_two_encoders_used_last_are_kept_and_those_of_others_make_room(clips):
    batch = pad(clips)
    backbones = [tiny_backbone(WAVLM, seed=seed).eval() for seed in (11, 12, 13)]
    rows = [counted(backbone) for backbone in backbones]
    for number in (0, 1, 0, 1, 2, 1, 0):
        RememberedStates(backbones[number], most_gb=1)(batch.waveforms, batch.mask)
    assert list(map(sum, rows)) == [6, 3, 3]
