"""Attacks against closed forms on a linear model, and what every attack keeps to."""

import pytest
import torch
from torch import Tensor

from emotune.attacks import ATTACKS
from emotune.attacks.attack import margin
from emotune.attacks.carlini_wagner import CarliniWagnerL2, CarliniWagnerLinf
from emotune.attacks.deepfool import DeepFool
from emotune.attacks.gradient_sign import BIM, FGSM, PGD, bound_by_snr
from emotune.attacks.hop_skip_jump import HopSkipJump
from emotune.attacks.plan import STANDARD, plan_of
from emotune.attacks.saliency import JSMA
from emotune.attacks.victim import Victim

FEATURES = 64
SMALL = {
    **{name: {"epsilon": 0.02} for name in ("random_sign", "fgsm", "bim", "pgd")},
    "cw_l2": {"rate": 0.02},
    "cw_linf": {"rate": 0.02},
    "jsma": {"share": 0.5, "together": 0.02},
    "hop_skip_jump": {"iterations": 4},
}


class Linear(Victim):
    """Classes whose scores are linear in the clip; two of them unless more are asked for."""

    def __init__(self, *, classes: int = 2, scale: float = 1.0, lead: float = 0.2) -> None:
        generator = torch.Generator().manual_seed(3)
        super().__init__(0.2 * torch.randn(FEATURES, generator=generator), low=-1.0, high=1.0)
        self.weight = scale * torch.randn(classes, FEATURES, generator=generator) / FEATURES
        away = torch.full((classes,), -scale * lead)
        away[0] = 0.0
        self.bias = away - self.weight @ self.clean

    def _scores(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight.T + self.bias

    @property
    def way(self) -> Tensor:
        """Gradient of the wrong class's lead, where there are two."""
        return self.weight[1] - self.weight[0]


def perturbed(attack, victim: Victim, seed: int = 0) -> Tensor:
    return attack.perturbed(victim, 0, torch.Generator().manual_seed(seed))


def test_fgsm_is_the_closed_form_of_a_linear_model():
    victim = Linear()
    found = perturbed(FGSM(epsilon=0.03), victim)
    torch.testing.assert_close(found, victim.clean + 0.03 * victim.way.sign())
    before, after = (margin(victim.scores(x[None]), 0) for x in (victim.clean, found))
    assert float(after - before) == pytest.approx(0.03 * float(victim.way.abs().sum()), rel=1e-4)


def test_one_step_of_bim_is_fgsm_and_several_end_where_it_does_on_a_linear_model():
    victim = Linear()
    one = perturbed(FGSM(epsilon=0.03), victim)
    assert torch.equal(perturbed(BIM(epsilon=0.03, steps=1), victim), one)
    torch.testing.assert_close(perturbed(BIM(epsilon=0.03, steps=7), victim), one)
    torch.testing.assert_close(perturbed(PGD(epsilon=0.03, steps=7), victim), one)


def test_a_softmax_that_is_one_in_float32_hides_no_gradient():
    victim = Linear(scale=1e4)
    scores = victim.scores(victim.clean[None])
    assert float(torch.softmax(scores, dim=1)[0, 0]) == 1.0
    leaf = victim.clean.clone().requires_grad_(True)
    (by_softmax,) = torch.autograd.grad(torch.softmax(victim.scores(leaf[None]), dim=1)[0, 0], leaf)
    assert not by_softmax.any()
    torch.testing.assert_close(perturbed(FGSM(epsilon=0.03), victim), victim.clean + 0.03 * victim.way.sign())


def test_the_margin_has_the_direction_of_cross_entropy():
    scores = torch.tensor([[1.0, 0.5, -0.3]], requires_grad=True)
    (ours,) = torch.autograd.grad(margin(scores, 1).sum(), scores)
    (theirs,) = torch.autograd.grad(torch.nn.functional.cross_entropy(scores, torch.tensor([1])), scores)
    torch.testing.assert_close(ours / ours.norm(), theirs / theirs.norm())


def test_deepfool_goes_the_shortest_way_to_a_plane_and_its_overshoot():
    victim = Linear()
    distance = 0.2 / float(victim.way.norm())
    found = perturbed(DeepFool(overshoot=0.02), victim)
    change = found - victim.clean
    assert float(change.norm()) == pytest.approx(1.02 * distance, rel=1e-3)
    assert float(torch.cosine_similarity(change, victim.way, dim=0)) == pytest.approx(1.0, abs=1e-5)


def test_deepfool_takes_the_nearest_of_several_planes():
    victim = Linear(classes=4)
    ways = victim.weight[1:] - victim.weight[0]
    nearest = float((0.2 / ways.norm(dim=1)).min())
    assert float((perturbed(DeepFool(), victim) - victim.clean).norm()) == pytest.approx(1.02 * nearest, rel=1e-3)


def test_carlini_and_wagner_come_near_the_shortest_ways():
    victim = Linear(lead=0.02)
    euclidean = 0.02 / float(victim.way.norm())
    found = perturbed(CarliniWagnerL2(rounds=8, steps=100, rate=0.01), victim) - victim.clean
    assert euclidean <= float(found.norm()) < 1.1 * euclidean
    largest = 0.02 / float(victim.way.abs().sum())
    found = perturbed(CarliniWagnerLinf(rounds=12, steps=100, rate=0.01, shrink=0.8), victim) - victim.clean
    assert largest <= float(found.abs().max()) < 1.35 * largest


def test_hop_skip_jump_follows_the_boundary_from_decisions_alone():
    victim = Linear()
    start = HopSkipJump(iterations=0)
    long = float((perturbed(start, victim) - victim.clean).norm())
    short = float((perturbed(HopSkipJump(iterations=12, queries=60), victim) - victim.clean).norm())
    distance = 0.2 / float(victim.way.norm())
    assert distance <= short < 1.5 * distance < long


def test_jsma_changes_the_most_salient_numbers_first():
    victim = Linear()
    found = perturbed(JSMA(share=0.1, together=0.1, change=0.5), victim) - victim.clean
    salience = victim.weight[0].abs() * victim.weight[1].abs() * (victim.weight[0] * victim.weight[1] < 0)
    expected = salience.topk(6).indices
    assert set(found.nonzero().flatten().tolist()) == set(expected.tolist())
    assert torch.equal(found[expected].sign(), victim.weight[1][expected].sign())


@pytest.mark.parametrize("name", ATTACKS.own)
def test_every_attack_keeps_to_the_valid_range_and_gives_the_same_for_the_same_seed(name):
    victim = Linear(classes=3, lead=0.05)
    victim.low, victim.high = float(victim.clean.min()), float(victim.clean.max())
    found = [perturbed(ATTACKS[name](**SMALL.get(name, {})), victim, seed=5) for _ in range(2)]
    assert torch.equal(*found)
    assert found[0].shape == victim.clean.shape
    assert victim.low <= float(found[0].min()) <= float(found[0].max()) <= victim.high
    assert not torch.equal(found[0], victim.clean)
    assert victim.queries > 0 or name == "random_sign"


@pytest.mark.parametrize("name", ["random_sign", "fgsm", "bim", "pgd"])
def test_no_number_is_changed_by_more_than_the_bound_and_a_bound_of_zero_changes_none(name):
    victim = Linear(classes=3)
    largest = float((perturbed(ATTACKS[name](epsilon=0.01), victim) - victim.clean).abs().max())
    assert 0.0099 < largest <= 0.01 + 1e-7
    assert torch.equal(perturbed(ATTACKS[name](epsilon=0.0), victim), victim.clean)


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_a_bound_in_decibels_is_a_ratio_of_powers_that_is_kept(name):
    victim = Linear()
    change = perturbed(ATTACKS[name](snr_db=26.0), victim) - victim.clean
    ratio = float(10 * torch.log10(victim.clean.square().mean() / change.square().mean()))
    assert ratio == pytest.approx(26.0, abs=0.01) if name == "fgsm" else ratio >= 25.99
    bounds = bound_by_snr(torch.stack([victim.clean, 2 * victim.clean]), 26.0)
    torch.testing.assert_close(bounds[1], 2 * bounds[0])


def test_minimal_attacks_leave_a_wrong_answer_as_it_is():
    victim = Linear(lead=-0.1)
    for attack in (DeepFool(), CarliniWagnerL2(), CarliniWagnerLinf(), JSMA(), HopSkipJump()):
        assert torch.equal(perturbed(attack, victim), victim.clean), attack


def test_the_standard_attacks_are_attacks_and_each_has_files_of_its_own():
    plan = plan_of(STANDARD)
    assert {attack.name for attack in plan} >= set(ATTACKS.own) - {"bim"}
    assert len({attack.slug for attack in plan}) == len(plan)
    assert all(isinstance(attack.make(), ATTACKS[attack.name]) for attack in plan)
